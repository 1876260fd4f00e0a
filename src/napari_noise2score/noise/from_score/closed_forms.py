r"""NoiseAdaptive2Score: the noise in closed form from the score at two values of a pixel.

For noise of variance ``phi x^rho`` (Tweedie: rho 0 Gaussian, 1 Poisson, 2 Gamma) the clean
estimate is, with the score ``s`` at ``y`` ([1]_, from the saddle point approximation),

.. math:: \hat x = y (1 + (1-\rho) a)^{1/(1-\rho)}, \quad
          a = \phi y^{\rho-1} \left(\frac{\rho}{2y} + s\right)

The one assumption of [1]_: when a little noise is added, ``y' = y + delta``, the clean estimate
does not change. Setting both estimates equal,

.. math:: \frac{y'^{1-\rho} - y^{1-\rho}}{1-\rho}
          = -\phi \left[ s' - s + \frac{\rho}{2} \left(\frac1{y'} - \frac1y\right) \right]

gives the level in closed form for each family. In the limit it is ``V(y) = -1 / (ds/dy)``: the
slope of the score is minus one over the noise variance.

**Bias.** A clean estimate does depend on its own pixel, with a slope ``b = d xhat / dy`` between 0
and 1 that is small where the surroundings determine the pixel. For Gaussian noise ``ds/dy`` is
exactly ``-(1 - b) / sigma^2``, so the variance is too large by ``1 / (1 - b)``: the closed form is
an upper bound of the noise. The score does not contain the information to separate ``b`` from a
lower noise.

**Aggregation.** The authors use the median over pixels of a ratio, whose denominator changes sign
if the score of a pixel depends on its neighbours. Here sums over pixels are divided: the influence
of the neighbours, as often positive as negative, averages out. All functions take arrays of one
shape, any number of axes, in one intensity unit, and return floats; NaN where the score does not
decrease with ``y``, so that no noise agrees with it.

References
----------
.. [1] Kim, Kwon & Ye, "Noise distribution adaptive self-supervised image denoising using
   Tweedie distribution and score matching", CVPR 2022, arXiv 2112.03696. Levels as in the authors'
   code (``forward_search_gau``, ``_poi``, ``_gamma``), pooled as above. Their equation for rho,
   ``c rho^2 + c (2ys - 2) rho + 2 (y's' - ys) - 4 c ys = 0`` with ``c = log(y'/y)``, follows if
   ``a`` instead of the clean estimate does not change, which is wrong for scores of noise of known
   rho; `tweedie_power` uses the clean estimate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.line_fit import fit_line

Array = NDArray[np.floating[Any]]

_BINS = 24
_DARKEST = 0.02
"""Lower end of the range of intensities, relative to the range, that is not used for a power
law."""
_LEAST_SIGNAL = 2.0
"""Intensity over noise below which the limit of small noise does not hold."""
_LEAST_CONTRAST = 1.5
"""Minimum ratio of the brightest to the darkest pool to measure a power."""


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
    r"""Gain of photon noise for a given offset and read noise.

    The first-order estimate ``(y - o + g/2 + r^2 s) exp(g s)`` does not change if ``-(ds/dy) (g (y
    - o) + g^2/2 + g r^2 s + r^2) = 1``, which is a quadratic equation in ``g`` after averaging
    over pixels. Without read noise and for one pixel it is the authors' ``g = -y + sqrt(y^2 - 2
    (y'-y)/(s'-s))``.

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
        Grey levels per photon. In addition to the common bias, the first-order form has a relative
        error of about one over the number of photons: do not rely on it below 3 photons per pixel.
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
        Too small: ``k - 1`` becomes ``(k - 1) (1 - b) - b`` with
        ``b = d log xhat / d log y``.
    """
    inverse = 1 / moved - 1 / y
    shape = 1 + float(((moved_score - score) * inverse).sum() / (inverse**2).sum())
    return shape if shape > 1 else float('nan')


def tweedie_power(
    y: Array, score: Array, moved: Array, moved_score: Array, *, offset: float = 0.0
) -> tuple[float, float]:
    r"""Power and dispersion of a variance ``phi x^rho``; the power shows the family.

    In the limit of small noise the equation of the module is ``y^-rho = phi (rho / (2 y^2) -
    ds/dy)``. Pixels are pooled by intensity, and its logarithm is a straight line of the slope
    ``-rho`` in ``log y``, which is fitted again with each new ``rho``.

    Parameters
    ----------
    y, score : array
        Values of pixels and the score there.
    moved, moved_score : array
        The same pixels with a little noise added, and the score there.
    offset : float
        Intensity of a pixel without light; it is subtracted, because a power law needs a zero.

    Returns
    -------
    power, dispersion : float
        ``rho`` (0 Gaussian, 1 Poisson, 2 Gamma) and ``phi``, in intensity units to the power ``2 -
        rho``. Unbiased in ``rho`` if ``b`` is the same at all intensities. NaN if the pixels that
        are twice as bright as their noise have too small a range of intensities.
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
