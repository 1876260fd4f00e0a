r"""Gain, offset and read noise from photon-transfer points: the photon-transfer fit.

Noise of a photon detector has the variance ``gain (x - offset) + read_noise^2``, a straight line
in the clean intensity ``x`` (Janesick, "Photon Transfer", 2007). The line gives the gain and one
combination of offset and read noise. What separates these two is the third cumulant: photons are
skewed, ``gain^2 (x - offset)``, read noise is not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.huber import huber
from napari_noise2score.noise.photon_transfer import PhotonTransfer, PhotonTransferLine

Array = NDArray[np.float64]

_LEAST_LINE = 3.0
"""A slope below this many standard errors is no photon-transfer line."""
_LEAST_RISE = 0.02
"""A line that rises by less than this share over the levels seen is flat."""


def photon_transfer_line(evidence: PhotonTransfer) -> PhotonTransferLine:
    """Photon-transfer line through the points, flat where the slope is not significant."""
    level, variance, count = evidence.level, evidence.variance, evidence.count
    slope, intercept, covariance = robust_fit(level, variance, count)
    line = slope * level + intercept
    rises = slope * (level.max() - level.min()) >= _LEAST_RISE * float(np.abs(line).max())
    if level.size < 3 or slope <= _LEAST_LINE * covariance[0, 0] ** 0.5 or not rises:
        mean = float(np.average(variance, weights=count))
        sigma = mean**0.5
        return PhotonTransferLine(
            0.0, 0.0, sigma, read_noise_error=float(sigma / (2 * count.sum()) ** 0.5)
        )

    whole = np.maximum(line, 1e-3 * variance.mean())
    line_offset = -intercept / slope
    offset, offset_error = _offset(evidence, slope, whole, line_offset)
    # on the line's own zero there is no read noise, whatever the rounding says
    read_noise = max(slope * offset + intercept, 0.0) ** 0.5 if offset > line_offset else 0.0
    line_error = _line_offset_error(slope, line_offset, covariance)
    offset_error = float(np.hypot(offset_error, line_error))
    return PhotonTransferLine(
        slope,
        offset,
        read_noise,
        slope_error=float(covariance[0, 0] ** 0.5),
        offset_error=offset_error,
        read_noise_error=slope * offset_error / (2 * read_noise) if read_noise > 0 else 0.0,
    )


def robust_fit(level: Array, variance: Array, count: Array) -> tuple[float, float, Array]:
    """Robust weighted line; slope, intercept and their covariance.

    The weight of a point comes from the line, not from the point, which would favour points that
    came out low; points that are far off (texture, hot pixels) lose weight after Huber.
    """
    centre, width = float(level.mean()), float(level.std())
    if width <= 1e-9 * abs(centre):
        return 0.0, float(np.average(variance, weights=count)), np.eye(2)
    design: Array = np.stack([(level - centre) / width, np.ones_like(level)], axis=1)
    expected: Array = np.full_like(variance, float(np.average(variance, weights=count)))
    robust: Array = np.ones_like(variance)
    floor = max(0.02 * float(np.median(variance)), 1e-6 * float(variance.max()))
    for _ in range(12):
        weight = robust * count / (3 * expected**2)
        normal = design.T @ (weight[:, None] * design)
        covariance: Array = np.asarray(np.linalg.inv(normal), dtype=np.float64)
        found: Array = covariance @ (design.T @ (weight * variance))
        expected = np.maximum(design @ found, floor).astype(np.float64)
        pull = (variance - design @ found) * np.sqrt(count / 3) / expected
        scatter = max(1.4826 * float(np.median(np.abs(pull))), 1.0)
        robust = huber(np.abs(pull), 1.5 * scatter)
    back = np.array([[1 / width, 0.0], [-centre / width, 1.0]])
    slope, intercept = back @ found
    return float(slope), float(intercept), scatter**2 * back @ covariance @ back.T


def _line_offset_error(slope: float, line_offset: float, covariance: Array) -> float:
    gradient = np.array([-line_offset, -1.0]) / slope
    return float((gradient @ covariance @ gradient) ** 0.5)


def _offset(
    evidence: PhotonTransfer, gain: float, variance: Array, line_offset: float
) -> tuple[float, float]:
    """Offset and its standard error; what lies above the line's zero is read noise.

    With read noise the line crosses zero below the offset, at ``offset - read_noise^2 / gain``.
    Each level tells the offset as ``level - third cumulant / gain^2``.
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
    if offset - line_offset < 2 * doubt:
        return line_offset, 0.0
    return min(offset, float(level.min())), doubt
