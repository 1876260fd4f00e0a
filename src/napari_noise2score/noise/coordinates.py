r"""Unit-noise coordinates ``t = f(y)`` and the exact change of variables of a score.

In its coordinate the noise of a family has a standard deviation near one at every level, so one
network is suitable for every microscope. A score is converted between coordinates exactly: ``s_y =
f'(y) s_t(f(y)) + f''(y) / f'(y)``. A wrong noise estimate therefore costs training time, not
correctness of the score.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

ANSCOMBE = 3 / 8
_ROUNDING = 1e-3
"""Part of the argument of a curve by which it may be below the knee and still be on the curve: a
pixel without a photon is exactly at the knee, or beside it by rounding, and its score must not
depend on that."""


class UnitNoise(ABC):
    """A coordinate ``t = f(y)``, increasing and invertible for all real numbers.

    All methods take grey levels (the inverse: coordinates) of any shape and return float64
    of the same shape.
    """

    __slots__ = ()

    @abstractmethod
    def forward(self, y: ArrayLike) -> Array:
        """Coordinate ``t = f(y)``."""

    @abstractmethod
    def inverse(self, t: ArrayLike) -> Array:
        """Grey level whose coordinate is ``t`` (the algebraic inverse, biased for a mean)."""

    @abstractmethod
    def derivative(self, y: ArrayLike) -> Array:
        """``f'(y)``, per grey level, always positive."""

    @abstractmethod
    def log_derivative_slope(self, y: ArrayLike) -> Array:
        """``f''(y) / f'(y)``, per grey level."""

    @abstractmethod
    def to_dict(self) -> dict[str, float]:
        """Plain representation for JSON; the constructor's keywords."""

    def score_to_image(self, y: ArrayLike, score: ArrayLike) -> Array:
        """Score ``d log p / dy`` (per grey level) from the score ``d log p / dt`` at ``f(y)``."""
        return np.asarray(self.derivative(y) * np.asarray(score) + self.log_derivative_slope(y))

    def score_from_image(self, y: ArrayLike, score: ArrayLike) -> Array:
        """Score ``d log p / dt`` at ``f(y)`` from the score ``d log p / dy`` (per grey level)."""
        return np.asarray((np.asarray(score) - self.log_derivative_slope(y)) / self.derivative(y))


