"""Mean and variance of the unit-noise coordinate as functions of the clean level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SMALLEST_VARIANCE = 0.05
"""Noise variance in the unit-noise coordinate below which a level counts as noise-free."""


@dataclass(frozen=True, slots=True, eq=False)
class VarianceCurve:
    """Noise variance on an even grid of clean levels, all in the unit-noise coordinate.

    Attributes
    ----------
    start, stop : float
        First and last level; beyond them the variance is constant.
    values : (K,) float
        Variance on ``linspace(start, stop, K)``.
    doubt : float
        Relative standard error that all values have in common.
    """

    start: float
    stop: float
    values: Array
    doubt: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class LevelTable:
    """Mean and variance of the noisy coordinate ``f(y)`` for each clean value.

    The variance in the coordinate is one from a few photons on. Below, and where many values are
    zero photons, it is smaller; a correction that uses the value one is too large there.

    Attributes
    ----------
    top : float
        Largest requested clean value, grey levels.
    base : float
        A typical value, grey levels.
    zero : float
        Grey level that heights are relative to; it may be much larger than the noise.
    height : (K,) float64
        Clean values minus `zero`, grey levels, increasing.
    mean : (K,) float64
        ``E[f(y) | x]``, increasing.
    variance : (K,) float64
        ``Var[f(y) | x]``.
    """

    top: float
    base: float
    zero: float
    height: Array
    mean: Array
    variance: Array

    @property
    def clean(self) -> Array:
        """Clean values, grey levels, increasing, (K,)."""
        return self.zero + self.height

    def variance_at(self, t: ArrayLike) -> Array:
        """Noise variance where the clean image has the coordinate ``t``; any shape."""
        return np.interp(np.asarray(t, dtype=np.float64), self.mean, self.variance)

    def measured(self, level: Array, variance: Array) -> LevelTable:
        """A table with the variance that was measured at clean coordinates ``level``.

        Beyond these, the ratio of its variance to that of this table is constant.
        """
        dense = np.union1d(self.mean, level)
        own = self.variance_at(level)
        shares = np.ones_like(own)
        np.divide(variance, own, out=shares, where=own > SMALLEST_VARIANCE)
        share = np.interp(dense, level, shares)
        return replace(
            self,
            height=extended(dense, self.mean, self.height),
            mean=dense,
            variance=share * self.variance_at(dense),
        )

    def curve(self, points: int = 512, doubt: float = 0.0) -> VarianceCurve:
        """The variance on an even grid of ``points`` clean levels, with its relative error."""
        start, stop = float(self.mean[0]), float(self.mean[-1])
        values = self.variance_at(np.linspace(start, stop, points))
        return VarianceCurve(start, stop, values, doubt)

    def mean_of(self, clean: ArrayLike) -> Array:
        """Mean coordinate of the noisy values at a clean grey level; any shape."""
        height = np.asarray(clean, dtype=np.float64) - self.zero
        return extended(height, self.height, self.mean)

    def clean_value(self, mean: ArrayLike) -> Array:
        """Clean grey level whose noisy values have this mean coordinate; any shape.

        The exact unbiased inverse (Makitalo & Foi 2013), with linear extrapolation.
        """
        return self.zero + extended(np.asarray(mean, dtype=np.float64), self.mean, self.height)


def extended(at: Array, x: Array, y: Array) -> Array:
    """Linear interpolation of ``y(x)``, with linear extrapolation at both ends."""
    low = (y[1] - y[0]) / (x[1] - x[0])
    high = (y[-1] - y[-2]) / (x[-1] - x[-2])
    ends = low * np.minimum(at - x[0], 0) + high * np.maximum(at - x[-1], 0)
    return np.asarray(np.interp(at, x, y) + ends)
