"""PNG files: grey levels and colours, and files that are damaged."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from tests.images.helpers import error_of, refused

from napari_noise2score import list_scenes, read_image

GREY = np.arange(40 * 30, dtype=np.uint16).reshape(40, 30)


def written(path, data) -> str:
    path.write_bytes(imagecodecs.png_encode(data))
    return str(path)


@pytest.mark.parametrize('dtype', ['uint8', 'uint16'])
def test_grey_levels_are_read_as_they_are(tmp_path, dtype):
    data = (GREY * 50).astype(dtype)
    image = read_image(written(tmp_path / 'a.PNG', data))
    assert (image.axes, image.data.dtype, image.notes) == ('YX', dtype, ())
    np.testing.assert_array_equal(image.data, data)


@pytest.mark.parametrize('samples', [2, 3, 4])
def test_colours_are_an_axis_as_in_a_tiff(tmp_path, samples):
    data = np.stack([GREY + n for n in range(samples)], axis=-1).astype(np.uint8)
    image = read_image(written(tmp_path / 'a.png', data))
    assert image.axes == 'YXS'
    np.testing.assert_array_equal(image.data, data)


def test_axes_that_are_given_count(tmp_path):
    path = written(tmp_path / 'a.png', GREY)
    assert read_image(path, 'XY').axes == 'XY'
    assert "axes 'TYX' name 3 axes; the image has 2" in refused(path, 'TYX')


def test_a_png_has_one_scene(tmp_path):
    path = written(tmp_path / 'a.png', GREY)
    assert list_scenes(path) == ('',)
    assert read_image(path, scene=0).axes == 'YX'
    assert 'has no image 1; its format has one image, number 0' in refused(path, None, 1)


def test_fewer_bits_and_animations_are_told(tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack('>I', zlib.crc32(kind + content))
        return struct.pack('>I', len(content)) + kind + content + check

    rows = zlib.compress(b'\x00\xa0' * 4)
    parts = [
        chunk(b'IHDR', struct.pack('>2I5B', 4, 4, 1, 0, 0, 0, 0)),
        chunk(b'acTL', struct.pack('>2I', 1, 0)),
        chunk(b'IDAT', rows),
        chunk(b'IEND', b''),
    ]
    path = tmp_path / 'bits.png'
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + b''.join(parts))
    image = read_image(path)
    np.testing.assert_array_equal(image.data, np.tile(np.uint8([255, 0, 255, 0]), (4, 1)))
    assert image.notes == (
        'it is an animation; only its first image is read',
        'its 2 grey levels of 1 bits are read as 0 to 255',
    )


def test_what_is_no_png_is_refused_in_one_line(tmp_path):
    path = tmp_path / 'a.png'
    whole = imagecodecs.png_encode(GREY)
    assert 'a PNG image is needed' in refused(path)
    path.write_bytes(b'not an image')
    assert 'it is not a PNG file' in refused(path)
    path.write_bytes(whole[:20])
    assert 'cut short' in refused(path)
    path.write_bytes(whole[:-80])
    assert 'not a readable PNG; it is damaged' in refused(path)
    path.write_bytes(whole[:16] + struct.pack('>2I', 10**6, 10**6) + whole[24:])
    assert '1000000 x 1000000 pixels are declared, but the file has' in refused(path)


@pytest.mark.parametrize('place', range(12, 140, 3))
def test_a_damaged_byte_never_costs_more_than_one_line(tmp_path, place):
    content = bytearray(imagecodecs.png_encode(GREY))
    content[place] ^= 0xFF
    path = tmp_path / 'a.png'
    path.write_bytes(bytes(content))
    words = error_of(path)
    assert words is None or (words.startswith(f'{path}: ') and '\n' not in words)


def test_grey_levels_with_another_checksum_are_refused(tmp_path):
    """The decoder prints a warning and gives other grey levels."""
    path = tmp_path / 'a.png'
    content = bytearray(imagecodecs.png_encode(GREY))
    content[content.index(b'IEND') - 5] ^= 1  # the checksum of the values
    path.write_bytes(content)
    assert "its part 'IDAT' has another checksum than it states" in refused(path)
