r"""Gain, offset and read noise from photon-transfer points: the photon-transfer fit.

Noise of a photon detector has the variance ``gain (x - offset) + read_noise^2``, a straight line
in the clean intensity ``x`` (Janesick, "Photon Transfer", 2007). The line gives the gain and one
combination of offset and read noise. The third cumulant separates these two: that of photon noise
is ``gain^2 (x - offset)``, that of read noise is 0.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import special

from napari_noise2score.noise.line_fit import LineFit, fit_line, reweighted
from napari_noise2score.noise.photon_transfer import (
    PhotonTransfer,
    PhotonTransferLine,
    variance_weight,
)
from napari_noise2score.noise.robust_weights import huber

Array = NDArray[np.float64]

_LEAST_LINE = 3.0
"""A slope below this many standard errors is not significant."""
_LEAST_RISE = 0.02
"""A line that increases by less than this share over the measured levels counts as flat."""
_ONE_LEVEL = 1e-9
"""Standard deviation of the levels, as a share of their mean, below which they count as a single
level."""
_ROUNDS = 12
_TOLD = 4.0
"""Standard errors of the offset within its possible range from which it is told."""
_CHANCE = 1e-9
"""Probability below which a measured offset is outside of its possible range."""


def photon_transfer_line(evidence: PhotonTransfer) -> PhotonTransferLine:
    """Photon-transfer line through the points, flat where the slope is not significant."""
    level, variance, count = evidence.level, evidence.variance, evidence.count
    fit, covariance = robust_fit(evidence)
    slope, line = fit.slope, fit.fitted
    rises = slope * (level.max() - level.min()) >= _LEAST_RISE * float(np.abs(line).max())
    if level.size < 3 or slope <= _LEAST_LINE * covariance[0, 0] ** 0.5 or not rises:
        sigma = evidence.mean_variance**0.5
        return PhotonTransferLine(
            0.0, 0.0, sigma, read_noise_error=float(sigma / (2 * count.sum()) ** 0.5)
        )

    whole = np.maximum(line, 1e-3 * variance.mean())
    line_offset = fit.zero
    offset, doubt = _offset(evidence, slope, whole, line_offset)
    # at the zero of the line there is no read noise; rounding may give another value
    read_noise = max(float(fit.at(offset)), 0.0) ** 0.5 if offset > line_offset else 0.0
    zero_error = float(fit.zero_error(covariance))
    offset_error = float(np.hypot(doubt, zero_error))
    if read_noise > 0:
        read_noise_error = slope * offset_error / (2 * read_noise)
    else:  # as much as a higher offset would go with
        read_noise_error = (slope * doubt) ** 0.5
    return PhotonTransferLine(
        slope,
        offset,
        read_noise,
        slope_error=float(covariance[0, 0] ** 0.5),
        offset_error=offset_error,
        read_noise_error=read_noise_error,
        zero_error=zero_error,
    )


def robust_fit(points: PhotonTransfer) -> tuple[LineFit, Array]:
    """Robust weighted line of variance against level; and the covariance of slope and height.

    Points far from the line (texture, hot pixels) get Huber's weights. The scatter of the
    points about the line scales the covariance where it is larger than expected.
    """
    level, variance, count = points.level, points.variance, points.count
    if float(level.std()) <= _ONE_LEVEL * abs(float(level.mean())):
        level = np.full_like(level, level.mean())
    floor = max(0.02 * float(np.median(variance)), 1e-6 * float(variance.max()))

    def assessed(fit: LineFit) -> tuple[Array, Array, float]:
        """Weights from the line, distances in standard deviations, and their scatter."""
        weight = variance_weight(np.maximum(fit.fitted, floor), count)
        away = np.abs(fit.residual) * np.sqrt(weight)
        return weight, away, max(1.4826 * float(np.median(away)), 1.0)

    def weights(fit: LineFit) -> Array:
        weight, away, scatter = assessed(fit)
        return weight * huber(away, 1.5 * scatter)

    start = variance_weight(np.full_like(variance, points.mean_variance), count)
    fit = reweighted(partial(fit_line, level, variance), weights, start, _ROUNDS)
    *_, scatter = assessed(fit)
    return fit, scatter**2 * fit.covariance


def _offset(
    evidence: PhotonTransfer, gain: float, variance: Array, line_offset: float
) -> tuple[float, float]:
    """Offset and its standard error; its distance from the zero of the line is due to read noise.

    With read noise the line crosses zero below the offset, at ``offset - read_noise^2 / gain``.
    Each level gives the offset as ``level - third cumulant / gain^2``. Read noise must be
    significant, except where the third cumulants tell hardly anything: neither none of it nor as
    much as possible is likely then.
    """
    usable = np.isfinite(evidence.third)
    if not usable.any():
        return line_offset, 0.0
    level, third, count = (a[usable] for a in (evidence.level, evidence.third, evidence.count))
    noise = variance[usable]
    error = np.sqrt((evidence.third_scatter * noise**3 + gain**4 * noise) / count) / gain**2
    weight = error**-2
    each = level - third / gain**2
    offset = float(np.average(each, weights=weight))
    doubt = float(weight.sum() ** -0.5)
    darkest = float(level.min())
    if darkest - line_offset > _TOLD * doubt:
        return (min(offset, darkest) if offset - line_offset >= 2 * doubt else line_offset), doubt
    return _mean_between(line_offset, max(darkest, line_offset), offset, doubt), doubt


def _mean_between(low: float, high: float, value: float, error: float) -> float:
    """Mean of a quantity that is between two bounds and was measured with a Gaussian error."""
    ends = (np.array([low, high]) - value) / error
    below, up_to = special.ndtr(ends)
    if up_to - below < _CHANCE:
        return float(np.clip(value, low, high))
    first, last = np.exp(-(ends**2) / 2) / (2 * np.pi) ** 0.5
    return float(np.clip(value + error * (first - last) / (up_to - below), low, high))
