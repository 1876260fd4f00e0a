r"""Bias of an estimate at each level and in the mean, measured on the noisy values.

Noise has the mean zero: ``E[y | x] = x`` for every detector that is not saturated. So the residual
``y - x`` shows the bias of an estimate ``x``, for every distribution of the noise.

*Level by level*: ``E[y - x' | x']`` where ``x'`` does not depend on the pixel's own noise (its own
value was resampled). Otherwise the noise would be on both sides: an estimate that is high because
the pixel is high would become still higher. This is the calibration curve of forecasts.

*As a whole*: the mean of a plane's estimate is set to that of its noisy values. This is one number
for a plane, so its noise is that of a mean.

References
----------
Barlow et al., "Statistical inference under order restrictions", Wiley 1972.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.families import NoiseFamily

Array = NDArray[np.float64]

Parts: TypeAlias = Callable[[], Iterable[tuple[Array, Array]]]
"""Gives noisy values and their estimates, (M,) or (Y, X) grey levels, part by part."""

_LEVELS = 12
"""Number of levels at which the bias is measured; each is the mean of the same number of
pixels."""

_FEWEST = 1000
"""Minimum number of pixels of a level: the standard error of the bias is 3 % of the noise."""

_LEAST_SHARE = 1e-3
"""Minimum of the noise variance in weights, relative to its mean."""

_FAR = 20.0
"""Noise standard deviations, and multiples of the scale of the tail, that noise never reaches."""

_LEAST_COUNTED = 0.5
"""Minimum share of the pixels whose residual has the mean zero, to correct the mean."""

_NEAR_THE_RAIL = 4.0
"""Distance from the saturation level at which values may be clipped, noise standard deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class LevelBias:
    """Bias of an estimate at each level.

    Attributes
    ----------
    level : (K,) float64
        Levels of the estimate, grey levels, increasing.
    lack : (K,) float64
        ``E[y - x | x]`` there, grey levels; linear between the levels, constant beyond.
    """

    level: Array
    lack: Array

    @classmethod
    def measured(cls, clean: Array, noisy: Array) -> LevelBias | None:
        """The bias from estimates that do not depend on the pixel's own value, and that value.

        Each mean is shrunk by Wiener's factor for its standard error, and the order of the levels
        does not change.

        Parameters
        ----------
        clean, noisy : (M,) float64
            Estimates and noisy values, grey levels.

        Returns
        -------
        LevelBias or None
            None where there are too few pixels, or only one level.
        """
        count = min(_LEVELS, clean.size // _FEWEST)
        if count < 2:
            return None
        parts = np.array_split(np.argsort(clean, kind='stable'), count)
        level = np.array([clean[part].mean() for part in parts])
        residuals = [noisy[part] - clean[part] for part in parts]
        lack = np.array([residual.mean() for residual in residuals])
        square = np.array([residual.var() / len(residual) for residual in residuals])
        tiny = np.finfo(np.float64).tiny
        factor = np.maximum(0.0, 1 - square / np.maximum(lack**2, tiny))
        lack = _ordered(level + factor * lack, 1 / np.maximum(square, tiny)) - level
        distinct = np.append(True, np.diff(level) > 0)
        return cls(level[distinct], lack[distinct])

    def subtracted_from(self, clean: Array, family: NoiseFamily) -> Array:
        """Estimates, grey levels, without the bias; any shape.

        Below the lowest level the bias decreases with the light, so that an estimate without light
        does not become negative.
        """
        lowest = float(family.response(self.level[:1])[0])
        share = np.clip(family.response(clean) / lowest, 0, 1) if lowest > 0 else 1.0
        return np.asarray(clean + share * np.interp(clean, self.level, self.lack))


@dataclass(frozen=True, slots=True)
class MeanShift:
    r"""Correction of an estimate that gives it the mean of the noisy values.

    .. math:: x \to x + a\, w(x), \quad a = \sum (y - x) / \sum w(x)

    where `NoiseFamily.response` is ``w``: nearly a factor for photon noise, a constant for noise
    that does not depend on the light.

    Attributes
    ----------
    factor : float
        ``a``.
    lacked : float
        The mean that it adds, grey levels.
    """

    factor: float = 0.0
    lacked: float = 0.0

    @classmethod
    def of(cls, parts: Parts, family: NoiseFamily, rail: float = np.inf) -> MeanShift:
        """The correction of a plane.

        Pixels do not count if their noise reaches the saturation level of the detector, or if
        noise does not explain their residual (hot pixels). If these are most of the pixels that
        are not saturated there is no correction: the others are those whose own noise made them
        dark.

        Parameters
        ----------
        parts : callable
            Gives noisy values and their estimates, grey levels, part by part; it is called several
            times, so that the parts need not be in memory together.
        family : NoiseFamily
            The noise.
        rail : float
            Grey level at which the detector is saturated.
        """
        mean = _mean(family.variance(clean) for _, clean in parts())
        least = _LEAST_SHARE * mean
        least = least if least > 0 else 1.0
        mean = _mean(np.maximum(family.variance(clean), least) for _, clean in parts())
        lack, whole, count, known = 0.0, 0.0, 0, 0
        for noisy, clean in parts():
            counted = _of_noise(noisy, clean, family, rail, least, mean)
            known += int((noisy < rail).sum())
            if counted.any():
                lack += float((noisy - clean)[counted].sum())
                whole += float(family.response(clean)[counted].sum())
                count += int(counted.sum())
        if not whole > 0 or count < _LEAST_COUNTED * known:
            return cls()
        return cls(lack / whole, lack / count)

    def applied(self, clean: Array, family: NoiseFamily) -> Array:
        """Estimates with that mean; any shape, grey levels."""
        return clean + self.factor * family.response(clean) if self.factor else clean


def with_matched_mean(
    noisy: Array, clean: Array, family: NoiseFamily, rail: float = np.inf
) -> tuple[Array, float]:
    """The estimate of a plane with the mean of its noisy values; see `MeanShift`.

    Parameters
    ----------
    noisy, clean : (Y, X) float64
        Noisy values and their estimate, grey levels.
    family, rail
        As of `MeanShift.of`.

    Returns
    -------
    (Y, X) float64, float
        The estimate, and the mean that was added to it, grey levels.
    """
    shift = MeanShift.of(lambda: [(noisy, clean)], family, rail)
    return shift.applied(clean, family), shift.lacked


def _mean(parts: Iterable[NDArray[np.floating]]) -> float:
    """Mean of values that are given part by part; 0 without values."""
    total, count = 0.0, 0
    for part in parts:
        total, count = total + float(np.sum(part, dtype=np.float64)), count + part.size
    return total / max(1, count)


def _of_noise(
    noisy: Array, clean: Array, family: NoiseFamily, rail: float, least: float, mean: float
) -> NDArray[np.bool_]:
    """Pixels whose residual has the mean zero.

    ``least`` is the smallest noise variance of a pixel, ``mean`` that of all pixels.
    """
    variance = np.maximum(np.asarray(family.variance(clean), np.float64), least)
    deviation = np.sqrt(variance)
    # the scale of the tail: the slope of the variance in the mean, in an exponential family
    step = np.sqrt(variance + mean)
    slope = np.maximum(family.variance(clean + step) - variance, 0) / step
    noise = np.abs(noisy - clean) <= _FAR * (deviation + slope)
    below = clean + _NEAR_THE_RAIL * deviation < rail
    return np.asarray(noise & below & np.isfinite(noisy) & np.isfinite(clean))


def _ordered(values: Array, weights: Array) -> Array:
    """The nearest non-decreasing values (K,), by pooling adjacent violators (isotonic
    regression).
    """
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, total, count = value, weight, 1
        while pools and pools[-1][0] > mean:
            other, own, members = pools.pop()
            mean = (own * other + total * mean) / (own + total)
            total, count = own + total, count + members
        pools.append((mean, total, count))
    return np.concatenate([np.full(count, mean) for mean, _, count in pools])
