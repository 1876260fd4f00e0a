"""Correlation of the noise of a single image, from its flattest patches.

Where an image is flat, the residual from a low-order polynomial is noise. Flat patches are
detected by their power: with structure it differs from patch to patch, but for noise of one
correlation it is the same in all patches, within the scatter of a variance of so many independent
values. So the powers of the patches with the lowest power must scatter as those of noise; only
then is their correlation used as that of the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_noise2score.noise.correlation import RELEVANT, Correlation
from napari_noise2score.noise.estimate.binning import SECOND_DIFFERENCE
from napari_noise2score.noise.photon_transfer import PhotonTransfer

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SIDE = 16
"""Side of a patch, pixels."""

_REACH = 4
"""Largest distance in pixels at which noise may be correlated."""
_CHOICES = ((1.0, SIDE, 1.0), (1.0, SIDE // 2, 0.5), (0.9, SIDE, 1.0), (0.9, SIDE // 2, 0.5))
"""Minimum share of usable pixels in a patch, distance of patches in pixels, and number of
independent patches that each counts for, since they may overlap. The first choice that gives
enough patches is taken."""
_DEGREE = 2
_FEWEST = 20
"""Minimum number of patches of the same power to measure a correlation."""
_ALIKE = 1.15
"""Ratio of powers of flat patches that slight structure may cause."""
_VAGUE = 0.3
"""Error of that ratio from which it tells nothing."""
_LOW, _MIDDLE = 0.05, 0.25
"""Quantiles of the power of the patches that are compared."""


def from_flat_patches(
    frames: Sequence[Array], masks: Sequence[Mask], evidence: PhotonTransfer
) -> Correlation | None:
    """Correlation of the noise, or None if no patches are certainly flat.

    Parameters
    ----------
    frames : sequence of (Y, X) float64
        Grey levels; also where pixels are not usable, values like those around them.
    masks : sequence of (Y, X) bool
        Usable pixels. If there are too few patches of them alone, a tenth may be others.
    evidence : PhotonTransfer
        Variance by level, up to a common factor.
    """
    if evidence.level.size == 0:
        return None
    for usable, step, worth in _CHOICES:
        patches = _residuals(frames, masks, evidence, usable, step)
        independent = worth * len(patches)
        if independent >= _FEWEST / _MIDDLE:
            break
    else:
        return None
    project = _projection()
    power = (patches**2).sum(axis=1) / np.trace(project)
    kernel = np.zeros((2 * _REACH + 1,) * 2)
    kernel[_REACH, _REACH] = 1.0
    for _ in range(4):
        freedom = _freedom(kernel, project)
        low, quarter, high = scipy.special.chdtri(freedom, [1 - _LOW, 1 - _MIDDLE, _LOW]) / freedom
        lowest, common = np.quantile(power, _LOW) / low, np.quantile(power, _MIDDLE) / quarter
        flat = patches[power < common * high]
        kernel = _unprojected(_by_distance(flat.T @ flat / len(flat)))
        kernel /= kernel[_REACH, _REACH]
    # scatter of the lower quantile of so many patches, from its density
    doubt = 2 * (2 / freedom / independent) ** 0.5 / low
    if 3 * doubt > _VAGUE or common > lowest * (_ALIKE + 3 * doubt):
        return None
    correlation = Correlation(kernel)
    return correlation if is_smoothed(correlation) else Correlation.white()


def is_smoothed(correlation: Correlation) -> bool:
    """Whether the correlation decreases from pixel to pixel, as that of smoothed noise.

    White noise with structure has a peak of one pixel on a plateau as wide as the point spread
    function. The correlation of smoothed noise decreases at least exponentially, without such a
    peak.
    """
    kernel, nearest = correlation.kernel, correlation.neighbours
    if nearest <= RELEVANT:
        return False
    here = len(kernel) // 2
    further = max(kernel[here, here + 2], kernel[here + 2, here])
    diagonal = max(kernel[here + 1, here + 1], kernel[here + 1, here - 1])
    return bool(nearest - further > RELEVANT and diagonal < nearest ** (2**0.5))


def response(correlation: Correlation) -> float:
    """Share of the variance of noise that the second-difference filter passes; 1 if white."""
    if correlation.is_white:
        return 1.0
    centre = len(correlation.kernel) // 2
    near = correlation.kernel[centre - 2 : centre + 3, centre - 2 : centre + 3]
    own = scipy.ndimage.convolve(np.pad(SECOND_DIFFERENCE, 1), SECOND_DIFFERENCE, mode='constant')
    return float((near * own).sum())


def _residuals(
    frames: Sequence[Array],
    masks: Sequence[Mask],
    evidence: PhotonTransfer,
    share: float,
    step: int,
) -> Array:
    """Residuals of each patch from a polynomial, noise standard deviations, (P, SIDE^2).

    A patch begins every ``step`` pixels and counts if this share of it is usable.
    """

    def tiles(image: NDArray[np.generic]) -> NDArray[np.generic]:
        if min(image.shape) < SIDE:
            return np.empty((0, SIDE**2), image.dtype)
        every = np.lib.stride_tricks.sliding_window_view(image, (SIDE, SIDE))
        return every[::step, ::step].reshape(-1, SIDE**2)

    pairs = zip(frames, masks, strict=True)
    values = np.concatenate(
        [tiles(frame)[tiles(mask).mean(axis=1) >= share] for frame, mask in pairs]
    )
    level = values.mean(axis=1)
    variance = np.interp(level, evidence.level, evidence.variance)
    usable = variance > 0.02 * np.median(evidence.variance)
    noise = np.sqrt(variance[usable])[:, None]
    return np.asarray((values[usable] - level[usable, None]) @ _projection() / noise)


@lru_cache(maxsize=1)
def _projection() -> Array:
    """Matrix (SIDE^2, SIDE^2) that subtracts the polynomials from a patch."""
    place = np.linspace(-1, 1, SIDE)
    y, x = (grid.ravel() for grid in np.meshgrid(place, place, indexing='ij'))
    terms = [y**a * x**b for a in range(_DEGREE + 1) for b in range(_DEGREE + 1 - a)]
    basis, _ = np.linalg.qr(np.stack(terms, axis=1))
    return np.asarray(np.eye(SIDE**2) - basis @ basis.T)


def _covariance(kernel: Array) -> Array:
    """Covariance matrix of the pixels of a patch of noise with this autocovariance."""
    y, x = (grid.ravel() for grid in np.mgrid[:SIDE, :SIDE])
    away_y, away_x = y[:, None] - y, x[:, None] - x
    near = (np.abs(away_y) <= _REACH) & (np.abs(away_x) <= _REACH)
    covariance = np.zeros(near.shape)
    covariance[near] = kernel[away_y[near] + _REACH, away_x[near] + _REACH]
    return covariance


def _freedom(kernel: Array, project: Array) -> float:
    """Number of independent values in the power of a patch (Welch-Satterthwaite)."""
    left = project @ _covariance(kernel)
    return float(np.trace(left) ** 2 / (left * left.T).sum())


def _by_distance(covariance: Array) -> Array:
    """Mean of a covariance matrix over all pairs of pixels of the same distance."""
    tensor = covariance.reshape(SIDE, SIDE, SIDE, SIDE)
    mean = np.zeros((2 * _REACH + 1,) * 2)
    for dy in range(-_REACH, _REACH + 1):
        for dx in range(-_REACH, _REACH + 1):
            by_row = np.diagonal(tensor, dy, 0, 2)
            mean[dy + _REACH, dx + _REACH] = np.diagonal(by_row, dx, 0, 1).mean()
    return (mean + mean[::-1, ::-1]) / 2


def _unprojected(measured: Array) -> Array:
    """Autocovariance of the noise from that of its residuals from the polynomials.

    The fit removes a part of the noise too, more of slow noise than of white noise. This is a
    linear map of the autocovariance, which is inverted.
    """
    half = np.linalg.solve(_projected_lags(), measured.ravel()[: measured.size // 2 + 1])
    return np.concatenate([half, half[-2::-1]]).reshape(measured.shape)


@lru_cache(maxsize=1)
def _projected_lags() -> Array:
    """Columns: autocovariance of the residuals for noise with the value 1 at one distance.

    Distances are in raster order up to zero; the others are their mirror images.
    """
    project = _projection()
    size = (2 * _REACH + 1) ** 2
    columns = []
    for lag in range(size // 2 + 1):
        unit = np.zeros(size)
        unit[[lag, size - 1 - lag]] = 1.0
        kernel = unit.reshape((2 * _REACH + 1,) * 2)
        left = _by_distance(project @ _covariance(kernel) @ project)
        columns.append(left.ravel()[: size // 2 + 1])
    return np.stack(columns, axis=1)
