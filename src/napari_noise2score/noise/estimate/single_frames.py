"""Photon-transfer evidence from single frames: second differences in flat places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.coordinates import Anscombe
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.estimate.binning import (
    SECOND_DIFFERENCE,
    Bins,
    Sample,
    binned,
    neighbour_mean,
    offsets,
    robust_line,
)
from napari_noise2score.noise.estimate.flat_patches import from_flat_patches, response
from napari_noise2score.noise.estimate.outliers import away_from, isolated, unclipped
from napari_noise2score.noise.fill import filled
from napari_noise2score.noise.patterns.offsets import separate_waves
from napari_noise2score.noise.patterns.rows import row_noise
from napari_noise2score.noise.patterns.shared import Wave
from napari_noise2score.noise.photon_transfer import Disturbances, PhotonTransfer

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_FLATTEST = 0.3
"""Share of the pixels of every level that are used."""


def from_single_frames(frames: Sequence[Array], saturation: float) -> PhotonTransfer:
    """Evidence from each frame separately, by second differences in its flattest places.

    The filter passes only a small part of correlated noise. If the flattest patches show a
    reliable correlation, the variance is divided by that part.

    Parameters
    ----------
    frames : sequence of (Y, X) float64
        At least 9 x 9 pixels each, NaN where there is no image.
    saturation : float
        Grey level at and above which values are clipped; ``inf`` if none are.
    """
    return _from_single_frames(frames, saturation, ())


def with_correlation(evidence: PhotonTransfer, correlation: Correlation) -> PhotonTransfer:
    """Evidence from single frames whose noise has this correlation and was taken for white."""
    variance = evidence.variance / response(correlation)
    return replace(evidence, variance=variance, correlation=correlation)


def _from_single_frames(
    frames: Sequence[Array], saturation: float, known: tuple[Wave, ...]
) -> PhotonTransfer:
    """Evidence from frames from which known waves were subtracted."""
    blanks = [np.isnan(frame) for frame in frames]
    frames = [filled(frame) for frame in frames]
    masks = [_inner(f, blank, saturation) for f, blank in zip(frames, blanks, strict=True)]
    sample = [_sample(frame, mask) for frame, mask in zip(frames, masks, strict=True)]
    slope, intercept, least = robust_line(sample)
    share, hot_pixels = 0.0, [np.zeros_like(blank) for blank in blanks]
    if least > 0:
        unit = Anscombe(slope, intercept if slope > 0 else least, least)
        hot_pixels = [isolated(frame, unit) for frame in frames]
        share = float(np.mean([hot.mean() for hot in hot_pixels]))
        masks = [mask & ~_around(hot, 7) for mask, hot in zip(masks, hot_pixels, strict=True)]
        sample = [_sample(frame, mask) for frame, mask in zip(frames, masks, strict=True)]
    shifts = offsets(sample)
    sample = [s.lowered(by) for s, by in zip(sample, shifts, strict=True)]
    disturbances = Disturbances(offset_range=float(np.ptp(shifts)), hot=share)
    evidence = replace(binned(sample, 'single frames'), disturbances=disturbances)
    levelled = [frame - by for frame, by in zip(frames, shifts, strict=True)]
    whole = [_with_filled(frame, hot) for frame, hot in zip(levelled, hot_pixels, strict=True)]
    usable = [
        _usable(frame, blank | hot, saturation)
        for frame, blank, hot in zip(frames, blanks, hot_pixels, strict=True)
    ]
    correlation = from_flat_patches(whole, usable, evidence)
    if correlation is not None:
        evidence = with_correlation(evidence, correlation)
    if not evidence.level.size:
        return evidence
    # the filter removes offsets of rows and columns: the variances are without them
    weights = [
        evidence.weight(neighbour_mean(frame), mask)
        for frame, mask in zip(levelled, masks, strict=True)
    ]
    waves, even = separate_waves(levelled, weights, evidence.mean_variance)
    if waves and not known:
        rest = [
            np.where(blank, np.nan, np.where(frame < saturation, without + by, frame))
            for frame, blank, without, by in zip(frames, blanks, even, shifts, strict=True)
        ]
        return _from_single_frames(rest, saturation, waves)
    rows = row_noise(even, weights, evidence.mean_variance)
    return replace(evidence, rows=replace(rows, waves=known))


def _inner(frame: Array, blank: Mask, saturation: float) -> Mask:
    return _without_border(unclipped(frame, saturation) & away_from(blank))


def _usable(frame: Array, other: Mask, saturation: float) -> Mask:
    """Pixels that count in a patch, where no filter mixes them with their neighbours."""
    return _without_border((frame < saturation) & ~_around(other, 3))


def _without_border(mask: Mask) -> Mask:
    mask[:3] = mask[-3:] = False
    mask[:, :3] = mask[:, -3:] = False
    return mask


def _around(places: Mask, side: int) -> Mask:
    """Squares around places."""
    if not places.any():
        return places
    return np.asarray(ndimage.binary_dilation(places, np.ones((side, side))))


def _with_filled(frame: Array, places: Mask) -> Array:
    """The frame with values from beside in 3 x 3 pixels around places."""
    return filled(np.where(_around(places, 3), np.nan, frame))


def _sample(frame: Array, mask: Mask) -> Sample:
    """Second differences in the flattest places of a mask."""
    residual = ndimage.convolve(frame, SECOND_DIFFERENCE, mode='mirror')
    level = ndimage.convolve(frame, SECOND_DIFFERENCE**2, mode='mirror')
    ring, roughness = _ring(frame)
    flat = _flat(ring, roughness, mask)
    third = residual[flat] ** 3 / float((SECOND_DIFFERENCE**3).sum())
    return Sample(ring[flat], level[flat], residual[flat] ** 2, third)


def _ring(frame: Array) -> tuple[Array, Array]:
    """Mean and variance of the 40 pixels between a 3 x 3 and a 7 x 7 square around each."""

    def total(image: Array) -> Array:
        outer = ndimage.uniform_filter(image, 7, mode='mirror') * 49
        return np.asarray((outer - ndimage.uniform_filter(image, 3, mode='mirror') * 9) / 40)

    centre = float(frame.mean())
    mean = total(frame - centre)
    return mean + centre, total((frame - centre) ** 2) - mean**2


def _flat(level: Array, roughness: Array, mask: Mask) -> Mask:
    """The flattest share of the pixels of every level."""
    bins = Bins.of(level[mask], np.linspace(0, 1, 65))
    index = bins.index(level)
    groups = bins.groups(index[mask], roughness[mask])
    limit = np.array([_quantile(g, _FLATTEST) if g.size else -np.inf for g in groups])
    return np.asarray(mask & (roughness <= limit[index]))


def _quantile(values: Array, share: float) -> float:
    """`numpy.quantile` of (N,) values, which takes ten times as long for few of them."""
    place = share * (values.size - 1)
    below = int(place)
    ends = [below, min(below + 1, values.size - 1)]
    low, high = np.partition(values, ends)[ends]
    return float(low + (high - low) * (place - below))
