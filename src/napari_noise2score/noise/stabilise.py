r"""The unit-noise coordinate ``t = f(y)`` and the exact change of variables of a score.

For noise of variance ``a y + b`` the generalised Anscombe transform

.. math:: f(y) = \frac{2}{a} \sqrt{a y + b + \tfrac{3}{8} a^2}

gives noise of a standard deviation near one at every level (Murtagh, Starck & Bijaoui 1995;
Makitalo & Foi 2013). Below the level without light, where the noise no longer falls with ``y``,
the curve goes on as its tangent, so ``f`` is increasing and invertible on the whole line and does
not stretch the tail of the read noise. With ``a = 0`` it is the plain scaling ``y / sqrt(b)``.

A score moves between coordinates without loss: ``s_y = f'(y) s_t(f(y)) + f''(y) / f'(y)``.
A wrong noise estimate therefore costs training time, not correctness of the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from napari_noise2score.noise.families import AffineVarianceFamily, NoiseFamily

Array = NDArray[np.float64]

ANSCOMBE = 3 / 8

_COUNTED = 300.0
"""Photons up to which the table sums over counts; above, shot noise is taken for Gaussian."""


@dataclass(frozen=True, slots=True)
class UnitNoise:
    """Coordinate in which noise of variance ``slope y + intercept`` has unit variance.

    Parameters
    ----------
    slope : float
        ``a``, grey levels, >= 0. Zero for signal-independent noise.
    intercept : float
        ``b``, squared grey levels; > 0 when ``slope`` is 0.
    dark : float
        Variance of a pixel without light, squared grey levels, >= 0; the tangent begins there.

    Notes
    -----
    All methods take grey levels (or, the inverse, coordinates) of any shape and return float64
    of the same shape.
    """

    slope: float
    intercept: float
    dark: float = 0.0

    @property
    def _least(self) -> float:
        """Argument of the root below which its tangent takes over."""
        return self.dark + ANSCOMBE * self.slope**2

    @property
    def _knee(self) -> tuple[float, float, float]:
        """Grey level of the knee, the coordinate there and the slope of the tangent."""
        a, argument = self.slope, self._least
        level = (self.dark - self.intercept) / a
        return level, 2 / a * argument**0.5, argument**-0.5

    def _argument(self, y: Array) -> Array:
        a = self.slope
        return np.maximum(a * y + self.intercept + ANSCOMBE * a**2, self._least)

    def forward(self, y: ArrayLike) -> Array:
        """Coordinate ``t = f(y)``."""
        y = np.asarray(y, dtype=np.float64)
        if self.slope == 0:
            return np.asarray(y / self.intercept**0.5)
        level, _, tangent = self._knee
        root = 2 / self.slope * np.sqrt(self._argument(y))
        return np.asarray(root + tangent * np.minimum(y - level, 0))

    def inverse(self, t: ArrayLike) -> Array:
        """Grey level whose coordinate is ``t`` (the algebraic inverse, biased for a mean)."""
        t = np.asarray(t, dtype=np.float64)
        a = self.slope
        if a == 0:
            return np.asarray(t * self.intercept**0.5)
        level, knee, tangent = self._knee
        root = ((a * np.maximum(t, knee) / 2) ** 2 - self.intercept - ANSCOMBE * a**2) / a
        below: Array = np.minimum(t - knee, 0) / tangent
        return np.where(t < knee, level + below, root)

    def derivative(self, y: ArrayLike) -> Array:
        """``f'(y)``, per grey level, always positive."""
        y = np.asarray(y, dtype=np.float64)
        if self.slope == 0:
            return np.full(y.shape, self.intercept**-0.5)
        return np.asarray(self._argument(y) ** -0.5)

    def log_derivative_slope(self, y: ArrayLike) -> Array:
        """``f''(y) / f'(y)``, per grey level; 0 on the tangent."""
        y = np.asarray(y, dtype=np.float64)
        if self.slope == 0:
            return np.zeros(y.shape)
        argument = self._argument(y)
        curved = argument > self._least
        return np.where(curved, -self.slope / 2 / argument, 0.0)

    def score_to_image(self, y: ArrayLike, score: ArrayLike) -> Array:
        """Score ``d log p / dy`` (per grey level) from the score ``d log p / dt`` at ``f(y)``."""
        return np.asarray(self.derivative(y) * np.asarray(score) + self.log_derivative_slope(y))

    def score_from_image(self, y: ArrayLike, score: ArrayLike) -> Array:
        """Score ``d log p / dt`` at ``f(y)`` from the score ``d log p / dy`` (per grey level)."""
        return np.asarray((np.asarray(score) - self.log_derivative_slope(y)) / self.derivative(y))

    def to_dict(self) -> dict[str, float]:
        """Plain representation for JSON; the constructor's keywords."""
        return {'slope': self.slope, 'intercept': self.intercept, 'dark': self.dark}


