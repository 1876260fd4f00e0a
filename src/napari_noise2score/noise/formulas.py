r"""Tweedie's formula: the clean estimate from a noisy value and the score there.

Pure functions of arrays, one for each formula, in the image's own units (grey levels): ``y`` is
the noisy value, ``score`` is ``d log p(y) / dy`` per grey level. Every function takes NumPy
arrays and torch tensors alike (any shape, all of one shape), and returns the same kind.

References
----------
.. [1] Kim & Ye, "Noise2Score: Tweedie's approach to self-supervised image denoising without
   clean images", NeurIPS 2021, arXiv 2106.07009.
.. [2] Efron, "Tweedie's formula and selection bias", JASA 2011.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace

Array: TypeAlias = Any
"""A NumPy array or a torch tensor."""

_LARGEST_FACTOR = 10.0
"""Maximum factor of a multiplicative correction."""

_LARGEST_NATURAL = 30.0


def gaussian(y: Array, score: Array, *, sigma: float) -> Array:
    """Posterior mean ``E[x | y] = y + sigma^2 s(y)`` of Gaussian noise ([1]_, eq. 6).

    Parameters
    ----------
    y, score : array
        Noisy values and the score there.
    sigma : float
        Standard deviation of the noise, grey levels.
    """
    return y + sigma**2 * score


def poisson(y: Array, score: Array, *, gain: float, offset: float) -> Array:
    r"""First-order estimate of Poisson noise, the paper's form ([1]_, Table 1).

    ``offset + (y - offset + gain / 2) exp(gain s(y))``. It replaces ``p(y + gain) / p(y)`` by
    ``exp(gain s(y))`` and is biased at a few photons per pixel; `poisson_gaussian_chained` with
    ``read_noise=0`` is exact.

    Parameters
    ----------
    y, score : array
        Noisy values and the score there.
    gain, offset : float
        Grey levels for a photon; grey level without light.
    """
    xp = array_namespace(y, score)
    return offset + (y - offset + gain / 2) * xp.exp(gain * score)


def poisson_gaussian_paper(
    y: Array, score: Array, *, gain: float, offset: float, read_noise: float
) -> Array:
    """First-order chain, Gaussian then Poisson, both at the pixel's own value.

    ``offset + (y - offset + gain / 2 + read_noise^2 s(y)) exp(gain s(y))``: the limit of
    `poisson_gaussian_chained` for a small gain. At a few photons per pixel it is 3 to 15 % too
    low.

    Parameters
    ----------
    y, score : array
        Noisy values and the score there.
    gain, offset, read_noise : float
        Grey levels for a photon; grey level without light; standard deviation of the read noise.
    """
    xp = array_namespace(y, score)
    return offset + (y - offset + gain / 2 + read_noise**2 * score) * xp.exp(gain * score)


def poisson_gaussian_chained(
    y: Array,
    shifted_score: Array,
    log_ratio: Array,
    *,
    gain: float,
    offset: float,
    read_noise: float,
) -> Array:
    r"""Exact posterior mean of mixed Poisson-Gaussian noise: Gaussian, then Poisson.

    With ``y = offset + gain z + n``, ``z ~ Poisson((x - offset) / gain)``,
    ``n ~ N(0, read_noise^2)``:

    .. math:: E[x|y] = o + \left[(y - o + g) + \sigma^2 s(y + g)\right] \frac{p(y+g)}{p(y)}

    because ``x Pois(z; x/g) = g (z + 1) Pois(z + 1; x/g)`` shifts the pixel up by one photon; the
    remaining step is Gaussian Tweedie at the shifted value. Only the pixel's own value is shifted.

    Parameters
    ----------
    y : array
        Noisy values.
    shifted_score : array
        Score at ``y + gain``.
    log_ratio : array
        ``log p(y + gain) - log p(y)``, the integral of the score between the two
        (`log_ratio_by_quadrature`).
    gain, offset, read_noise : float
        Grey levels for a photon; grey level without light; standard deviation of the read
        noise. For an image with a perturbation of ``sigma_a``, the read noise is
        ``sqrt(read_noise^2 + sigma_a^2)`` and the result stays exact for the perturbed image.
    """
    xp = array_namespace(y, shifted_score, log_ratio)
    gaussian_step = y - offset + gain + read_noise**2 * shifted_score
    return offset + gaussian_step * xp.exp(log_ratio)


def log_ratio_by_quadrature(
    score: Callable[[Array], Array], y: Array, *, gain: float, nodes: int = 16
) -> Array:
    """``log p(y + gain) - log p(y)``, the integral of ``score`` by Gauss-Legendre quadrature.

    Parameters
    ----------
    score : callable
        Score at given values of the pixel, for fixed surroundings.
    y : array
        Noisy values, the lower limits of the integral.
    gain : float
        Length of the interval, grey levels.
    nodes : int
        Number of points of the quadrature, and of calls of ``score``.
    """
    points, weights = np.polynomial.legendre.leggauss(nodes)
    total = 0.0 * y
    for point, weight in zip(points, weights, strict=True):
        total = total + float(weight) * score(y + gain * float(point + 1) / 2)
    return total * (gain / 2)


def gamma(y: Array, score: Array, *, shape: float) -> Array:
    r"""``k y / ((k - 1) - y s(y))`` of Gamma noise ``y = x G(k, 1/k)`` ([1]_, Table 1).

    The posterior mean of the natural parameter mapped back, ``1 / E[1/x | y]``; it is below ``E[x
    | y]``. The result is at most ten times ``y``: where the score is so wrong that the denominator
    is near 0, the formula is not valid.

    Parameters
    ----------
    y, score : array
        Noisy values, >= 0, and the score there.
    shape : float
        ``k`` > 0.
    """
    xp = array_namespace(y, score)
    denominator = (shape - 1) - y * score
    least = shape / _LARGEST_FACTOR
    return shape * y / xp.where(denominator > least, denominator, 0 * y + least)


def exponential(y: Array, score: Array) -> Array:
    """``-1 / s(y)`` of exponential noise ([1]_, Table 1), `gamma` of shape 1.

    The posterior mean of the natural parameter mapped back, ``1 / E[1/x | y]``.

    Parameters
    ----------
    y, score : array
        Noisy values, >= 0, and the score there.
    """
    return gamma(y, score, shape=1.0)


def bernoulli(natural: Array) -> Array:
    """``1 / (1 + exp(-s))`` of binary values ([1]_, Table 1).

    The posterior mean of the natural parameter ``log(x / (1 - x))`` mapped back.

    Parameters
    ----------
    natural : array
        That mean: the score, or better the step ``log p(1) - log p(0)``.
    """
    xp = array_namespace(natural)
    return 1 / (1 + xp.exp(-xp.clip(natural, -_LARGEST_NATURAL, _LARGEST_NATURAL)))


def tweedie(y: Array, score: Array, *, power: float, dispersion: float) -> Array:
    r"""Universal form for a variance ``phi x ** rho`` (NoiseAdaptive2Score [3]_, eq. 10).

    .. math:: y \left[1 + (1 - \rho) a\right]^{1 / (1 - \rho)}, \quad
        a = \phi y^{\rho - 1} \left(\frac{\rho}{2 y} + s(y)\right)

    and ``y exp(a)`` for a power of 1. The posterior mean of the natural parameter mapped back,
    under a saddle-point approximation that fails as ``y`` goes to 0: below a power of 2, values
    below half a unit of ``phi ** (1 / (2 - rho))`` (half a photon) are raised to it. The result is
    at most ten times that ``y``.

    Parameters
    ----------
    y, score : array
        Noisy values, >= 0, and the score there.
    power : float
        ``rho``, 1 to 2.
    dispersion : float
        ``phi`` > 0.

    References
    ----------
    .. [3] Kim, Kwon & Ye, "Noise distribution adaptive self-supervised image denoising using
       Tweedie distribution and score matching", CVPR 2022, arXiv 2112.03696.
    """
    xp = array_namespace(y, score)
    if power == 2:
        base = 1 - dispersion * (1 + y * score)
        return y / xp.where(base > 1 / _LARGEST_FACTOR, base, 0 * base + 1 / _LARGEST_FACTOR)
    least = (dispersion / 2) ** (1 / (2 - power))
    y = xp.where(y > least, y, 0 * y + least)
    a = dispersion * (power / 2 * y ** (power - 2) + y ** (power - 1) * score)
    if power == 1:
        most = math.log(_LARGEST_FACTOR)
        return y * xp.exp(xp.where(a < most, a, 0 * a + most))
    base, bound = 1 + (1 - power) * a, _LARGEST_FACTOR ** (1 - power)
    return y * xp.where(base > bound, base, 0 * base + bound) ** (1 / (1 - power))
