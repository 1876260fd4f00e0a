r"""NoiseAdaptive2Score: the noise in closed form from the score at two values of a pixel.

For noise of variance ``phi x^rho`` (Tweedie: rho 0 Gaussian, 1 Poisson, 2 Gamma) the clean
estimate is, with the score ``s`` at ``y`` ([1]_, from the saddle point approximation),

.. math:: \hat x = y (1 + (1-\rho) a)^{1/(1-\rho)}, \quad
          a = \phi y^{\rho-1} \left(\frac{\rho}{2y} + s\right)

The one assumption of [1]_: when a little noise is added, ``y' = y + delta``, the clean estimate
stays where it is. Setting both estimates equal,

.. math:: \frac{y'^{1-\rho} - y^{1-\rho}}{1-\rho}
          = -\phi \left[ s' - s + \frac{\rho}{2} \left(\frac1{y'} - \frac1y\right) \right]

has the level in closed form for each family. In the limit it reads ``V(y) = -1 / (ds/dy)``: how
fast the score falls is one over the noise variance.

**Bias.** A clean estimate does depend on its own pixel, with a slope ``b = d xhat / dy`` between
0 and 1 that is small where the surroundings tell the pixel. For Gaussian noise ``ds/dy`` is
exactly ``-(1 - b) / sigma^2``, so the variance comes out too large by ``1 / (1 - b)``: the closed
form is an upper bound of the noise. Nothing in the score can tell ``b`` from less noise.

**Aggregation.** The authors take the median over pixels of a ratio, whose denominator changes
sign when the score of a pixel depends on its neighbours. Here sums over pixels are divided; the
influence of the neighbours, as often positive as negative, then averages out. All functions take
arrays of one shape, any number of axes, in one intensity unit, and return floats; NaN where the
score does not fall with ``y``, so that no noise fits.

References
----------
.. [1] Kim, Kwon & Ye, "Noise distribution adaptive self-supervised image denoising using
   Tweedie distribution and score matching", CVPR 2022, arXiv 2112.03696. Levels as in the
   authors' code (``forward_search_gau``, ``_poi``, ``_gamma``), pooled as above. Their equation
   for rho, ``c rho^2 + c (2ys - 2) rho + 2 (y's' - ys) - 4 c ys = 0`` with ``c = log(y'/y)``,
   follows if ``a`` instead of the clean estimate stays the same, which scores of noise of known
   rho do not obey; `tweedie_power` keeps to the clean estimate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.line_fit import fit_line

Array = NDArray[np.floating[Any]]

_BINS = 24
_DARKEST = 0.02
"""Share of the range of intensities from 0 up that says nothing about a power of it."""
_LEAST_SIGNAL = 2.0
"""Intensity over noise below which the limit of small noise does not hold."""
_LEAST_CONTRAST = 1.5
"""Brightest over darkest pool below which no power can be told."""


def gaussian_variance(
    y: Array, score: Array, moved: Array, moved_score: Array, *, extra: float = 0.0
) -> float:
    r"""Variance of Gaussian noise, ``-(y' - y) / (s' - s) - extra``.

    Parameters
    ----------
    y, score : array
        Values of pixels and the score there.
    moved, moved_score : array
        The same pixels with a little noise added, and the score there.
    extra : float
        Variance of a perturbation that the score includes, which is not noise of the image.

    Returns
    -------
    float
        In squared intensity units; too large by ``1 / (1 - b)``, and by as much of ``extra``.
    """
    fall = _fall(y, score, moved, moved_score)
    return 1 / fall - extra if fall > 0 else float('nan')


def poisson_gain(
    y: Array,
    score: Array,
    moved: Array,
    moved_score: Array,
    *,
    offset: float,
    read_noise: float = 0.0,
) -> float:
    r"""Gain of photon noise, with offset and read noise held.

    The first-order estimate ``(y - o + g/2 + r^2 s) exp(g s)`` stays the same if
    ``-(ds/dy) (g (y - o) + g^2/2 + g r^2 s + r^2) = 1``, a quadratic equation in ``g`` once
    averaged over pixels. Without read noise and for one pixel it is the authors'
    ``g = -y + sqrt(y^2 - 2 (y'-y)/(s'-s))``.

    Parameters
    ----------
    y, score : array
        Values of pixels, grey levels, and the score there.
    moved, moved_score : array
        The same pixels with a little noise added, and the score there.
    offset, read_noise : float
        Grey level without light; standard deviation of the read noise, grey levels.

    Returns
    -------
    float
        Grey levels for a photon. Besides the common bias, the first-order form is off by a
        share of about a photon in a few: do not rely on it below 3 photons a pixel.
    """
    fall = _fall(y, score, moved, moved_score)
    light = _fall(y, score, moved, moved_score, weight=y - offset + read_noise**2 * score)
    root = light**2 + 2 * fall * (1 - fall * read_noise**2)
    if not fall > 0 or not root >= 0:
        return float('nan')
    gain = (root**0.5 - light) / fall
    return gain if gain > 0 else float('nan')


def gamma_shape(y: Array, score: Array, moved: Array, moved_score: Array) -> float:
    r"""Shape ``k`` of Gamma noise: ``k - 1 = (s' - s) / (1/y' - 1/y)``.

    Parameters
    ----------
    y, score : array
        Values of pixels, > 0, and the score there.
    moved, moved_score : array
        The same pixels with a little noise added, > 0, and the score there.

    Returns
    -------
    float
        Too small, for ``k - 1`` comes out as ``(k - 1) (1 - b) - b`` with
        ``b = d log xhat / d log y``.
    """
    inverse = 1 / moved - 1 / y
    shape = 1 + float(((moved_score - score) * inverse).sum() / (inverse**2).sum())
    return shape if shape > 1 else float('nan')


def tweedie_power(
    y: Array, score: Array, moved: Array, moved_score: Array, *, offset: float = 0.0
) -> tuple[float, float]:
    r"""Power and dispersion of a variance ``phi x^rho``: which family it is.

    In the limit of small noise the equation of the module reads
    ``y^-rho = phi (rho / (2 y^2) - ds/dy)``. Pixels are pooled by intensity, and its logarithm is
    a straight line of the slope ``-rho`` in ``log y``, solved again as ``rho`` gets known.

    Parameters
    ----------
    y, score : array
        Values of pixels and the score there.
    moved, moved_score : array
        The same pixels with a little noise added, and the score there.
    offset : float
        Intensity of a pixel without light; taken off, for a power needs a zero.

    Returns
    -------
    power, dispersion : float
        ``rho`` (0 Gaussian, 1 Poisson, 2 Gamma) and ``phi``, in intensity units to the power
        ``2 - rho``. Unbiased in ``rho`` if ``b`` is the same at all intensities. NaN if the
        pixels that are twice as bright as their noise differ too little to tell.
    """
    light = (y - offset).ravel()
    change, step = (a.ravel() for a in (moved_score - score, moved - y))
    bright = light > _DARKEST * np.quantile(light, 0.99)
    light, change, step = (a[bright] for a in (light, change, step))
    if light.size < _BINS:
        return float('nan'), float('nan')
    place = np.argsort(light, kind='stable')
    parts = np.array_split(place, _BINS)
    level = np.exp([np.log(light[part]).mean() for part in parts])
    fall = np.array([-(change[p] * step[p]).sum() / (step[p] ** 2).sum() for p in parts])
    power, constant = 0.0, 0.0
    for _ in range(20):
        corrected = fall + power / (2 * level**2)
        usable = (corrected > 0) & (fall * level**2 > _LEAST_SIGNAL**2)
        if usable.sum() < 3 or level[usable].max() < _LEAST_CONTRAST * level[usable].min():
            return float('nan'), float('nan')
        logs = np.log(np.stack([level[usable], corrected[usable]]).astype(np.float64))
        fit = fit_line(logs[0], logs[1], np.ones_like(logs[0]))
        power, constant = -fit.slope, fit.intercept
    return power, float(np.exp(-constant))


def _fall(
    y: Array, score: Array, moved: Array, moved_score: Array, weight: Array | float = 1.0
) -> float:
    """Mean of ``weight`` times ``-ds/dy``, as a ratio of sums."""
    step = moved - y
    return float(-(weight * step * (moved_score - score)).sum() / (step**2).sum())