@dataclass(frozen=True, slots=True)
class Anscombe(UnitNoise):
    r"""Unit noise for a variance ``slope (y - origin) + intercept``: the generalised Anscombe.

    .. math:: f(y) = \frac{2}{a} \sqrt{a (y - y_0) + b + \tfrac{3}{8} a^2}

    (Murtagh, Starck & Bijaoui 1995; Makitalo & Foi 2013). Below the level without light, the noise
    does not decrease with ``y``: there the curve continues as its tangent, so that it does not
    stretch the tail of the read noise. With ``a = 0`` it is the scaling ``(y - y_0) / sqrt(b)``.

    Parameters
    ----------
    slope : float
        ``a``, grey levels, >= 0. Zero for signal-independent noise.
    intercept : float
        ``b``, squared grey levels; > 0 when ``slope`` is 0.
    dark : float
        Variance of a pixel without light, squared grey levels, >= 0; the tangent begins there.
    origin : float
        ``y_0``, grey levels: subtracted first, so that no precision is lost where it is much
        larger than the noise.
    """

    slope: float
    intercept: float
    dark: float = 0.0
    origin: float = 0.0

    @property
    def _least(self) -> float:
        """Argument of the root below which the tangent is used."""
        return self.dark + ANSCOMBE * self.slope**2

    @property
    def _knee(self) -> tuple[float, float, float]:
        """Knee, where the tangent begins: height above the origin, coordinate, and slope of the
        tangent.
        """
        a, argument = self.slope, self._least
        level = (self.dark - self.intercept) / a
        return level, 2 / a * argument**0.5, argument**-0.5

    def _argument(self, y: Array) -> Array:
        a = self.slope
        return np.asarray(a * y + self.intercept + ANSCOMBE * a**2)

    def _on_curve(self, y: Array) -> Array:
        return np.maximum(self._argument(y), self._least)

    def _height(self, y: ArrayLike) -> Array:
        return np.asarray(np.asarray(y, dtype=np.float64) - self.origin)

    def forward(self, y: ArrayLike) -> Array:
        y = self._height(y)
        if self.slope == 0:
            return np.asarray(y / self.intercept**0.5)
        level, _, tangent = self._knee
        root = 2 / self.slope * np.sqrt(self._on_curve(y))
        return np.asarray(root + tangent * np.minimum(y - level, 0))

    def inverse(self, t: ArrayLike) -> Array:
        t = np.asarray(t, dtype=np.float64)
        a = self.slope
        if a == 0:
            return np.asarray(self.origin + t * self.intercept**0.5)
        level, knee, tangent = self._knee
        root = ((a * np.maximum(t, knee) / 2) ** 2 - self.intercept - ANSCOMBE * a**2) / a
        below: Array = np.minimum(t - knee, 0) / tangent
        return np.asarray(self.origin + np.where(t < knee, level + below, root))

    def derivative(self, y: ArrayLike) -> Array:
        y = self._height(y)
        if self.slope == 0:
            return np.full(y.shape, self.intercept**-0.5)
        return np.asarray(self._on_curve(y) ** -0.5)

    def log_derivative_slope(self, y: ArrayLike) -> Array:
        y = self._height(y)
        if self.slope == 0:
            return np.zeros(y.shape)
        curved = self._argument(y) >= (1 - _ROUNDING) * self._least
        return np.where(curved, -self.slope / 2 / self._on_curve(y), 0.0)

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PowerLaw(UnitNoise):
    r"""Unit noise for a variance ``dispersion y ** power``.

    .. math:: f(y) = \frac{w^{1 - \rho/2}}{(1 - \rho/2) \sqrt\phi}, \quad w = y + \text{shift}

    and ``log(w) / sqrt(phi)`` for a power of 2 (Tibshirani, JASA 1988). Where ``w`` is below
    ``floor`` the curve continues as its tangent.

    Parameters
    ----------
    power : float
        ``rho``, >= 0.
    dispersion : float
        ``phi`` > 0, grey levels to the power ``2 - rho``.
    shift : float
        Added to the grey levels, >= 0; 3/8 of the grey levels per photon for a power of 1.
    floor : float
        Smallest ``w`` on the curve, grey levels, > 0.
    """

    power: float
    dispersion: float
    shift: float
    floor: float

    @property
    def _exponent(self) -> float:
        return 1 - self.power / 2

    def _curve(self, w: Array) -> Array:
        if self._exponent == 0:
            return np.asarray(np.log(w) / self.dispersion**0.5)
        return np.asarray(w**self._exponent / (self._exponent * self.dispersion**0.5))

    @property
    def _knee(self) -> tuple[float, float]:
        """The coordinate at the floor and the slope of the tangent."""
        least = np.float64(self.floor)
        slope = least ** (-self.power / 2) / self.dispersion**0.5
        return float(self._curve(np.asarray(least))), float(slope)

    def _argument(self, y: ArrayLike) -> Array:
        return np.asarray(y, dtype=np.float64) + self.shift

    def forward(self, y: ArrayLike) -> Array:
        w = self._argument(y)
        _, slope = self._knee
        below: Array = slope * np.minimum(w - self.floor, 0)
        return self._curve(np.maximum(w, self.floor)) + below

    def inverse(self, t: ArrayLike) -> Array:
        t = np.asarray(t, dtype=np.float64)
        knee, slope = self._knee
        scaled = np.maximum(t, knee) * self.dispersion**0.5
        if self._exponent == 0:
            w = np.exp(scaled)
        else:
            w = (scaled * self._exponent) ** (1 / self._exponent)
        below: Array = self.floor + np.minimum(t - knee, 0) / slope
        return np.where(t < knee, below, w) - self.shift

    def derivative(self, y: ArrayLike) -> Array:
        w = np.maximum(self._argument(y), self.floor)
        return np.asarray(w ** (-self.power / 2) / self.dispersion**0.5)

    def log_derivative_slope(self, y: ArrayLike) -> Array:
        w = self._argument(y)
        curved = w >= (1 - _ROUNDING) * self.floor
        return np.where(curved, -self.power / 2 / np.maximum(w, self.floor), 0.0)

    def to_dict(self) -> dict[str, float]:
        return asdict(self)
