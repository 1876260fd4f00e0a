"""Smaller copies of an image: sizes, means, windows."""

import numpy as np
import pytest

from napari_noise2score.images.ome_zarr.pyramid import (
    level_shapes,
    reduced,
    reduced_window,
    windows,
)


def test_levels_halve_rows_and_columns_until_they_are_small():
    assert level_shapes((5, 3, 1030, 700), 256) == [
        (5, 3, 1030, 700),
        (5, 3, 515, 350),
        (5, 3, 258, 175),
        (5, 3, 129, 88),
    ]
    assert level_shapes((256, 256), 256) == [(256, 256)]
    assert level_shapes((1, 600), 256) == [(1, 600), (1, 300), (1, 150)]


@pytest.mark.parametrize('dtype', ['uint8', 'int16', 'float32', 'float64'])
def test_values_are_means_in_the_dtype_of_the_image(dtype):
    plane = np.array([[1, 3, 5], [1, 3, 6], [7, 9, 2]], dtype)
    expected = [[2, 5.5], [8, 2]] if np.dtype(dtype).kind == 'f' else [[2, 6], [8, 2]]
    found = reduced(plane)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)


def test_means_stay_in_the_range_and_truth_values_are_rounded():
    np.testing.assert_array_equal(reduced(np.full((2, 2), 255, np.uint8)), [[255]])
    np.testing.assert_array_equal(
        reduced(np.array([[True, True, False, False], [True, True, False, True]])), [[True, False]]
    )


def test_nan_counts_for_nothing_unless_all_are():
    plane = np.array([[np.nan, 1, np.nan, np.nan], [3, 5, np.nan, np.nan]], np.float32)
    np.testing.assert_array_equal(reduced(plane), [[3, np.nan]])


def test_windows_cover_everything_once():
    seen = np.zeros((3, 7, 10), int)
    for window in windows(seen.shape, (2, 4, 10)):
        seen[window] += 1
    assert (seen == 1).all()


def test_a_level_from_windows_equals_one_from_whole_planes():
    finer = np.random.default_rng(0).normal(size=(2, 3, 13, 22))
    whole = np.stack([[reduced(plane) for plane in planes] for planes in finer])
    found = np.full_like(whole, np.nan)
    for window in windows(whole.shape, (1, 2, 4, 5)):
        found[window] = reduced_window(finer, window)
    np.testing.assert_array_equal(found, whole)
