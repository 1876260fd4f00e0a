"""An image whose file is changed or removed while it is read is an error."""

import os
import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_noise2score import InputError, read_image
from napari_noise2score.images.ome_zarr import write_ome_zarr

FRAMES = np.random.default_rng(0).poisson(50, (3, 40, 40)).astype(np.uint16)
CHANGED, REMOVED = 'was changed while it was read', 'was removed, or a part of it'


def written(folder: Path, suffix: str) -> Path:
    path = folder / f'cells{suffix}'
    if suffix == '.npy':
        np.save(path, FRAMES)
    elif suffix == '.png':
        path.write_bytes(imagecodecs.png_encode(FRAMES[0]))
    elif suffix == '.zarr':
        write_ome_zarr(path, FRAMES, 'TYX')
    else:
        options = {'compression': 'zlib'} if 'packed' in suffix else {}
        tifffile.imwrite(
            path, FRAMES, photometric='minisblack', metadata={'axes': 'TYX'}, **options
        )
    return path


def data_file(path: Path) -> Path:
    return path / '0' / 'c' / '0' / '0' / '0' if path.suffix == '.zarr' else path


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000_000))


LAZY = ('.tif', '.packed.tif', '.npy', '.zarr')


@pytest.mark.parametrize('suffix', LAZY)
def test_a_file_that_is_changed_between_two_readings(tmp_path, suffix):
    path = written(tmp_path, suffix)
    image = read_image(path, 'TYX', in_memory=0)
    np.testing.assert_array_equal(image.data[0], FRAMES[0])
    np.testing.assert_array_equal(image.data[1], FRAMES[1])
    touch(data_file(path))
    with pytest.raises(InputError, match=f'{path}: {CHANGED}'):
        image.data[2]


def test_a_file_that_becomes_shorter_does_not_end_the_process(tmp_path):
    path = written(tmp_path, '.npy')
    image = read_image(path, 'TYX', in_memory=0)
    os.truncate(path, 200)
    with pytest.raises(InputError, match=CHANGED):
        image.data[2]


def test_a_store_that_is_removed_is_not_read_as_zeros(tmp_path):
    path = written(tmp_path, '.zarr')
    image = read_image(path)
    shutil.rmtree(path / '0' / 'c')
    with pytest.raises(InputError, match=f'{path}: {REMOVED}'):
        image.data[0]


@pytest.mark.parametrize(
    ('suffix', 'owner', 'name'),
    [
        ('.tif', tifffile.TiffPageSeries, 'asarray'),
        ('.packed.tif', tifffile.TiffPageSeries, 'asarray'),
        ('.npy', np, 'fromfile'),
        ('.png', Path, 'read_bytes'),
    ],
)
def test_a_file_that_is_changed_during_its_only_reading(
    tmp_path, suffix, owner, name, monkeypatch
):
    path, read = written(tmp_path, suffix), getattr(owner, name)

    def read_and_touch(*arguments, **options):
        found = read(*arguments, **options)
        touch(path)
        return found

    monkeypatch.setattr(owner, name, read_and_touch)
    with pytest.raises(InputError, match=f'{path}: {CHANGED}'):
        read_image(path, 'YX' if suffix == '.png' else 'TYX')
