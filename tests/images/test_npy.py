"""NPY files: their axes, large ones, and files that are refused."""

import numpy as np
import pytest
from tests.images.helpers import error_of, refused

from napari_noise2score import read_image
from napari_noise2score.images.npy import StoredNpy

DATA = np.arange(3 * 20 * 30, dtype=np.float32).reshape(3, 20, 30)


def written(path, data) -> str:
    np.save(path, data)
    return str(path)


def test_a_plane_needs_no_axes_and_a_stack_does(tmp_path):
    assert read_image(written(tmp_path / 'a.npy', DATA[0])).axes == 'YX'
    path = written(tmp_path / 'b.npy', DATA)
    assert 'give them with --axes, such as TYX' in refused(path)
    image = read_image(path, 'zyx')
    assert image.axes == 'ZYX'
    np.testing.assert_array_equal(image.data, DATA)
    assert "axes 'YX' name 2 axes; the image has 3" in refused(path, 'YX')


@pytest.mark.parametrize('dtype', ['bool', 'uint8', '>u2', 'int32', 'float16', '>f8'])
def test_all_real_numbers_are_read_in_the_order_of_this_machine(tmp_path, dtype):
    data = DATA[0].astype(dtype)
    image = read_image(written(tmp_path / 'a.npy', np.asfortranarray(data)))
    assert image.data.dtype == np.dtype(dtype).newbyteorder('=')
    np.testing.assert_array_equal(image.data, data)


def test_a_large_array_stays_in_its_file(tmp_path):
    path = written(tmp_path / 'a.npy', DATA)
    image = read_image(path, 'TYX', in_memory=100)
    assert isinstance(image.data, StoredNpy)
    np.testing.assert_array_equal(image.data, DATA)
    assert isinstance(read_image(path, 'TYX').data, np.ndarray)


class Trap:
    """Executes something when it is unpickled."""

    def __reduce__(self):
        return print, ('executed',)


def test_python_objects_are_never_loaded(tmp_path, capsys):
    path = str(tmp_path / 'a.npy')
    np.save(path, np.full((2, 2), Trap(), dtype=object), allow_pickle=True)
    assert 'it contains Python objects, which are not loaded' in refused(path)
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize(
    ('data', 'words'),
    [
        (np.zeros(5), 'shape (5,); at least two axes, Y and X, are needed'),
        (np.float64(1), 'shape (); at least two axes'),
        (np.zeros((2, 2), complex), 'an array of complex128; an array of integer or real numbers'),
        (np.zeros((2, 2), 'U3'), 'an array of <U3'),
        (np.zeros((2, 2), [('a', 'u1')]), 'an array of integer or real numbers is needed'),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, data, words):
    assert words in refused(written(tmp_path / 'a.npy', data))


def test_damaged_files_are_one_line(tmp_path):
    path = tmp_path / 'a.npy'
    assert 'an NPY file is needed' in refused(path)
    whole = (np.save(path, DATA[0]), path.read_bytes())[1]
    for content in (b'', b'nothing'):
        path.write_bytes(content)
        assert 'it is not an NPY file' in refused(path)
    for content in (whole[:8], whole[:40], whole[:-500]):
        path.write_bytes(content)
        assert 'not a readable NPY file' in refused(path)


@pytest.mark.parametrize('place', range(0, 120, 5))
def test_a_damaged_byte_never_costs_more_than_one_line(tmp_path, place):
    path = tmp_path / 'a.npy'
    np.save(path, DATA[0])
    content = bytearray(path.read_bytes())
    content[place] ^= 0x7F
    path.write_bytes(bytes(content))
    words = error_of(path)
    assert words is None or (words.startswith(f'{path}: ') and '\n' not in words)
