"""Damaged files end in one line, or are read with a note; never in anything else."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
from tests.damage import FRAMES, GREY, OME, TIFFS, tiff_bytes

from napari_noise2score.errors import InputError
from napari_noise2score.images.tiff import read_tiff


def tag(raw: bytes, code: int) -> int:
    """Where the value of a tag of the first page stands, in a classic little-endian file."""
    (first,) = struct.unpack_from('<I', raw, 4)
    (count,) = struct.unpack_from('<H', raw, first)
    entries = [first + 2 + 12 * number for number in range(count)]
    return next(at for at in entries if struct.unpack_from('<H', raw, at)[0] == code) + 8


WIDTH, LENGTH, TILE_WIDTH = 256, 257, 322


@pytest.mark.parametrize(
    ('kind', 'code'),
    [
        *(('plain', WIDTH), ('plain', LENGTH), ('lzw', WIDTH), ('deflate', LENGTH)),
        *(('jpeg', LENGTH), ('tiles', TILE_WIDTH), ('packed tiles', TILE_WIDTH)),
        *(('12 bits', WIDTH), ('ome', WIDTH)),
    ],
)
def test_a_size_that_cannot_be_takes_no_memory(tmp_path, kind, code):
    data, _, options = TIFFS[kind]
    made = io.BytesIO()
    tifffile.imwrite(made, data[0] if data.ndim > 2 else data, **{**options, 'metadata': {}})
    raw = bytearray(made.getvalue())
    struct.pack_into('<I', raw, tag(raw, code), 1_000_000_000)
    path = tmp_path / 'damaged.tif'
    path.write_bytes(raw)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r'damaged\.tif: '):
            read_tiff(path, 'YX')
        assert tracemalloc.get_traced_memory()[1] < 1 << 27
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ('raised', 'text'),
    [
        (zlib.error('incorrect header check'), 'it is damaged: incorrect header check'),
        (ZeroDivisionError('division by zero'), 'it is damaged: division by zero'),
        (RuntimeError('incompatible keyframe'), 'it is damaged: incompatible keyframe'),
        (NotImplementedError('no such codec'), 'it is damaged: no such codec'),
        (AssertionError(), 'it is damaged: AssertionError'),
        (TypeError("can't do that\nat all"), "it is damaged: can't do that at all"),
        (MemoryError(), 'more memory than is available'),
        (struct.error('unpack requires a buffer'), 'cut short or damaged'),
        (RecursionError('maximum depth'), 'it is damaged: maximum depth'),
        (OSError(5, 'Input/output error'), 'Input/output error'),
        (
            ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package"),
            'COMPRESSION.LZW: 5 needs a package that is not installed: pip install imagecodecs',
        ),
        (
            NotImplementedError("packints_decode of 12-bit requires the 'imagecodecs' package"),
            'packints_decode of 12-bit needs a package that is not installed: pip install',
        ),
    ],
)
def test_whatever_is_raised_is_one_line_with_the_name_of_the_file(
    tmp_path, monkeypatch, raised, text
):
    path = tmp_path / 'odd.tif'
    tifffile.imwrite(path, FRAMES, **TIFFS['plain'][2])

    def fail(*arguments, **options):
        raise raised

    monkeypatch.setattr('tifffile.TiffPageSeries.asarray', fail)
    with pytest.raises(InputError) as caught:
        read_tiff(path)
    assert text in str(caught.value)
    assert str(caught.value).startswith(f'{path}: not a readable TIFF (')
    assert '\n' not in str(caught.value)


DAMAGES = {
    'an unclosed element': lambda xml: xml.replace('</Pixels>', ''),
    'a lost quotation mark': lambda xml: xml.replace('SizeX="48"', 'SizeX="48'),
    'a lost end': lambda xml: xml[:-30],
    'a forbidden character': lambda xml: xml.replace('Image0', 'a & b'),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_pixels_under_damaged_ome_xml_are_read_with_a_note(tmp_path, damage):
    path = tmp_path / 'damaged.ome.tif'
    frames = FRAMES[:2].repeat(2, 0).reshape(2, 2, 48, 48)
    metadata = OME | {'axes': 'TCYX', 'Channel': {'Name': ['a', 'b']}}
    tifffile.imwrite(path, frames, **GREY, metadata=metadata)
    with tifffile.TiffFile(path) as file:
        xml = file.ome_metadata
    tifffile.tiffcomment(path, DAMAGES[damage](xml).encode())
    image = read_tiff(path)
    assert image.axes == 'TCYX'
    np.testing.assert_array_equal(image.data, frames)
    assert image.acquisition.spacing['X'].size == 0.1
    assert any('OME-XML is damaged' in note for note in image.notes)


def test_a_description_that_makes_the_reader_fail_is_left_out(tmp_path):
    path = tmp_path / 'damaged.ome.tif'
    tifffile.imwrite(path, FRAMES, **TIFFS['ome'][2])
    with tifffile.TiffFile(path) as file:
        xml = file.ome_metadata
    tifffile.tiffcomment(path, xml.replace('SizeT="3"', 'SizeT="x"').encode())
    image = read_tiff(path, 'TYX')
    np.testing.assert_array_equal(image.data, FRAMES)
    assert image.acquisition.spacing['X'].size == 0.1
    assert any('its description is damaged and ignored' in note for note in image.notes)


def test_nothing_is_logged_or_warned_of_past_the_notes(tmp_path, caplog, recwarn):
    path = tmp_path / 'damaged.tif'
    path.write_bytes(tiff_bytes('deflate')[:-400])
    with pytest.raises(InputError):
        read_tiff(path, 'TYX')
    assert not caplog.records
    assert not recwarn.list
