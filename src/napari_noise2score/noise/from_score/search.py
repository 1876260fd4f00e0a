"""Minimum of a noisy criterion over a positive parameter: grid, then golden section."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_GOLDEN = (5**0.5 - 1) / 2
_LARGE = 1e100


@dataclass(frozen=True, slots=True, eq=False)
class Minimum:
    """The minimum of a criterion.

    Attributes
    ----------
    value : float
        The parameter.
    error : float
        Its standard error, from a jackknife over parts of the image; 0 with one part.
    grid, criterion : (G,) float64
        Parameters on the grid and the criterion there, for a plot.
    at_edge : bool
        Whether the smallest value is at an end of the grid, so that it is not a minimum.
    """

    value: float
    error: float
    grid: Array
    criterion: Array
    at_edge: bool


def minimise(
    criterion: Callable[[float], NDArray[np.floating[Any]]],
    low: float,
    high: float,
    *,
    points: int = 41,
    refinements: int = 16,
) -> Minimum:
    """Search a logarithmic grid, then refine between the neighbours of the best point.

    Parameters
    ----------
    criterion : callable
        Gives the criterion of each part of the image, (K,), for a parameter. The mean is
        minimised; values that are not finite count as 1e100.
    low, high : float
        Ends of the grid, 0 < low < high.
    points : int
        Number of points of the grid, and of calls of the criterion.
    refinements : int
        Number of steps of the golden section, one call each.
    """
    grid = np.geomspace(low, high, points)
    each = np.stack([_finite(criterion(float(value))) for value in grid])
    mean = each.mean(axis=1)
    best = int(np.argmin(mean))
    at_edge = best in (0, points - 1)
    value = float(grid[best])
    if not at_edge:
        value = _golden(
            lambda log: float(_finite(criterion(float(np.exp(log)))).mean()),
            float(np.log(grid[best - 1])),
            float(np.log(grid[best + 1])),
            refinements,
        )
    return Minimum(value, _jackknife(grid, each, value), grid, mean, at_edge)


def _finite(values: NDArray[np.floating[Any]]) -> Array:
    """Values in which those that are not finite are replaced by a very large one."""
    values = np.atleast_1d(np.asarray(values, dtype=np.float64))
    return np.where(np.isfinite(values), values, _LARGE)


def _golden(criterion: Callable[[float], float], low: float, high: float, steps: int) -> float:
    """Exponential of the minimum between ``low`` and ``high`` (logarithms)."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = criterion(left), criterion(right)
    for _ in range(steps):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = criterion(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = criterion(right)
    return float(np.exp((low + high) / 2))


def _jackknife(grid: Array, each: Array, value: float) -> float:
    """Standard error of the minimum, from the minima with one part of the image left out."""
    count = each.shape[1]
    if count < 2:
        return 0.0
    total = each.sum(axis=1)
    minima = np.log([_parabola(grid, total - each[:, part]) for part in range(count)])
    variance = (count - 1) / count * float(((minima - minima.mean()) ** 2).sum())
    return value * float(variance**0.5)


def _parabola(grid: Array, criterion: Array) -> float:
    """Minimum of the parabola through the best point and its neighbours, in the logarithm."""
    best = int(np.clip(np.argmin(criterion), 1, len(grid) - 2))
    before, at, after = criterion[best - 1 : best + 2]
    curve = before - 2 * at + after
    shift = 0.5 * (before - after) / curve if curve > 0 else 0.0
    step = float(np.log(grid[1] / grid[0]))
    return float(grid[best] * np.exp(np.clip(shift, -1, 1) * step))
