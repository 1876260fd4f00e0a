"""Known answers: scores for which closed form and bias can be worked out by hand."""

import numpy as np
import pytest
from scipy import optimize, special

from napari_noise2score.noise.from_score import closed_forms as adaptive

STEP = 1e-5


def probe(y, score, step=STEP):
    """Values, score, values a little beside, score there."""
    sign = np.where(np.arange(y.size).reshape(y.shape) % 2, 1.0, -1.0)
    moved = y + step * y.std() * sign
    return y, score(y), moved, score(moved)


def test_gaussian_prior_gives_the_variance_over_one_minus_the_slope():
    mean, prior, sigma = 7.0, 4.0, 1.7
    y = np.linspace(-5, 20, 50)
    slope = prior / (prior + sigma**2)
    found = adaptive.gaussian_variance(*probe(y, lambda v: -(v - mean) / (prior + sigma**2)))
    assert found == pytest.approx(sigma**2 / (1 - slope), rel=1e-6)


def test_the_variance_of_a_perturbation_is_taken_off():
    sigma, smoothing = 3.0, 2.0
    y = np.linspace(0, 20, 40)
    score = probe(y, lambda v: (10 - v) / (sigma**2 + smoothing**2))
    found = adaptive.gaussian_variance(*score, extra=smoothing**2)
    assert found == pytest.approx(sigma**2, rel=1e-6)


def test_influence_of_neighbours_averages_out():
    """A ratio of sums is right where the median of ratios, as published, is 8 % low."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=200_000)
    step = 1e-3 * rng.normal(size=y.size)
    neighbours = 0.3 * 1e-3 * rng.normal(size=y.size)
    change = -step / 4.0 + neighbours / 4.0
    found = adaptive.gaussian_variance(y, 0 * y, y + step, change)
    assert found == pytest.approx(4.0, rel=0.01)
    assert np.median(-step / change) < 3.75


def test_a_score_that_rises_fits_no_noise():
    y = np.linspace(1, 20, 40)
    rising = probe(y, lambda v: 0.1 * v)
    assert np.isnan(adaptive.gaussian_variance(*rising))
    assert np.isnan(adaptive.poisson_gain(*rising, offset=0.0))


@pytest.mark.parametrize('read_noise', [0.0, 5.0])
@pytest.mark.parametrize('gain', [0.5, 4.0])
def test_gain_is_exact_where_the_first_order_estimate_stays(gain, read_noise):
    offset, clean = 20.0, 60.0
    y = np.linspace(60, 110, 30)

    def score(values):
        def estimate(s, value):
            factor = value - offset + gain / 2 + read_noise**2 * s
            return factor * np.exp(gain * s) - clean

        return np.array(
            [optimize.brentq(estimate, -0.9, 2, args=(v,), xtol=1e-15) for v in values]
        )

    found = adaptive.poisson_gain(*probe(y, score, 1e-3), offset=offset, read_noise=read_noise)
    assert found == pytest.approx(gain, rel=2e-3)


@pytest.mark.parametrize('certainty', [2.0, 10.0, 100.0])
def test_gain_for_a_gamma_prior_is_too_large_by_the_slope(certainty):
    """Counts are negative binomial; E[x|z] = g (z + a) / (1 + b) has the slope 1 / (1 + b)."""
    gain, offset, rate = 3.0, 10.0, 200.0
    shape = rate * certainty
    y = offset + gain * np.linspace(0.8, 1.2, 41) * rate

    def score(value):
        z = (value - offset) / gain
        return (special.digamma(z + shape) - special.digamma(z + 1)) / gain

    found = adaptive.poisson_gain(*probe(y, score), offset=offset)
    slope = 1 / (1 + certainty)
    # the prior's mean is at the middle of y; what is left is of the order of the spread squared
    assert found == pytest.approx(gain / (1 - slope), rel=0.02)


def test_shape_is_exact_where_the_clean_estimate_stays():
    y = np.linspace(20, 80, 40)
    found = adaptive.gamma_shape(*probe(y, lambda v: 11.0 / v - 12.0 / 50.0))
    assert found == pytest.approx(12.0, rel=1e-3)


def test_shape_for_an_inverse_gamma_prior_has_the_stated_bias():
    """p(y) is beta-prime; d log xhat / d log y = k y / (beta + k y)."""
    k, alpha, beta = 12.0, 30.0, 1500.0

    def score(y):
        return (k - 1) / y - k * (k + alpha) / (beta + k * y)

    y = np.full(10, 50.0)
    moved = y + 1e-4 * np.arange(1, 11)
    found = adaptive.gamma_shape(y, score(y), moved, score(moved))
    slope = k * 50 / (beta + k * 50)
    relative = 50 * score(50.0)
    assert found - 1 == pytest.approx((k - 1) * (1 - slope) + slope * relative, rel=1e-3)


@pytest.mark.parametrize('power', [0.0, 0.5, 1.0, 1.5, 2.0])
def test_power_of_a_tweedie_score(power):
    dispersion, offset = 0.02, 7.0
    clean = np.linspace(5, 90, 600)

    def score(y):
        x = y - offset
        if power == 1:
            shift = np.log(clean / x)
        else:
            shift = (clean ** (1 - power) - x ** (1 - power)) / (1 - power)
        return shift / dispersion - power / (2 * x)

    y = clean + offset
    moved = y + 1e-4 * np.where(np.arange(600) % 2, 1, -1)
    found = adaptive.tweedie_power(y, score(y), moved, score(moved), offset=offset)
    assert found == (pytest.approx(power, abs=0.03), pytest.approx(dispersion, rel=0.1))


def test_an_even_image_has_no_power():
    y = np.full(200, 30.0)
    step = np.where(np.arange(200) % 2, 0.1, -0.1)
    assert np.isnan(adaptive.tweedie_power(y, 0 * y, y + step, -step)[0])
