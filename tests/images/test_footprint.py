import shutil
from collections import namedtuple

import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.images import footprint
from napari_noise2score.images.footprint import check_footprint
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.pipeline.api import denoise

MIB = 2**20


class Huge:
    """What has a shape and a dtype, and nothing that could be read."""

    def __init__(self, *shape: int) -> None:
        self.shape, self.dtype, self.ndim = shape, np.dtype(np.uint16), len(shape)


@pytest.fixture
def machine(monkeypatch):
    def with_free(memory: int, addresses: int | None = None, disk: int = 2**60) -> None:
        usage = namedtuple('Usage', 'free')(disk)
        monkeypatch.setattr(footprint, 'available', lambda: memory)
        monkeypatch.setattr(footprint, 'address_space', lambda: addresses)
        monkeypatch.setattr(shutil, 'disk_usage', lambda folder: usage)

    return with_free


def test_what_an_image_needs_is_compared_with_what_there_is(machine):
    stack = ImageSource(Huge(8, 1024, 1024), 'TYX', 'cells.tif')
    machine(104 * MIB)  # 40 for a plane, 32 for the result, 32 for the levels
    check_footprint(stack, np.float32)
    check_footprint(stack, np.uint8)
    machine(103 * MIB)
    check_footprint(stack, np.uint8)
    with pytest.raises(InputError) as caught:
        check_footprint(stack, np.float32)
    text = str(caught.value)
    assert text.startswith('cells.tif: shape (8, 1024, 1024) needs 104 MiB of memory at least')
    assert 'but only 103 MiB are free' in text
    assert '--region' in text
    machine(150 * MIB)
    with pytest.raises(InputError, match='needs 168 MiB'):
        check_footprint(stack, np.float32, differences=True)


def test_large_results_lie_in_files_but_need_addresses(machine):
    movie = ImageSource(Huge(1024, 1024, 1024), 'TYX', 'movie.tif')
    machine(40 * MIB)
    check_footprint(movie, np.float32)
    machine(40 * MIB, addresses=8000 * MIB)
    with pytest.raises(InputError, match=r'needs 8\.0 GiB of memory by ulimit -v'):
        check_footprint(movie, np.float32)
    machine(40 * MIB, disk=8000 * MIB)
    with pytest.raises(InputError, match=r'needs 8 GiB of space in .* \(TMPDIR\)'):
        check_footprint(movie, np.float32)


def test_a_region_of_what_is_too_large_is_not_too_large(machine):
    mosaic = ImageSource(Huge(60000, 60000), 'YX', 'mosaic.tif')
    machine(1000 * MIB)
    with pytest.raises(InputError, match=r'mosaic\.tif'):
        denoise(mosaic.data, 'YX', name='mosaic.tif', seconds=0)
    check_footprint(mosaic.part(Region({'Y': (0, 64), 'X': (0, 64)})), np.float32)
