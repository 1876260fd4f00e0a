"""A damaged chunk of Blosc is an error; decoding it could end the process."""

import pickle

import numcodecs
import numpy as np
import pytest
import zarr

from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr import read_ome_zarr
from napari_noise2score.images.ome_zarr.checked_codecs import check_blosc, checked

DATA = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
AXES = [{'name': name, 'type': 'space'} for name in 'yx']
MULTISCALES = [{'version': '0.4', 'axes': AXES, 'datasets': [{'path': '0'}]}]


@pytest.fixture(params=[2, 3, 'shards'])
def path(request, tmp_path):
    """An OME-Zarr whose chunks are of Blosc."""
    version = 2 if request.param == 2 else 3
    blosc = numcodecs.Blosc() if version == 2 else zarr.codecs.BloscCodec()
    group = zarr.create_group(
        tmp_path / 'a.zarr', zarr_format=version, attributes={'multiscales': MULTISCALES}
    )
    array = group.create_array(
        '0',
        shape=DATA.shape,
        dtype=DATA.dtype,
        chunks=(32, 32),
        shards=(32, 64) if request.param == 'shards' else None,
        compressors=blosc,
    )
    array[...] = DATA
    return tmp_path / 'a.zarr'


@pytest.mark.parametrize('sent', [False, True])
def test_values_are_the_same_also_in_another_process(path, sent):
    array = checked(zarr.open_group(path, mode='r')['0'])
    array = pickle.loads(pickle.dumps(array)) if sent else array
    np.testing.assert_array_equal(array[...], DATA)
    np.testing.assert_array_equal(array[3:40, 20:50], DATA[3:40, 20:50])
    np.testing.assert_array_equal(read_ome_zarr(path).data, DATA)


@pytest.mark.parametrize('place', [4, 8, 12])  # bytes of the values, of a block, of the chunk
def test_a_damaged_length_is_refused(path, place):
    files = [file for file in (path / '0').rglob('*') if file.is_file()]
    file = next(file for file in files if file.name != 'zarr.json' and file.name[0] != '.')
    content = bytearray(file.read_bytes())
    content[place : place + 4] = b'\xff\xff\xff\x6f'
    file.write_bytes(content)
    with pytest.raises(InputError, match='a chunk of Blosc'):
        np.asarray(read_ome_zarr(path).data)


def test_a_chunk_without_a_header_is_refused():
    with pytest.raises(ValueError, match='has 3 bytes, fewer than its header'):
        check_blosc(b'abc', 100)


def test_other_codecs_are_left_as_they_are(tmp_path):
    array = zarr.create_array(tmp_path / 'a.zarr', shape=(4, 4), dtype='u1', compressors=None)
    assert checked(array) is array
