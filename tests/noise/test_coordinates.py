import numpy as np
import pytest

from napari_noise2score.noise.coordinates import Anscombe, PowerLaw
from napari_noise2score.noise.families import (
    Exponential,
    Gamma,
    Gaussian,
    Poisson,
    PoissonGaussian,
    Tweedie,
)

FAMILIES = [
    Gaussian(3.0),
    Poisson(2.0, 10.0),
    Poisson(1.0, 3.0),
    PoissonGaussian(20.0, 3.0, 0.0),
    PoissonGaussian(1.5, 100.0, 4.0),
]


@pytest.mark.parametrize('family', FAMILIES, ids=str)
def test_inverse_undoes_forward_also_far_below_the_offset(family):
    coordinate = family.coordinate(300.0)
    y = np.linspace(-500, 5000, 3001)
    np.testing.assert_allclose(coordinate.inverse(coordinate.forward(y)), y, atol=1e-8)


@pytest.mark.parametrize('family', FAMILIES, ids=str)
def test_derivatives_match_differences_and_are_positive(family):
    coordinate = family.coordinate(300.0)
    y = np.linspace(-50, 500, 400)
    y = y[np.abs(y - getattr(coordinate, '_knee', [1e9])[0]) > 0.01] if coordinate.slope else y
    h = 1e-5
    slope = (coordinate.forward(y + h) - coordinate.forward(y - h)) / (2 * h)
    np.testing.assert_allclose(coordinate.derivative(y), slope, rtol=1e-5)
    assert np.all(coordinate.derivative(y) > 0)
    logs = np.log(coordinate.derivative(y + h) / coordinate.derivative(y - h)) / (2 * h)
    np.testing.assert_allclose(coordinate.log_derivative_slope(y), logs, atol=1e-6)


@pytest.mark.parametrize('family', FAMILIES, ids=str)
def test_change_of_variables_moves_a_known_score_exactly(family):
    """Values whose density in y is N(m, q): the score in t comes from the density in t."""
    coordinate = family.coordinate(300.0)
    mean, prior = 150.0, 900.0
    y = np.linspace(120, 220, 40)

    def log_density_in_t(t: np.ndarray) -> np.ndarray:
        grey = coordinate.inverse(t)
        return -((grey - mean) ** 2) / (2 * prior) - np.log(coordinate.derivative(grey))

    t, h = coordinate.forward(y), 1e-5
    score_t = (log_density_in_t(t + h) - log_density_in_t(t - h)) / (2 * h)
    score_y = -(y - mean) / prior
    np.testing.assert_allclose(coordinate.score_to_image(y, score_t), score_y, atol=1e-6)
    np.testing.assert_allclose(coordinate.score_from_image(y, score_y), score_t, atol=1e-6)


def test_noise_has_unit_variance_from_a_few_photons_up():
    family = PoissonGaussian(3.0, 20.0, 2.0)
    rng = np.random.default_rng(1)
    coordinate = family.coordinate(300.0)
    for photons in (5, 20, 100, 1000):
        y = family.sample(np.full(200_000, 20.0 + 3 * photons), rng)
        # standard error of the variance of 2e5 values is 0.32 %
        assert abs(coordinate.forward(y).var() - 1) < 0.05


@pytest.mark.parametrize('photons', [0.02, 0.3, 1.0, 4.0, 30.0, 290.0, 310.0, 900.0])
@pytest.mark.parametrize('read_noise', [0.0, 2.0, 12.0])
def test_level_table_agrees_with_sampling(photons, read_noise):
    family = PoissonGaussian(4.0, 50.0, read_noise)
    table = family.level_table(50.0 + 4.0 * 1000)
    clean = 50.0 + 4.0 * photons
    rng = np.random.default_rng(7)
    count = 400_000
    t = family.coordinate(300.0).forward(family.sample(np.full(count, clean), rng))
    mean, variance = np.interp(clean, table.clean, table.mean), table.variance_at(t.mean())
    # five standard errors, and the table's own interpolation
    assert abs(mean - t.mean()) < 5 * t.std() / count**0.5 + 0.012
    kurtosis = ((t - t.mean()) ** 4).mean() - t.var() ** 2
    assert abs(variance - t.var()) < 5 * (kurtosis / count) ** 0.5 + 0.01
    assert table.clean_value(t.mean()) == pytest.approx(clean, rel=0.01, abs=0.05)


