"""Of a large file is read what is looked at."""

import tracemalloc

import numpy as np
import pytest
import tifffile

from napari_noise2score.errors import InputError
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.tiff import read_tiff

RNG = np.random.default_rng(0)
GREY = {'photometric': 'minisblack'}
RGB = {'photometric': 'rgb'}
ZLIB = {'compression': 'zlib'}
FORMS = {
    'contiguous': ('TZYX', (3, 2, 70, 52), 'uint16', GREY),
    'big-endian': ('TYX', (3, 70, 52), 'float32', GREY | {'byteorder': '>'}),
    'imagej': ('TYX', (3, 70, 52), 'uint16', {'imagej': True}),
    'strips': (
        'TZYX',
        (3, 2, 70, 52),
        'uint16',
        GREY | ZLIB | {'rowsperstrip': 9},
    ),
    'predictor': ('YX', (70, 52), 'float32', GREY | {'compression': 'lzw', 'predictor': True}),
    'tiles': ('CYX', (2, 70, 52), 'uint8', GREY | {'tile': (32, 16)}),
    'packed tiles': (
        'CYX',
        (2, 70, 52),
        'int16',
        GREY | ZLIB | {'tile': (32, 16)},
    ),
    'colours': ('TYXS', (3, 70, 52, 3), 'uint8', RGB),
    'packed colours': ('TYXS', (3, 70, 52, 3), 'uint8', RGB | {'compression': 'lzw'}),
    'colour tiles': ('YXS', (70, 52, 3), 'uint8', RGB | {'compression': 'zlib', 'tile': (16, 32)}),
    'colour planes': (
        'TSYX',
        (2, 3, 70, 52),
        'uint8',
        RGB | {'planarconfig': 'separate', 'compression': 'zlib', 'rowsperstrip': 8},
    ),
    'ome': ('TCYX', (3, 2, 70, 52), 'uint16', GREY | {'ome': True, 'compression': 'zlib'}),
    'jpeg': ('YXS', (70, 52, 3), 'uint8', RGB | {'compression': 'jpeg', 'tile': (32, 32)}),
    '12 bits': ('TYX', (3, 70, 52), 'uint16', GREY | {'bitspersample': 12, 'rowsperstrip': 7}),
}


def written(path, form):
    axes, shape, dtype, options = FORMS[form]
    data = RNG.integers(0, 120, shape).astype(dtype)
    tifffile.imwrite(path, data, metadata={'axes': axes}, **options)
    return tifffile.imread(path), axes  # jpeg changes the values


@pytest.mark.parametrize('form', FORMS)
def test_a_stored_array_is_indexed_like_numpy(tmp_path, form):
    path = tmp_path / 'a.tif'
    data, axes = written(path, form)
    image = read_tiff(path, in_memory=0)
    stored = image.data
    assert not isinstance(stored, np.ndarray)
    assert image.axes == axes
    assert (stored.shape, stored.ndim, stored.size) == (data.shape, data.ndim, data.size)
    assert stored.dtype == data.dtype
    assert stored.dtype.isnative
    np.testing.assert_array_equal(stored, data)
    parts = [
        slice(None),
        slice(1, 2),
        slice(None, None, -1),
        slice(3, 1000, 7),
        slice(5, 5),
        0,
        -1,
    ]
    for _ in range(60):
        index = tuple(parts[i] for i in RNG.integers(len(parts), size=data.ndim))
        np.testing.assert_array_equal(stored[index], data[index], err_msg=str(index))
    rows, columns = data.ndim - 2 - axes.endswith('S'), data.ndim - 1 - axes.endswith('S')
    for _ in range(20):
        top, left = RNG.integers(0, 50), RNG.integers(0, 40)
        index = [slice(None)] * data.ndim
        index[rows] = slice(top, top + int(RNG.integers(1, 20)))
        index[columns] = slice(left, left + int(RNG.integers(1, 12)))
        np.testing.assert_array_equal(stored[tuple(index)], data[tuple(index)])
    np.testing.assert_array_equal(stored[..., 2], data[..., 2])
    np.testing.assert_array_equal(stored[0], data[0])
    with pytest.raises(IndexError):
        stored[(0,) * (data.ndim + 1)]
    with pytest.raises(IndexError):
        stored[1000]


@pytest.mark.parametrize('form', FORMS)
def test_channels_of_a_stored_image_are_those_of_one_in_memory(tmp_path, form):
    written(tmp_path / 'a.tif', form)
    region = Region.parse('Y11:40,X7:33')
    found = [
        ImageSource(image.data, image.axes).part(region)
        for image in (read_tiff(tmp_path / 'a.tif', in_memory=n) for n in (0, 1 << 28))
    ]
    for stored, plain in zip(*(source.channels() for source in found), strict=True):
        for plane in range(stored.shape[0]):
            np.testing.assert_array_equal(stored.plane(plane), plain.plane(plane))
    assert found[0].checksum() == found[1].checksum()


@pytest.mark.parametrize('axes', ['YX', 'XY'])
def test_a_region_of_a_large_file_takes_little_memory(tmp_path, axes):
    path = tmp_path / 'sparse.tif'
    made = tifffile.memmap(path, shape=(20000, 20000), dtype='uint16', **GREY)
    made[100:200, 300:400] = 7
    made.flush()
    tracemalloc.start()
    try:
        image = read_tiff(path, axes)
        assert image.data.nbytes == 800_000_000
        source = ImageSource(image.data, image.axes).part(Region.parse('Y90:350,X90:350'))
        (channel,) = source.channels()
        plane = channel.plane(0)
        assert tracemalloc.get_traced_memory()[1] < 150_000_000
    finally:
        tracemalloc.stop()
    expected = np.zeros((260, 260))
    expected[10:110, 210:310] = 7
    np.testing.assert_array_equal(plane if axes == 'YX' else plane.T, expected)


def test_what_is_damaged_is_met_where_it_is_looked_at(tmp_path):
    path = tmp_path / 'a.tif'
    data, _ = written(path, 'strips')
    with tifffile.TiffFile(path) as file:
        start = file.pages[3].dataoffsets[2]
    raw = bytearray(path.read_bytes())
    raw[start : start + 40] = bytes(40)
    path.write_bytes(raw)
    stored = read_tiff(path, in_memory=0).data
    np.testing.assert_array_equal(stored[0], data[0])
    np.testing.assert_array_equal(stored[1, 1, :18], data[1, 1, :18])
    with pytest.raises(InputError, match=r'a\.tif: not a readable TIFF'):
        stored[1, 1]


def test_a_large_file_that_is_cut_short_is_refused_at_once(tmp_path):
    path = tmp_path / 'a.tif'
    written(path, 'contiguous')
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError, match='cut short or damaged'):
        read_tiff(path, in_memory=0)
