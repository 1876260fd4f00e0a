import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.images.footprint import (
    Free,
    check_footprint,
    in_files,
    peak_at_once,
    peak_of_learning,
    peak_on_demand,
)
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.pipeline.api import denoise

MIB = 2**20


class Huge:
    """What has a shape and a dtype, and nothing that could be read."""

    def __init__(self, *shape: int) -> None:
        self.shape, self.dtype, self.ndim = shape, np.dtype(np.uint16), len(shape)


def free(memory: int, addresses: int | None = None, disk: int = 2**60) -> Free:
    return Free(memory, addresses, disk)


def test_what_an_image_needs_is_compared_with_what_there_is():
    stack = ImageSource(Huge(8, 1024, 1024), 'TYX', 'cells.tif')
    # 40 for a plane, 32 for the result, 32 for the levels
    for dtype in (np.float32, np.uint8):
        check_footprint(stack, dtype, free=free(104 * MIB))
    check_footprint(stack, np.uint8, free=free(103 * MIB))
    with pytest.raises(InputError) as caught:
        check_footprint(stack, np.float32, free=free(103 * MIB))
    text = str(caught.value)
    assert text.startswith('cells.tif: shape (8, 1024, 1024) needs 104 MiB of memory at least')
    assert 'but only 103 MiB are free' in text
    assert '--region' in text
    with pytest.raises(InputError, match='needs 168 MiB'):
        check_footprint(stack, np.float32, differences=True, free=free(150 * MIB))


def test_large_results_lie_in_files_but_need_addresses():
    movie = ImageSource(Huge(1024, 1024, 1024), 'TYX', 'movie.tif')
    check_footprint(movie, np.float32, free=free(40 * MIB))
    with pytest.raises(InputError, match=r'needs 8\.0 GiB of memory by ulimit -v'):
        check_footprint(movie, np.float32, free=free(40 * MIB, addresses=8000 * MIB))
    with pytest.raises(InputError, match=r'needs 8 GiB of space in .* \(TMPDIR\)'):
        check_footprint(movie, np.float32, free=free(40 * MIB, disk=8000 * MIB))


def test_a_region_of_what_is_too_large_is_not_too_large():
    mosaic = ImageSource(Huge(10**6, 10**6), 'YX', 'mosaic.tif')
    with pytest.raises(InputError, match=r'mosaic\.tif'):
        denoise(mosaic.data, 'YX', name='mosaic.tif', seconds=0)
    check_footprint(mosaic.part(Region({'Y': (0, 64), 'X': (0, 64)})), np.float32)


def test_a_long_movie_needs_as_much_as_a_short_one_plane_by_plane():
    short, long = (ImageSource(Huge(n, 2048, 2048), 'TYX', 'movie') for n in (100, 8192))
    peaks = [
        peak_on_demand(movie, np.float32, trains=trains, sharded=True)
        for movie in (short, long)
        for trains in (False, True)
    ]
    assert len(set(peaks)) == 1
    assert peaks[0] < 2000 * MIB  # of 64 GiB
    assert peak_at_once(long, np.float32, trains=False) > 2**38
    assert peak_at_once(short, np.float32, trains=False) > peaks[0]


def test_a_plane_of_any_size_needs_no_more_than_one_that_just_fits():
    small, large, huge = (
        ImageSource(Huge(4, side, side), 'TYX', 'mosaic') for side in (2000, 9000, 60000)
    )
    for sharded in (True, False):
        peaks = [
            peak_on_demand(image, np.float32, trains=False, sharded=sharded)
            for image in (small, large, huge)
        ]
        assert peaks[0] < peaks[1] <= peaks[2] < 2 * 2**30
    assert [in_files(image) for image in (small, large)] == [0, 8 * 9000**2]


def test_an_image_in_memory_counts():
    values = np.zeros((4, 64, 64))
    for data, held in ((values, values.nbytes), (Huge(4, 64, 64), 0)):
        image = ImageSource(data, 'TYX', 'cells').part(Region({'T': (0, 1)}))
        away = ImageSource(Huge(1, 64, 64), 'TYX', 'cells')
        for peak in (
            lambda one: peak_at_once(one, np.float32, trains=False),
            lambda one: peak_on_demand(one, np.float32, trains=False, sharded=True),
            lambda one: peak_of_learning([one], trains=True),
        ):
            assert peak(image) - peak(away) == held