def test_exact_inverse_is_unbiased_where_the_algebraic_one_is_not():
    family = Poisson(1.0, 0.0)
    table = family.level_table(100.0)
    algebraic = family.coordinate(300.0).inverse(np.interp(1.0, table.clean, table.mean))
    assert abs(algebraic - 1.0) > 0.15
    exact = table.clean_value(np.interp(1.0, table.clean, table.mean))
    assert exact == pytest.approx(1.0, abs=1e-9)


def test_gaussian_table_is_the_identity_with_unit_variance():
    table = Gaussian(5.0).level_table(255.0)
    t = np.array([-20.0, 0.0, 3.0, 200.0])
    np.testing.assert_allclose(table.clean_value(t), 5 * t, atol=1e-12)
    np.testing.assert_allclose(table.variance_at(t), 1.0)


def test_curve_is_the_table_on_an_even_grid():
    table = Poisson(2.0, 5.0).level_table(300.0)
    curve = table.curve(64)
    assert curve.values.shape == (64,)
    levels = np.linspace(curve.start, curve.stop, 64)
    np.testing.assert_allclose(curve.values, table.variance_at(levels))


def test_slope_zero_is_plain_scaling():
    coordinate = Anscombe(0.0, 4.0)
    np.testing.assert_allclose(coordinate.forward([2.0, -6.0]), [1.0, -3.0])
    np.testing.assert_allclose(coordinate.log_derivative_slope([2.0]), [0.0])


def test_coordinate_by_hand_on_both_sides_of_the_dark_level():
    """a = 2, offset 10, read noise 3: the root's argument is 2 y - 20 + 9 + 1.5."""
    coordinate = PoissonGaussian(2.0, 10.0, 3.0).coordinate(300.0)
    assert coordinate.forward(30.0) == pytest.approx((2 * 30 - 20 + 9 + 1.5) ** 0.5)
    tangent = (9 + 1.5) ** -0.5
    assert coordinate.forward(10.0) == pytest.approx((9 + 1.5) ** 0.5)
    assert coordinate.forward(4.0) == pytest.approx((9 + 1.5) ** 0.5 - 6 * tangent)
    assert coordinate.derivative(4.0) == pytest.approx(tangent)
    assert coordinate.derivative(30.0) == pytest.approx((2 * 30 - 20 + 9 + 1.5) ** -0.5)
    assert coordinate.log_derivative_slope(4.0) == 0.0
    assert Anscombe(2.0, -20.0).dark == 0.0


@pytest.mark.parametrize('top', [5.0, 60.0, 4000.0])
def test_the_table_reaches_the_top_and_little_beyond(top):
    table = Poisson(2.0, 5.0).level_table(top)
    assert max(top, 5.0) <= table.clean[-1] <= max(1.11 * top, 5 + 2 * 4.5)
    assert table.clean[0] == 5.0


def test_the_inverse_goes_on_straight_beyond_the_table():
    table = Poisson(2.0, 5.0).level_table(300.0)
    for end, inner in ((0, 1), (-1, -2)):
        width = table.mean[end] - table.mean[inner]
        rise = table.clean[end] - table.clean[inner]
        assert table.clean_value(table.mean[end] + width) == pytest.approx(table.clean[end] + rise)


