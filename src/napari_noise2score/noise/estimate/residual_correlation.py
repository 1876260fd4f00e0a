"""Correlation of the noise of a single image, from the residual of a denoiser.

The residual is not the noise: a denoiser leaves part of the noise in the image, and removes fine
structure. The part of a correlation that is in the residual is therefore measured on synthetic
noise, added to the denoised image and denoised again (a parametric bootstrap, Efron and Tibshirani
1993, section 6.5). The estimate is corrected by the difference between the two autocorrelations,
and the measurement is repeated with noise of that correlation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.correlation import REACH, Correlation, lagged_products
from napari_noise2score.noise.estimate.flat_patches import is_smoothed, response
from napari_noise2score.noise.estimate.noise_fit import NoiseFit

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

Denoise = Callable[[Array], Array]
"""Clean level (Y, X) of a noisy plane (Y, X); both in the unit-noise coordinate."""

_ROUNDS = 3
"""Measurements with synthetic noise."""
_FLATTEST = 0.4
"""Share of the pixels that are used: those with the least variation of the denoised image around
them."""
_SMOOTHED, _AROUND = 3.0, 15
"""Standard deviation of the smoothing whose remainder is structure, and side of its mean."""
_NEAR = 4
"""Largest distance in pixels at which a correlation is measured."""
_STANDARD_ERRORS = 4.0
"""Correlations below this many standard errors are set to zero."""
_FEWEST = 1000
"""Minimum number of pixels to measure a correlation."""
_FAR = 4.0
"""Noise standard deviations at which the residual is clipped: hot pixels, structure."""
_LEAST_RESPONSE = 0.05
"""Lower limit of the share of the noise that the filter of single frames passes."""


def from_residual(
    noisy: Array, there: Mask, denoise: Denoise, variance: Callable[[Array], Array]
) -> Correlation | None:
    """Correlation of the noise of one plane; None if too few of its pixels are usable.

    Parameters
    ----------
    noisy : (Y, X) float64
        The plane in the unit-noise coordinate, finite everywhere.
    there : (Y, X) bool
        Pixels that count.
    denoise : callable
        Gives the clean level of a noisy plane.
    variance : callable
        Gives the noise variance at a clean level, in the unit-noise coordinate.
    """
    if there.sum() < _FEWEST:
        return None
    clean = denoise(noisy)
    mask = there & _flattest(clean, there)
    if mask.sum() < _FEWEST:
        return None
    noise = np.sqrt(np.maximum(variance(clean), 0.0))
    most = _FAR * noise
    power, measured, pairs = _autocorrelation(noisy - clean, mask, most)
    if not power > 0:
        return None
    error = (2 / pairs) ** 0.5
    estimate = np.zeros_like(measured)
    estimate[REACH, REACH] = 1.0
    near = np.zeros_like(estimate)
    near[REACH - _NEAR : REACH + _NEAR + 1, REACH - _NEAR : REACH + _NEAR + 1] = 1.0
    for turn in range(_ROUNDS):
        drawn = Correlation(estimate).sample(noisy.shape, np.random.default_rng(turn))
        drawn = clean + noise * drawn
        again, left, _ = _autocorrelation(drawn - denoise(drawn), mask, most)
        if not again > 0:
            return None
        estimate = estimate + near * (measured - left)
        estimate[np.abs(estimate) < _STANDARD_ERRORS * error] = 0.0
        estimate[REACH, REACH] = 1.0
        noise = noise * (power / again) ** 0.5
    correlation = Correlation(estimate)
    if not correlation.relevant.is_white and not is_smoothed(correlation):
        return None
    return correlation if correlation.detectable else Correlation.white()


def with_correlation(fit: NoiseFit, correlation: Correlation) -> NoiseFit:
    """An estimate from single frames, corrected for this correlation.

    The filter of single frames passes only a small part of correlated noise, so the variance is
    too small where the correlation is not known.

    Parameters
    ----------
    fit : NoiseFit
        The estimate; its variance is corrected for its own correlation.
    correlation : Correlation
        The correlation measured on the residual.
    """
    before, now = (
        max(response(each), _LEAST_RESPONSE)
        for each in (fit.evidence.correlation or Correlation.white(), correlation)
    )
    share = before / now
    evidence = replace(
        fit.evidence, variance=share * fit.evidence.variance, correlation=correlation
    )
    return replace(fit, line=fit.line.scaled(share), evidence=evidence, refined=True)


def _flattest(clean: Array, there: Mask) -> Mask:
    """Pixels with the least variation of the denoised image around them."""
    rough = ndimage.uniform_filter(
        (clean - ndimage.gaussian_filter(clean, _SMOOTHED)) ** 2, _AROUND
    )
    return np.asarray(rough <= np.quantile(rough[there], _FLATTEST))


def _autocorrelation(residual: Array, mask: Mask, most: Array) -> tuple[float, Array, Array]:
    """Variance, autocorrelation (2 R + 1, 2 R + 1) and pairs of pixels at every distance.

    The means of rows and columns are subtracted first: row noise would add to every distance.
    """
    rest = np.where(mask, np.clip(residual, -most, most), 0.0)
    for axis in (0, 1):
        count = np.maximum(mask.sum(axis=axis, keepdims=True), 1)
        rest = np.where(mask, rest - rest.sum(axis=axis, keepdims=True) / count, 0.0)
    pairs = np.maximum(lagged_products(mask.astype(np.float64)), 1.0)
    covariance = lagged_products(rest) / pairs
    power = float(covariance[REACH, REACH])
    kernel = covariance / power if power > 0 else covariance
    return power, (kernel + kernel[::-1, ::-1]) / 2, pairs
