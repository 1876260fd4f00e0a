"""Functions for Poisson and Poisson-Gaussian noise: parameters, outcomes and gain."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from napari_noise2score.errors import InputError
from napari_noise2score.noise.families.base import (
    GREY_LEVELS,
    PER_PHOTON,
    Array,
    parameter,
)
from napari_noise2score.noise.families.gaussian import NODES, WEIGHTS
from napari_noise2score.noise.line_fit import fit_line, reweighted
from napari_noise2score.noise.photon_transfer import (
    PhotonTransfer,
    PhotonTransferLine,
    variance_weight,
)
from napari_noise2score.noise.robust_weights import huber

FINE = 0.01
"""Smallest relevant difference of offsets, relative to the noise of a photon."""
COUNTED = 300.0
"""Mean number of events up to which outcomes are counted; above it, shot noise is treated as
Gaussian."""
_SIGNIFICANT = 3.0
"""Standard errors above 0 from which a gain is significant."""
_ROUNDS = 4


def gain() -> Any:
    """The parameter of the gain."""
    return parameter('Gain', 'Grey levels for one detected photon.', 'G', PER_PHOTON, above=0.0)


def offset() -> Any:
    """The parameter of the offset."""
    return parameter('Offset', 'Grey level of a pixel that received no light.', 'O', GREY_LEVELS)


def counts(rate: float) -> tuple[Array, Array]:
    """Numbers of events (K,) and their Poisson probabilities (K,) at a rate of up to `COUNTED`."""
    number = np.arange(int(rate + 9 * rate**0.5 + 12), dtype=np.float64)
    probability = np.exp(
        scipy.special.xlogy(number, rate) - rate - scipy.special.gammaln(number + 1)
    )
    return number, probability / probability.sum()


def photon_outcomes(rate: float, gain: float, read_noise: float) -> tuple[Array, Array]:
    """Grey levels above the offset (K,) and their probabilities (K,) for ``rate`` photons."""
    if rate > COUNTED:
        return gain * rate + (gain**2 * rate + read_noise**2) ** 0.5 * NODES, WEIGHTS
    number, probability = counts(rate)
    values = gain * number[:, None] + read_noise * NODES
    return values.ravel(), (probability[:, None] * WEIGHTS).ravel()


def photon_levels(top: float, gain: float, offset: float) -> Array:
    """Clean grey levels: dense at a few photons, geometric above."""
    most = max((top - offset) / gain, 4.0) * 1.1
    rate = np.concatenate([np.linspace(0, 1, 21)[:-1] ** 2, np.geomspace(1, most, 80)])
    return np.asarray(offset + gain * rate)


def sample_photons(x: ArrayLike, gain: float, offset: float, rng: np.random.Generator) -> Array:
    """``offset + gain Pois((x - offset) / gain)``; same shape as ``x``, float64."""
    rate = (np.asarray(x, dtype=np.float64) - offset) / gain
    if rate.size and not rate.min() >= 0:
        raise InputError(
            f'clean values go down to {np.min(x):g}, below the offset {offset:g}; '
            'photon noise needs clean values at or above the offset'
        )
    return np.asarray(offset + gain * rng.poisson(rate))


def photon_line(
    points: PhotonTransfer, line: PhotonTransferLine, gain: float | None
) -> tuple[float, float]:
    """Slope of the photon-transfer line, and the level where the variance is zero.

    If ``gain`` is given, it is the slope of a line through the mean of the points.

    Raises
    ------
    InputError
        If no gain is given and the variance does not increase with the level.
    """
    if gain is None:
        if not line.rises:
            raise InputError(
                'the noise does not depend on the intensity, so no gain can be estimated; '
                'give the gain, or choose Gaussian noise'
            )
        return line.slope, line.zero
    return gain, points.mean_level - float(line.variance(points.mean_level)) / gain


def gain_through(points: PhotonTransfer, offset: float, read_noise: float) -> float:
    """Slope of the photon-transfer line through the known point without light.

    Raises
    ------
    InputError
        If the image has no light, or no noise beyond the read noise.
    """
    lit = points.level > offset
    light, count = points.level[lit] - offset, points.count[lit]
    own = points.variance[lit] - read_noise**2

    def checked(slope: float, error: float) -> float:
        if slope <= _SIGNIFICANT * error:
            raise InputError(
                f'the image has no light above the offset {offset:.5g}, or no noise above the '
                f'read noise {read_noise:.4g}, so no gain can be estimated; give the gain, or '
                'check offset and read noise'
            )
        return slope

    def weights(slope: float) -> Array:
        weight = variance_weight(slope * light + read_noise**2, count)
        pull = np.abs(own - slope * light) * np.sqrt(weight)
        return weight * huber(pull, 2.0 * float(np.median(pull)))

    rough = float((count * own).sum() / (count * light).sum()) if lit.any() else 0.0
    fit = reweighted(
        partial(fit_line, light, own, through=(0.0, 0.0)),
        lambda fit: weights(checked(fit.slope, float(fit.covariance[0, 0] ** 0.5))),
        weights(checked(rough, 0.0)),
        _ROUNDS,
    )
    return fit.slope
