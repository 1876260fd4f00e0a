"""Straight lines by weighted least squares, with weights that may depend on the line.

Every line of the noise estimate and of the calibration is fitted here. The variance of a measured
variance grows with its expected value, so the weights follow from the line and the fit is
repeated (`reweighted`); robust fits repeat it with weights that decrease with the distance from
the line (`robust_weights`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Fit = TypeVar('Fit')

_ONE_LEVEL = 1e-13
"""Standard deviation of ``x``, as a share of its mean, which is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class LineFit:
    """Straight line ``height + slope (x - centre)`` through N points.

    Attributes
    ----------
    slope : float
        Slope; 0 if all points have the same ``x``.
    square : float
        Weighted sum of ``(x - centre)^2``; 0 if all points have the same ``x``.
    centre, height : float
        The weighted mean of the points, or the point that the line had to go through.
    fixed : bool
        Whether the line had to go through that point.
    away : (N,) float64
        ``x - centre``.
    fitted : (N,) float64
        The line at the points.
    residual : (N,) float64
        Points minus line.
    weight : (N,) float64
        Weights of the points.
    """

    slope: float
    square: float
    centre: float
    height: float
    fixed: bool
    away: Array
    fitted: Array
    residual: Array
    weight: Array

    def at(self, x: ArrayLike) -> Array:
        """The line at ``x``, any shape."""
        return np.asarray(self.height + self.slope * (np.asarray(x) - self.centre))

    @property
    def intercept(self) -> float:
        """The line at 0."""
        return self.height - self.slope * self.centre

    @property
    def zero(self) -> float:
        """Where the line is 0; its slope must not be."""
        return self.centre - self.height / self.slope

    @property
    def chi_square(self) -> float:
        """Weighted sum of the squared residuals."""
        return float((self.weight * self.residual**2).sum())

    @property
    def covariance(self) -> Array:
        """Covariance of slope and height, (2, 2), if weights are one over the variance of ``y``.

        The variance of the slope is infinite if all points have the same ``x``.
        """
        of_slope = 1 / self.square if self.square else float('inf')
        of_height = 0.0 if self.fixed else 1 / float(self.weight.sum())
        return np.diag([of_slope, of_height])

    @property
    def sandwich(self) -> Array:
        """The same from the residuals, whatever the weights are.

        Notes
        -----
        White's covariance, ``sum((d b / d y_i)^2 r_i^2)`` for the residuals ``r`` and a
        coefficient ``b``; valid for many points whose errors are independent (White,
        Econometrica 48, 1980).
        """
        pull = self.weight * self.residual
        of_slope = pull * self.away / (self.square or 1.0)
        of_height = np.zeros_like(pull) if self.fixed else pull / float(self.weight.sum())
        influence = np.stack([of_slope, of_height])
        covariance = influence @ influence.T
        if not self.square:
            covariance[0, 0] = float('inf')
        return np.asarray(covariance)

    def zero_error(self, covariance: Array) -> float:
        """Standard error of `zero`, given the covariance of slope and height (2, 2)."""
        gradient = np.array([self.height / self.slope**2, -1 / self.slope])
        return float((gradient @ covariance @ gradient) ** 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class ParallelFit:
    """Straight lines of one slope through G groups of points, N in all.

    Attributes
    ----------
    slope : float
        Slope of all; 0 if all points of each group have the same ``x``.
    square : float
        Weighted sum of the squared distances from the mean ``x`` of a group; 0 in that case.
    intercept : (G,) float64
        Each line at 0.
    fitted : (N,) float64
        The line of its group at each point.
    chi_square : float
        Weighted sum of the squared residuals.
    """

    slope: float
    square: float
    intercept: Array
    fitted: Array
    chi_square: float

    @property
    def slope_error(self) -> float:
        """Standard error of the slope, if weights are one over the variance of ``y``."""
        return 1 / self.square**0.5 if self.square else float('inf')


def fit_line(
    x: Array, y: Array, weight: Array, through: tuple[float, float] | None = None
) -> LineFit:
    """Straight line by weighted least squares.

    Parameters
    ----------
    x, y, weight : (N,) float64
        Points and their weights, >= 0, at least one > 0.
    through : (float, float), optional
        A point ``(x, y)`` that the line has to go through.
    """
    total = float(weight.sum())
    if through is None:
        centre, height = (float((weight * each).sum()) / total for each in (x, y))
    else:
        centre, height = through
    away = x - centre
    square = float((weight * away**2).sum())
    if square <= total * (_ONE_LEVEL * centre) ** 2:
        square = 0.0
    slope = float((weight * away * (y - height)).sum()) / square if square else 0.0
    fitted = height + slope * away
    fixed = through is not None
    return LineFit(slope, square, centre, height, fixed, away, fitted, y - fitted, weight)


def fit_parallel(x: Array, y: Array, weight: Array, group: NDArray[np.intp]) -> ParallelFit:
    """Straight lines of one slope by weighted least squares (analysis of covariance).

    Parameters
    ----------
    x, y, weight : (N,) float64
        Points and their weights, >= 0, at least one of each group > 0.
    group : (N,) int
        Number of the group of each point, 0 to G - 1.
    """
    total = np.bincount(group, weight)
    centre, height = (np.bincount(group, weight * each) / total for each in (x, y))
    away = x - centre[group]
    square = float((weight * away**2).sum())
    if square <= float((total * (_ONE_LEVEL * centre) ** 2).sum()):
        square = 0.0
    slope = float((weight * away * (y - height[group])).sum()) / square if square else 0.0
    fitted = height[group] + slope * away
    chi_square = float((weight * (y - fitted) ** 2).sum())
    return ParallelFit(slope, square, height - slope * centre, fitted, chi_square)


def reweighted(
    fit: Callable[[Array], Fit], weights: Callable[[Fit], Array], start: Array, rounds: int
) -> Fit:
    """Iteratively reweighted least squares.

    Parameters
    ----------
    fit : callable
        Makes a fit from weights (N,).
    weights : callable
        Makes weights (N,) from a fit.
    start : (N,) float64
        Weights of the first fit.
    rounds : int
        Number of fits, >= 1.
    """
    current = fit(start)
    for _ in range(rounds - 1):
        current = fit(weights(current))
    return current