def test_poisson_table_is_that_of_no_read_noise():
    first = Poisson(4.0, 20.0).level_table(300.0)
    second = PoissonGaussian(4.0, 20.0, 0.0).level_table(300.0)
    np.testing.assert_allclose(first.mean, second.mean)
    np.testing.assert_allclose(first.variance, second.variance)


POWERS = [
    PowerLaw(1.0, 4.0, 1.5, 1.5),
    PowerLaw(1.4, 0.8, 0.2, 0.2),
    PowerLaw(2.0, 0.1, 0.0, 0.5),
    PowerLaw(3.0, 0.01, 0.0, 0.5),
]


@pytest.mark.parametrize('coordinate', POWERS, ids=str)
def test_power_law_is_increasing_invertible_and_has_its_stated_slopes(coordinate):
    y = np.concatenate([np.linspace(-5, 2, 40), np.geomspace(2.1, 3000, 60)])
    t = coordinate.forward(y)
    assert (np.diff(t) > 0).all()
    np.testing.assert_allclose(coordinate.inverse(t), y, rtol=1e-9, atol=1e-9)
    step = 1e-5 * np.maximum(np.abs(y), 1)
    slope = (coordinate.forward(y + step) - coordinate.forward(y - step)) / (2 * step)
    np.testing.assert_allclose(coordinate.derivative(y), slope, rtol=1e-4)
    smooth = np.abs(y + coordinate.shift - coordinate.floor) > 0.01
    change = np.log(coordinate.derivative(y + step) / coordinate.derivative(y - step)) / (2 * step)
    np.testing.assert_allclose(
        coordinate.log_derivative_slope(y)[smooth], change[smooth], rtol=1e-3, atol=1e-9
    )


def test_power_of_one_is_anscombe():
    y = np.linspace(0, 500, 50)
    np.testing.assert_allclose(POWERS[0].forward(y), Anscombe(4.0, 0.0).forward(y))


@pytest.mark.parametrize(
    'family', [Gamma(30.0), Exponential(), Tweedie(1.5, 0.2), Tweedie(1.0, 2.0)], ids=str
)
def test_noise_has_unit_variance_in_its_coordinate(family):
    table = family.level_table(200.0)
    lit = table.clean > 20
    np.testing.assert_allclose(table.variance[lit], 1, atol=0.06)
    assert (np.diff(table.mean) > 0).all()
    y = family.sample(np.full(400_000, 50.0), np.random.default_rng(0))
    t = family.coordinate(200.0).forward(y)
    assert float(table.mean_of(50.0)) == pytest.approx(t.mean(), abs=0.01)
    assert float(table.variance_at(t.mean())) == pytest.approx(t.var(), rel=0.01)


def test_table_takes_measured_variances_and_keeps_its_levels():
    table = Poisson(4.0, 20.0).level_table(300.0)
    level = np.array([3.0, 5.0, 8.0])
    measured = table.measured(level, np.array([0.8, 1.1, 1.3]))
    np.testing.assert_allclose(measured.variance_at(level), [0.8, 1.1, 1.3])
    assert measured.variance_at(100.0) == pytest.approx(1.3, rel=0.01)
    np.testing.assert_allclose(measured.clean_value([2.5, 6.0]), table.clean_value([2.5, 6.0]))
    assert measured.top == table.top


@pytest.mark.parametrize(
    'family', [Poisson(2.0, 10.0), Poisson(0.05, 0.0), PoissonGaussian(1.5, 100.0, 4.0)], ids=str
)
@pytest.mark.parametrize('rounding', [-1e-5, 0.0, 1e-5])
def test_a_pixel_without_a_photon_is_on_the_curve_however_it_was_rounded(family, rounding):
    """The paper's form multiplied it by four there, but not a hair above."""
    coordinate = family.coordinate(300.0)
    dark, above = family.offset + family.gain * np.array([rounding, 1e-3])
    at, near = (coordinate.log_derivative_slope(y) * family.gain for y in (dark, above))
    assert at < 0
    assert at == pytest.approx(near, rel=0.01)
