import numpy as np
import pytest

from napari_noise2score.noise.fill import filled


def test_the_image_is_mirrored_at_the_edge():
    plane = np.arange(40.0).reshape(4, 10)
    holes = plane.copy()
    holes[:, :3] = np.nan
    found = filled(holes)
    np.testing.assert_array_equal(found[:, 3:], plane[:, 3:])
    np.testing.assert_array_equal(found[:, :3], plane[:, 6:3:-1])
    assert np.isnan(holes[:, :3]).all()


def test_nothing_is_done_where_nothing_is_missing_or_all_is():
    whole = np.ones((3, 3))
    assert filled(whole) is whole
    assert np.isnan(filled(np.full((3, 3), np.nan))).all()


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_what_is_filled_in_has_the_noise_of_what_is_there(dtype):
    rng = np.random.default_rng(0)
    plane = rng.normal(5, 2, (200, 200)).astype(dtype)
    hole = np.zeros(plane.shape, bool)
    hole[:60] = hole[120:150, 40:90] = True
    found = filled(np.where(hole, np.nan, plane).astype(dtype))
    assert found.dtype == dtype
    assert found[hole].std() == pytest.approx(2, rel=0.05)
    assert abs(np.corrcoef(found[1:60].ravel(), found[:59].ravel())[0, 1]) < 0.05


def test_a_place_that_is_deeper_than_what_is_around_is_filled_all_the_same():
    plane = np.full((50, 50), np.nan)
    plane[20:23, 30:32] = 7
    np.testing.assert_array_equal(filled(plane), np.full((50, 50), 7.0))
