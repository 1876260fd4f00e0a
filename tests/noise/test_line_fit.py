"""Straight lines by weighted least squares: known answers, errors against simulation, outliers."""

from functools import partial

import numpy as np
import pytest

from napari_noise2score.noise.line_fit import LineFit, fit_line, fit_parallel, reweighted
from napari_noise2score.noise.robust_weights import (
    BIWEIGHT,
    absolute,
    biweight,
    biweight_loss,
    huber,
)

X = np.array([1.0, 2.0, 4.0, 7.0, 11.0])
WEIGHT = np.array([1.0, 3.0, 0.5, 2.0, 1.0])
RUNS = 2000
SPREAD = 4 / (2 * RUNS) ** 0.5
"""Four standard errors of a standard deviation from so many runs, relative to it."""


def test_points_on_a_line_give_that_line_whatever_the_weights():
    fit = fit_line(X, 3.0 - 2.0 * X, WEIGHT)
    assert fit.slope == pytest.approx(-2.0, rel=1e-14)
    assert fit.intercept == pytest.approx(3.0, rel=1e-14)
    assert fit.zero == pytest.approx(1.5, rel=1e-14)
    np.testing.assert_allclose(fit.at([0.0, 10.0]), [3.0, -17.0], rtol=1e-14)
    np.testing.assert_allclose(fit.residual, 0.0, atol=1e-13)


def test_three_points_by_hand():
    """Weights 1, 2, 1: mean (1, 1), slope the sum of w dx dy over that of w dx^2 = 2 / 2."""
    fit = fit_line(np.array([0.0, 1, 2]), np.array([0.0, 1, 2 + 4]), np.array([1.0, 2, 1]))
    assert (fit.centre, fit.height, fit.slope) == (1.0, 2.0, 3.0)
    np.testing.assert_array_equal(fit.residual, [1.0, -1.0, 1.0])
    assert fit.chi_square == 4.0
    np.testing.assert_array_equal(fit.covariance, np.diag([1 / 2, 1 / 4]))
    # influences w dx / 2 and w / 4 on slope and height, times the residuals
    np.testing.assert_array_equal(fit.sandwich, [[1 / 2, 0.0], [0.0, 3 / 8]])


def test_it_agrees_with_a_solver_of_normal_equations():
    rng = np.random.default_rng(0)
    y = rng.normal(size=X.shape)
    slope, intercept = np.polyfit(X, y, 1, w=WEIGHT**0.5)
    fit = fit_line(X, y, WEIGHT)
    assert fit.slope == pytest.approx(slope, rel=1e-10)
    assert fit.intercept == pytest.approx(intercept, rel=1e-10)
    design = np.stack([X - fit.centre, np.ones_like(X)], axis=1)
    expected = np.linalg.inv(design.T @ (WEIGHT[:, None] * design))
    np.testing.assert_allclose(fit.covariance, expected, rtol=1e-12, atol=1e-15)
    pull = design * (WEIGHT * fit.residual)[:, None]
    np.testing.assert_allclose(fit.sandwich, expected @ pull.T @ pull @ expected, atol=1e-14)


def test_a_line_through_a_point():
    """Slope by hand: the sum of w x y over that of w x^2, from the point on."""
    fit = fit_line(np.array([2.0, 3.0]), np.array([6.0, 5.0]), np.array([1.0, 2.0]), (1.0, 4.0))
    assert fit.slope == pytest.approx((1 * 2 + 2 * 2 * 1) / (1 + 2 * 4))
    assert float(fit.at(1.0)) == 4.0
    np.testing.assert_allclose(fit.covariance, [[1 / 9, 0.0], [0.0, 0.0]])
    assert fit.sandwich[1].tolist() == [0.0, 0.0]


def test_a_far_offset_costs_no_precision():
    far = fit_line(X + 1e9, 3.0 - 2.0 * X, WEIGHT)
    assert far.slope == pytest.approx(-2.0, rel=1e-14)
    assert far.zero == pytest.approx(1e9 + 1.5, abs=1e-6)


