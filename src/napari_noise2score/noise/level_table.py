"""Mean and variance of noise in its unit-noise coordinate, level by level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SMALLEST_VARIANCE = 0.05
"""Noise variance in the unit-noise coordinate below which a level is taken for noise-free."""


@dataclass(frozen=True, slots=True, eq=False)
class VarianceCurve:
    """Noise variance on an even grid of clean levels, all in the unit-noise coordinate.

    Attributes
    ----------
    start, stop : float
        First and last level; beyond them the variance stays what it is there.
    values : (K,) float
        Variance on ``linspace(start, stop, K)``.
    doubt : float
        Standard error that all of them have in common, as a share of them.
    """

    start: float
    stop: float
    values: Array
    doubt: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class LevelTable:
    """Mean and variance of the noisy coordinate ``f(y)`` for each clean value.

    The coordinate makes the variance one only from a few photons up. Below, and where values
    pile up at zero photons, it is smaller; a correction that takes it for one overshoots.

    Attributes
    ----------
    top : float
        Largest clean value that was asked for, grey levels.
    base : float
        A usual value, grey levels.
    zero : float
        Grey level from which heights are counted, which may be far larger than the noise.
    height : (K,) float64
        Clean values above it, grey levels, increasing.
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
        """Another table, with the variance measured at clean coordinates ``level``.

        Beyond these its ratio to that of this table stays what it is at the nearest.
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
        """Mean coordinate of the noisy values of a clean grey level; any shape."""
        height = np.asarray(clean, dtype=np.float64) - self.zero
        return extended(height, self.height, self.mean)

    def clean_value(self, mean: ArrayLike) -> Array:
        """Clean grey level whose noisy values have this mean coordinate; any shape.

        The exact unbiased inverse (Makitalo & Foi 2013), on a straight line outside the table.
        """
        return self.zero + extended(np.asarray(mean, dtype=np.float64), self.mean, self.height)


def extended(at: Array, x: Array, y: Array) -> Array:
    """Linear interpolation of ``y(x)`` that goes on straight at both ends."""
    low = (y[1] - y[0]) / (x[1] - x[0])
    high = (y[-1] - y[-2]) / (x[-1] - x[-2])
    ends = low * np.minimum(at - x[0], 0) + high * np.maximum(at - x[-1], 0)
    return np.asarray(np.interp(at, x, y) + ends)