def unit_noise(family: NoiseFamily) -> UnitNoise:
    """The coordinate in which noise of this family has unit variance.

    Raises
    ------
    TypeError
        For a family that has no coordinate.
    """
    if isinstance(family, AffineVarianceFamily):
        return UnitNoise(float(family.slope), float(family.intercept), float(family.dark))
    raise TypeError(f'{type(family).__name__} has no unit-noise coordinate')


@dataclass(frozen=True, slots=True, eq=False)
class VarianceCurve:
    """Noise variance on an even grid of clean levels, all in the unit-noise coordinate.

    Attributes
    ----------
    start, stop : float
        First and last level; beyond them the variance stays what it is there.
    values : (K,) float
        Variance on ``linspace(start, stop, K)``.
    """

    start: float
    stop: float
    values: Array


@dataclass(frozen=True, slots=True, eq=False)
class LevelTable:
    """What the noise of a family looks like in its unit-noise coordinate, level by level.

    The coordinate makes the variance one only from a few photons up. Below, and where values
    pile up at zero photons, it is smaller; a correction that takes it for one overshoots.

    Attributes
    ----------
    clean : (K,) float64
        Clean values, grey levels, increasing.
    mean : (K,) float64
        ``E[f(y) | x]``, increasing.
    variance : (K,) float64
        ``Var[f(y) | x]``.
    """

    clean: Array
    mean: Array
    variance: Array

    def variance_at(self, t: ArrayLike) -> Array:
        """Noise variance where the clean image has the coordinate ``t``; any shape."""
        return np.interp(np.asarray(t, dtype=np.float64), self.mean, self.variance)

    def curve(self, points: int = 512) -> VarianceCurve:
        """The variance on an even grid of ``points`` clean levels."""
        start, stop = float(self.mean[0]), float(self.mean[-1])
        return VarianceCurve(start, stop, self.variance_at(np.linspace(start, stop, points)))

    def clean_value(self, mean: ArrayLike) -> Array:
        """Clean grey level whose noisy values have this mean coordinate; any shape.

        The exact unbiased inverse (Makitalo & Foi 2013), on a straight line outside the table.
        """
        mean = np.asarray(mean, dtype=np.float64)
        inside = np.interp(mean, self.mean, self.clean)
        low = (self.clean[1] - self.clean[0]) / (self.mean[1] - self.mean[0])
        high = (self.clean[-1] - self.clean[-2]) / (self.mean[-1] - self.mean[-2])
        return np.asarray(
            inside
            + low * np.minimum(mean - self.mean[0], 0)
            + high * np.maximum(mean - self.mean[-1], 0)
        )


def level_table(family: AffineVarianceFamily, top: float) -> LevelTable:
    """Mean and variance of ``f(y)`` by clean level, by summation over photons and read noise.

    Parameters
    ----------
    family : AffineVarianceFamily
        The noise.
    top : float
        Largest clean value that is needed, grey levels.
    """
    coordinate = unit_noise(family)
    gain = coordinate.slope
    if gain == 0:
        sigma = coordinate.intercept**0.5
        clean = np.array([0.0, max(top, sigma)])
        return LevelTable(clean, clean / sigma, np.ones(2))
    values: dict[str, Any] = family.parameters()
    offset, read_noise = values['offset'], values.get('read_noise', 0.0)
    most = max((top - offset) / gain, 4.0) * 1.1
    rate = np.concatenate([np.linspace(0, 1, 21)[:-1] ** 2, np.geomspace(1, most, 80)])
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)
    weights = weights / weights.sum()
    mean, variance = np.empty((2, len(rate)))
    for place, r in enumerate(rate):
        if r > _COUNTED:
            y = offset + gain * r + (gain**2 * r + read_noise**2) ** 0.5 * nodes
            probability = weights
        else:
            photons = np.arange(int(r + 9 * r**0.5 + 12))
            shot = np.exp(special.xlogy(photons, r) - r - special.gammaln(photons + 1))
            y = offset + gain * photons[:, None] + read_noise * nodes
            probability = shot[:, None] * weights / shot.sum()
        t = coordinate.forward(y)
        mean[place] = (probability * t).sum()
        variance[place] = (probability * (t - mean[place]) ** 2).sum()
    return LevelTable(offset + gain * rate, mean, variance)
