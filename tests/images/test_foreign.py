"""Files that are not what their names say are refused in words, whatever reads them."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_noise2score.errors import InputError
from napari_noise2score.images.foreign import NEEDED, not_written
from napari_noise2score.images.formats import choose_scenes, list_scenes, read_image, write_image
from napari_noise2score.images.scenes import ALL

COLOURS = np.arange(12 * 12 * 3, dtype=np.uint8).reshape(12, 12, 3)
NO_JPEG = (
    'JPEG is not read: its compression changes the noise; use the original file (TIFF, OME-Zarr, '
    'PNG, NPY, or a microscope format such as CZI, ND2, LIF)'
)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_image(path)
    text = str(caught.value)
    assert "b'" not in text
    assert text.startswith(f'{path}: ')
    return text.removeprefix(f'{path}: ')


@pytest.mark.parametrize('name', ['photo.jpg', 'photo.tif', 'photo.png', 'photo.npy', 'photo'])
def test_a_jpeg_is_known_by_its_content(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(imagecodecs.jpeg8_encode(COLOURS))
    assert refused(path) == NO_JPEG


@pytest.mark.parametrize('name', ['photo.jpg', 'photo.JPEG', 'photo.jp2'])
def test_a_jpeg_is_known_by_its_name(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b'\0\1\2\3damaged')
    assert refused(path) == NO_JPEG


def test_a_tiff_by_the_name_of_a_jpeg_is_read(tmp_path):
    path = tmp_path / 'cells.jpg'
    tifffile.imwrite(tmp_path / 'cells.tif', COLOURS[..., 0])
    (tmp_path / 'cells.tif').rename(path)
    np.testing.assert_array_equal(read_image(path).data, COLOURS[..., 0])


@pytest.mark.parametrize(
    ('name', 'wanted'), [('a.tif', 'a TIFF'), ('a.txt', 'a TIFF'), ('a.png', 'a PNG')]
)
def test_a_text_is_called_a_text(name, wanted, tmp_path):
    path = tmp_path / name
    path.write_text('Zellen, 3 µm\n' * 100, encoding='utf-8')
    assert refused(path) == f'it is not {wanted} file, but text; {NEEDED}'


@pytest.mark.parametrize(
    ('name', 'wanted'), [('a.tif', 'a TIFF'), ('a.png', 'a PNG'), ('a.npy', 'an NPY')]
)
@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'', ': it is empty'),
        (b'hello', ', but text'),
        (b'GIF89a...', ', but a GIF file'),
        (b'\x89HDF\r\n\x1a\n', ', but an HDF5 file'),
        (b'\0\1\2\3\xff', ''),
        (bytes(4000), ''),
    ],
)
def test_other_content_is_told_as_far_as_it_is_known(name, wanted, content, words, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    assert refused(path) == f'it is not {wanted} file{words}; {NEEDED}'


@pytest.mark.parametrize(
    ('made', 'name', 'words'),
    [
        (
            'a.png',
            'b.tif',
            'it is not a TIFF file, but a PNG file: give it a name that ends in .png',
        ),
        (
            'a.npy',
            'b.tif',
            'it is not a TIFF file, but an NPY file: give it a name that ends in .npy',
        ),
        (
            'a.tif',
            'b.png',
            'it is not a PNG file, but a TIFF file: give it a name that ends in .tif',
        ),
        (
            'a.tif',
            'b.npy',
            'it is not an NPY file, but a TIFF file: give it a name that ends in .tif',
        ),
    ],
)
def test_what_is_read_by_another_name_is_told_it(made, name, words, tmp_path):
    (tmp_path / 'a.png').write_bytes(imagecodecs.png_encode(COLOURS))
    tifffile.imwrite(tmp_path / 'a.tif', COLOURS)
    np.save(tmp_path / 'a.npy', COLOURS)
    path = tmp_path / name
    (tmp_path / made).rename(path)
    assert refused(path) == words


def test_a_choice_of_scenes_says_the_same(tmp_path):
    path = tmp_path / 'photo.jpg'
    path.write_bytes(imagecodecs.jpeg8_encode(COLOURS))
    for ask in (list_scenes, lambda path: choose_scenes(path, ALL)):
        with pytest.raises(InputError, match='JPEG is not read'):
            ask(path)


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('a.png', 'PNG is not written, only read; '),
        ('a.NPY', 'NPY is not written, only read; '),
        ('a.czi', 'CZI is not written, only read; '),
        ('a.jpg', 'JPEG is not written; '),
        ('a.gif', ''),
        ('a', ''),
    ],
)
def test_what_is_only_read_is_told_first_where_it_is_to_be_written(name, words, tmp_path):
    path = tmp_path / name
    assert not_written(path) == words
    with pytest.raises(InputError) as caught:
        write_image(path, COLOURS, 'YXS')
    assert str(caught.value) == (
        f'{path}: {words}images are written as .tif or .tiff, or as an OME-Zarr, whose name ends '
        'in .zarr'
    )
