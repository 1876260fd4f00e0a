"""What microscopes and scanners write is read with what is installed."""

import numpy as np
import pytest
import tifffile

from napari_noise2score.images.tiff import read_tiff

RNG = np.random.default_rng(0)
FRAMES = RNG.poisson(90, (3, 48, 64)).astype(np.uint16)
GREY = {'photometric': 'minisblack', 'metadata': {'axes': 'TYX'}}
LOSSLESS = ['lzw', 'zlib', 'zstd', 'packbits', 'lzma', 'lerc', 'png', 'jpegxl', 'jpeg2000']


@pytest.mark.parametrize('predictor', [False, True])
@pytest.mark.parametrize('compression', LOSSLESS)
@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'float32'])
def test_compressed_images_are_read(tmp_path, compression, predictor, dtype):
    if predictor and compression not in ('lzw', 'zlib', 'zstd', 'lzma'):
        predictor = None  # has none of its own
    if dtype == 'float32' and compression in ('png', 'jpegxl', 'jpeg2000'):
        dtype = 'uint16'
    data = np.minimum(FRAMES, 255).astype(dtype)
    options = {'reversible': True} if compression == 'jpeg2000' else {}
    tifffile.imwrite(
        tmp_path / 'a.tif',
        data,
        compression=compression,
        compressionargs=options or ({'lossless': True} if compression == 'jpegxl' else {}),
        predictor=predictor,
        **GREY,
    )
    np.testing.assert_array_equal(read_tiff(tmp_path / 'a.tif').data, data)


@pytest.mark.parametrize('bits', [9, 10, 12, 14])
def test_packed_samples_are_read(tmp_path, bits):
    data = RNG.integers(0, 2**bits, (3, 48, 63), dtype=np.uint16)
    tifffile.imwrite(tmp_path / 'a.tif', data, bitspersample=bits, **GREY)
    image = read_tiff(tmp_path / 'a.tif')
    assert image.data.dtype == np.uint16
    np.testing.assert_array_equal(image.data, data)


@pytest.mark.parametrize('bits', [8, 12])
def test_jpeg_is_read(tmp_path, bits):
    data = (500 * np.exp(-((np.indices((64, 64)) - 32) ** 2).sum(0) / 400)).astype(np.uint16)
    data = data if bits == 12 else (data // 2).astype(np.uint8)
    options = {'compression': 'jpeg', 'compressionargs': {'level': 98}}
    tifffile.imwrite(tmp_path / 'a.tif', data, **options, **GREY | {'metadata': {'axes': 'YX'}})
    found = read_tiff(tmp_path / 'a.tif').data
    assert found.dtype == data.dtype
    assert np.abs(found.astype(float) - data).max() < 0.05 * data.max()