@pytest.mark.parametrize('level', [0.0, 0.1, 1e9])
def test_one_level_has_no_slope(level):
    x, y = np.full(5, level), np.arange(5.0)
    fit = fit_line(x, y, WEIGHT)
    assert fit.slope == 0.0
    assert fit.height == pytest.approx(float(np.average(y, weights=WEIGHT)))
    for covariance in (fit.covariance, fit.sandwich):
        assert covariance[0, 0] == float('inf')
        assert 0 < covariance[1, 1] < float('inf')


def _simulated(scatter: np.ndarray, weight: np.ndarray) -> list[LineFit]:
    rng = np.random.default_rng(1)
    x = np.linspace(10, 20, len(scatter))
    return [fit_line(x, 5 * x - 40 + rng.normal(0, scatter), weight) for _ in range(RUNS)]


@pytest.mark.parametrize('covariance', ['covariance', 'sandwich'])
def test_errors_are_those_of_simulated_points(covariance):
    """Weights of one over the variance: both covariances hold for slope, height and zero."""
    scatter = np.linspace(1, 4, 60)
    fits = _simulated(scatter, scatter**-2.0)
    matrices = np.array([getattr(fit, covariance) for fit in fits])
    # the mean of N squared residuals is low by a share 2 / N, for two fitted numbers
    few = SPREAD + (2 / 60 if covariance == 'sandwich' else 0)
    for place, name in enumerate(('slope', 'height')):
        values = np.array([getattr(fit, name) for fit in fits])
        expected = float(matrices[:, place, place].mean() ** 0.5)
        assert values.std() == pytest.approx(expected, rel=few)
    zeros = np.array([fit.zero for fit in fits])
    errors = [fit.zero_error(matrix) for fit, matrix in zip(fits, matrices, strict=True)]
    assert abs(zeros.mean() - 8.0) < 4 * zeros.std() / RUNS**0.5
    # further from the points than they are from each other, the error of the zero is not linear
    assert zeros.std() == pytest.approx(float(np.mean(errors)), rel=few + 0.02)


def test_the_sandwich_holds_where_the_weights_are_wrong():
    scatter = np.geomspace(1, 30, 100)
    fits = _simulated(scatter, np.ones(100))
    values = np.array([fit.slope for fit in fits])
    sandwich = float(np.mean([fit.sandwich[0, 0] for fit in fits]) ** 0.5)
    model = float(np.mean([fit.covariance[0, 0] for fit in fits]) ** 0.5)
    assert values.std() == pytest.approx(sandwich, rel=SPREAD + 4 / 100)
    assert values.std() > 5 * model


def _robust(y: np.ndarray, x: np.ndarray, kind: str) -> LineFit:
    def weights(fit: LineFit) -> np.ndarray:
        away = np.abs(fit.residual)
        if kind == 'huber':
            return huber(away, 1.5)
        return absolute(away, 1e-3) if kind == 'absolute' else biweight(away)

    # the biweight needs a start near the line: that of least absolute deviations
    near = np.ones_like(y) if kind != 'biweight' else _robust(y, x, 'absolute').weight
    return reweighted(partial(fit_line, x, y), weights, near, rounds=100)


def _with_outliers(height: float) -> tuple[np.ndarray, np.ndarray]:
    """Points of slope 2, and the last tenth of them so much too high."""
    x = np.linspace(0, 10, 200)
    y = 2 * x + 1 + np.random.default_rng(2).normal(size=200)
    y[-20:] += height
    return x, y


@pytest.mark.parametrize('kind', ['huber', 'absolute'])
def test_the_influence_of_outliers_is_bounded(kind):
    """However far off they are, the line is the same."""
    x, near = _with_outliers(40.0)
    _, far = _with_outliers(4000.0)
    plain = fit_line(x, near, np.ones(200)).slope - 2
    robust = _robust(near, x, kind).slope
    assert abs(robust - 2) < plain / 5
    assert _robust(far, x, kind).slope == pytest.approx(robust, rel=1e-4)


