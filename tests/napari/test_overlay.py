import dask.array as da
import numpy as np
import pytest

from napari_noise2score._widget.layers.overlay import Overlay

BASE = np.arange(4 * 6 * 8).reshape(4, 6, 8)
PARTS = [
    ((1, slice(None), slice(None)), -1.0 * np.arange(48).reshape(6, 8)),
    ((2, slice(1, 4), slice(2, 8)), np.full((3, 6), 0.5)),
]
INDICES = [
    (1, slice(None), slice(None)),
    (slice(None), slice(2, 6), slice(7, 0, -2)),
    (slice(None), 3, 2),
    (2, 2, 2),
    (0, slice(None), slice(None)),
    2,
    (Ellipsis, slice(0, 4)),
]


@pytest.mark.parametrize('index', INDICES)
def test_a_part_is_that_part_of_the_image_with_its_replaced_planes(index):
    shown = Overlay(da.from_array(BASE), np.float32)
    expected = BASE.astype(np.float32)
    for at, values in PARTS:
        shown.put(at, values)
        expected[at] = values
    np.testing.assert_array_equal(shown[index], expected[index])
    assert np.asarray(shown[index]).dtype == np.float32
    np.testing.assert_array_equal(np.asarray(shown), expected)


def test_the_image_is_never_touched():
    base = BASE.copy()
    Overlay(base, np.float32).put(*PARTS[0])
    np.testing.assert_array_equal(base, BASE)


def test_only_so_many_parts_are_remembered():
    shown = Overlay(BASE, np.float32, in_memory=2 * 6 * 8 * 4)
    for plane in (0, 1, 2, 1):
        shown.put((plane, slice(None), slice(None)), np.full((6, 8), -1.0))
    assert (np.asarray(shown)[1:3] == -1).all()
    np.testing.assert_array_equal(shown[0], BASE[0])
