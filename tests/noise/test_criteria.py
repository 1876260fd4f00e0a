import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score.noise import formulas as tweedie
from napari_noise2score.noise.from_score import criteria
from napari_noise2score.noise.from_score.search import minimise


def blobs(size: int = 128) -> np.ndarray:
    """Clean (Y, X), 0.2 to 1, wide enough to be smooth."""
    image = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(size, size)), 8)
    return 0.2 + 0.8 * (image - image.min()) / np.ptp(image)


def test_total_variation_of_a_ramp_is_the_sum_of_its_slopes():
    rows, columns = np.mgrid[:20, :30]
    ramp = 0.1 * rows - 0.02 * columns
    assert criteria.total_variation(ramp) == pytest.approx(0.12)
    assert criteria.total_variation(np.stack([ramp, 0 * ramp])) == pytest.approx([0.12, 0])


def test_criteria_stay_numbers_where_there_is_no_light():
    x, y = np.full((4, 4), -0.1), np.full((4, 4), -0.05)
    for criterion in (criteria.gaussian, criteria.poisson, criteria.gamma):
        assert np.isfinite(criterion(x, y))


@pytest.mark.parametrize('sigma', [0.02, 0.1])
def test_gaussian_search_finds_sigma_with_the_ideal_score(sigma):
    clean = blobs()
    y = clean + np.random.default_rng(1).normal(0, sigma, clean.shape)
    score = (clean - y) / sigma**2

    def criterion(value):
        return criteria.gaussian(tweedie.gaussian(y, score, sigma=value), y)

    found = minimise(criterion, 0.02 * float(y.std()), 3 * float(y.std()))
    assert found.value == pytest.approx(sigma, rel=0.02)
    assert not found.at_edge


def poisson_search(photons: float) -> float:
    """Gain found over the true gain, with photons at the brightest pixel."""
    clean, gain = blobs(), 1 / photons
    y = gain * np.random.default_rng(1).poisson(clean / gain)
    score = np.log(clean / (y + gain / 2)) / gain

    def criterion(value):
        return criteria.poisson(tweedie.poisson(y, score, gain=value, offset=0.0), y)

    return minimise(criterion, gain / 30, gain * 30).value / gain


def test_poisson_search_finds_the_gain_in_enough_light():
    assert poisson_search(200) == pytest.approx(1.0, abs=0.15)


def test_poisson_search_comes_out_too_small_in_little_light():
    assert poisson_search(5) < 0.8


def test_gamma_search_finds_the_shape_within_its_bias():
    clean, shape = blobs(), 50.0
    y = clean * np.random.default_rng(1).gamma(shape, 1 / shape, clean.shape)
    score = (shape - 1) / y - shape / clean

    def criterion(value):
        return criteria.gamma(value * y / ((value - 1) - y * score), y)

    found = minimise(criterion, 5.0, 500.0)
    assert found.value == pytest.approx(shape, rel=0.3)


def test_search_refines_between_the_points_of_its_grid():
    found = minimise(lambda v: np.array([np.log(v / 3.3) ** 2]), 0.1, 100, points=15)
    assert found.value == pytest.approx(3.3, rel=1e-3)
    assert (found.error, len(found.grid)) == (0.0, 15)


def test_search_error_is_that_of_the_mean_over_parts():
    """Parts with minima of their own: the mean's minimum is their mean, its error known."""
    places = np.random.default_rng(0).normal(0, 0.2, 40)
    found = minimise(lambda v: (np.log(v) - places) ** 2, 0.01, 100)
    assert np.log(found.value) == pytest.approx(places.mean(), abs=1e-3)
    assert found.error / found.value == pytest.approx(places.std(ddof=1) / 40**0.5, rel=0.05)


def test_search_says_when_there_is_no_minimum():
    assert minimise(lambda v: np.array([v]), 1.0, 10.0).at_edge
    nowhere = minimise(lambda v: np.array([np.nan if v < 5 else v]), 1.0, 10.0)
    assert nowhere.value == pytest.approx(5, rel=0.05)