def test_far_outliers_have_no_influence_on_the_biweight():
    x, y = _with_outliers(40.0)
    without = _robust(y[:-20], x[:-20], 'biweight')
    assert _robust(y, x, 'biweight').slope == pytest.approx(without.slope, rel=1e-6)
    assert abs(without.slope - 2) < 4 * float(without.covariance[0, 0] ** 0.5)


def test_a_robust_line_without_outliers_is_nearly_as_precise():
    """Huber at 1.5 standard deviations keeps 96 % of the precision, least absolute 64 %."""
    rng = np.random.default_rng(3)
    x = np.linspace(0, 10, 100)
    runs = [rng.normal(size=100) for _ in range(500)]
    plain = np.var([fit_line(x, y, np.ones(100)).slope for y in runs])
    for kind, share in (('huber', 0.96), ('biweight', 0.95), ('absolute', 0.64)):
        robust = np.var([_robust(y, x, kind).slope for y in runs])
        # the two variances share their noise: their ratio is known better than either
        assert plain / robust == pytest.approx(share, abs=0.1)


def test_parallel_lines_have_one_slope_and_an_intercept_each():
    rng = np.random.default_rng(4)
    group = np.repeat([0, 1, 2], [5, 9, 4])
    x, noise = rng.uniform(0, 10, 18), rng.normal(size=18)
    weight = rng.uniform(0.5, 2, 18)
    exact = fit_parallel(x, 2 * x + np.array([1.0, -4.0, 7.0])[group], weight, group)
    assert exact.slope == pytest.approx(2.0, rel=1e-13)
    np.testing.assert_allclose(exact.intercept, [1.0, -4.0, 7.0], rtol=1e-12)
    assert exact.chi_square == pytest.approx(0.0, abs=1e-24)
    fit = fit_parallel(x, noise, weight, group)
    design = np.column_stack([x, group == 0, group == 1, group == 2])
    found, *_ = np.linalg.lstsq(design * weight[:, None] ** 0.5, noise * weight**0.5, rcond=None)
    np.testing.assert_allclose([fit.slope, *fit.intercept], found, rtol=1e-11)
    assert fit.chi_square == pytest.approx(float((weight * (noise - design @ found) ** 2).sum()))


def test_one_group_is_one_line():
    y = np.random.default_rng(5).normal(size=5)
    alone, line = fit_parallel(X, y, WEIGHT, np.zeros(5, int)), fit_line(X, y, WEIGHT)
    assert alone.slope == pytest.approx(line.slope, rel=1e-13)
    assert alone.intercept[0] == pytest.approx(line.intercept, rel=1e-13)
    assert alone.chi_square == pytest.approx(line.chi_square, rel=1e-13)
    assert fit_parallel(np.ones(5), y, WEIGHT, np.zeros(5, int)).slope == 0.0


def test_reweighted_makes_so_many_fits():
    seen: list[float] = []

    def fit(weight: np.ndarray) -> float:
        seen.append(float(weight[0]))
        return 2 * float(weight[0])

    assert reweighted(fit, lambda found: np.array([found + 1]), np.array([1.0]), rounds=3) == 14.0
    assert seen == [1.0, 3.0, 7.0]


def test_weights_of_outliers():
    np.testing.assert_allclose(huber(np.array([0.0, 1.0, 2.0, 8.0]), 2.0), [1, 1, 1, 0.25])
    np.testing.assert_allclose(absolute(np.array([0.0, 0.5, 4.0]), 0.5), [2.0, 2.0, 0.25])
    away = np.array([0.0, -BIWEIGHT / 2, BIWEIGHT, 9.0])
    np.testing.assert_allclose(biweight(away), [1.0, 0.5625, 0.0, 0.0])
    np.testing.assert_allclose(biweight_loss(away), [0.0, 1 - 0.75**3, 1.0, 1.0])
