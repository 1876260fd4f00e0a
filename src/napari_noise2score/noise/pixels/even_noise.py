r"""Values of noisy pixels, resampled with the noise of the other pixels.

A pixel of variance ``v + e``, where ``v`` is the variance of a reference pixel, is ``y = z + d``:
a value ``z`` with the reference noise, and excess noise ``d`` of variance ``e``. For a clean value
``x`` (data augmentation, Tanner and Wong, J. Am. Stat. Assoc. 82:528, 1987; for shot noise in the
Gaussian approximation)

.. math:: z \mid y, x \sim N\!\left(x + w (y - x),\; w e\right), \qquad w = v / (v + e).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.estimate.noise_fit import NoiseFit
from napari_noise2score.noise.estimate.usable_frames import ValueRange
from napari_noise2score.noise.pixels.maps import PixelMaps

Array = NDArray[np.float64]

_WORTH = 0.1
"""Excess variance from which a pixel is resampled, relative to the reference variance."""
_WIDTH = 1.0
"""Standard deviation of the window of a local mean, pixels."""
_MOSTLY = 0.85
"""Share of the pixels that a noise estimate uses unchanged: those with the lowest read noise."""


def local_mean(values: Array, variance: Array) -> Array:
    """Mean around each pixel, weighted by one over the variance, (Y, X).

    NaN does not count; a pixel without valid neighbours gets the mean of all, and 0 if there are
    none.
    """
    there = np.isfinite(values)
    if not there.any():
        return np.zeros_like(values)
    weight = np.where(there, 1 / variance, 0.0)
    centre = float(np.average(np.where(there, values, 0.0), weights=weight))
    total = ndimage.gaussian_filter(weight * np.where(there, values - centre, 0.0), _WIDTH)
    around = ndimage.gaussian_filter(weight, _WIDTH)
    least = 1e-12 * float(weight.max())
    away = np.divide(total, around, out=np.zeros_like(total), where=around > least)
    return np.asarray(centre + away)


def with_reference_noise(
    values: Array, clean: Array, reference: Array, excess: Array, noise: NDArray[np.float32]
) -> Array:
    """One realisation of noisy values with the reference noise, (Y, X) grey levels.

    Parameters
    ----------
    values, clean : (Y, X) float64
        Noisy values and clean values.
    reference, excess : (Y, X) float64
        Variance of the reference noise there, and excess variance of each pixel; pixels with a
        small or negative excess do not change.
    noise : (Y, X) float32
        Standard normal numbers.
    """
    noisy = excess > _WORTH * reference
    more = np.where(noisy, excess, 0.0)
    share = reference / (reference + more)
    drawn = clean + share * (values - clean) + np.sqrt(share * more) * noise
    return np.where(noisy & np.isfinite(values), drawn, values)


def without_map(values: Array, maps: PixelMaps, offset: float, rail: float = np.inf) -> Array:
    """Values (Y, X) with one offset, grey levels; values at the saturation level ``rail`` do not
    change.
    """
    return np.where(values < rail, values - (maps.offset - offset), values)


class EvenSample:
    """Frames of a sample for the noise estimate, with nearly the same read noise in all pixels.

    The noisiest pixels are resampled with the mean read noise of the others, from their local
    mean.

    Parameters
    ----------
    stacks : list of (T, Y, X) float64
        The frames, NaN where they are blank, with the pixels of the maps.
    maps : PixelMaps
        Maps of the same pixels.
    offset : float
        The single offset that replaces those of the map.
    last : float
        The largest possible value.
    """

    def __init__(
        self, stacks: list[Array], maps: PixelMaps, offset: float, last: float = np.inf
    ) -> None:
        self._rail = ValueRange((frame for stack in stacks for frame in stack), last).rail[0]
        self._raw = stacks
        self._stacks = [without_map(stack, maps, offset, self._rail) for stack in stacks]
        self._variance = maps.variance.astype(np.float64)
        self._bound = float(np.quantile(self._variance, _MOSTLY))
        self.read_noise = float(self._variance[self._variance <= self._bound].mean()) ** 0.5
        self._offset = offset

    def at(self, gain: float | None) -> list[Array]:
        """The frames, for noise of this gain; if None, the gain is estimated from the quieter
        pixels.
        """
        return [self._even(stack, gain, number) for number, stack in enumerate(self._stacks)]

    def _even(self, stack: Array, gain: float | None, number: int) -> Array:
        rng = np.random.default_rng([number, len(stack)])
        even = np.stack([self._frame(frame, gain, rng) for frame in stack])
        # saturated values stay saturated, and no value is above them
        return np.where(
            self._raw[number] < self._rail, np.minimum(even, self._rail), self._raw[number]
        )

    def _frame(self, frame: Array, gain: float | None, rng: np.random.Generator) -> Array:
        weights = self._variance + max(float(np.nanmean(frame)) - self._offset, 0.0) * (gain or 1)
        clean = local_mean(frame, weights)
        quiet = self._variance <= self._bound
        if gain is None:
            light = np.maximum(clean - self._offset, 0.0)[quiet]
            rest = ((frame - clean) ** 2 - self._variance)[quiet]
            gain = max(float(np.nansum(rest)), 0.0) / max(float(light.sum()), 1e-12)
        reference = self.read_noise**2 + gain * np.maximum(clean - self._offset, 0.0)
        excess = np.where(quiet, 0.0, self._variance - self.read_noise**2)
        noise = rng.standard_normal(frame.shape, dtype=np.float32)
        return with_reference_noise(frame, clean, reference, excess, noise)


def with_read_noise(fit: NoiseFit, seen: float, stated: float) -> NoiseFit:
    """An estimate from pixels of the mean read noise ``seen``, converted to the read noise
    ``stated``.
    """
    more = stated**2 - seen**2
    least = 1e-3 * fit.evidence.variance
    evidence = replace(fit.evidence, variance=np.maximum(fit.evidence.variance + more, least))
    line = fit.line
    if line.rises:
        line = replace(line, read_noise=max(line.read_noise**2 + more, 0.0) ** 0.5)
    return replace(fit, line=line, evidence=evidence)
