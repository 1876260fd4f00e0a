"""Photon-transfer evidence from frame differences: what differs between two frames is noise.

Unless something changed. Light that fades and an offset that drifts change every pixel by a
straight line in its intensity, which is fitted and removed. Motion changes some places more than
others; blocks where it shows are left out. What is left of it is smooth, as every image is, while
noise is not, and so a second-difference filter tells how much of the variance it makes up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.coordinates import Anscombe
from napari_noise2score.noise.correlation import Correlation, correlation_of
from napari_noise2score.noise.evidence import (
    SECOND_DIFFERENCE,
    Disturbances,
    PhotonTransfer,
    Sample,
    binned,
    neighbour_mean,
    offsets,
    robust_line,
)
from napari_noise2score.noise.outliers import FAR, isolated, unclipped

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLOCK = 32
"""Side in pixels of the blocks that are tested for motion."""

_CELL = 8
"""Side in pixels of the cells whose means show bleaching and offset changes."""
_MOVING = 0.1
_WIDE = 0.2
_MOVING_OVERALL = 0.035
"""Share explained by motion, over all blocks together, that rules frame differences out."""
_SIGNIFICANT = 4.0
"""Standard errors from which a change of light or a surplus of variance is taken for real."""
# Variance of a mean of filtered squares over that of a mean of squares of as many white values.
_FILTER_COST = float(
    (ndimage.convolve(np.pad(SECOND_DIFFERENCE, 4), SECOND_DIFFERENCE, mode='constant') ** 2).sum()
)


@dataclass(slots=True, eq=False)
class _Pair:
    """Two frames of one scene.

    Attributes
    ----------
    group : int
        Which stack they come from.
    first, second : (Y, X) float64
        The frames.
    difference : (Y, X) float64
        First minus second, without what bleaching and the offset changed; its variance is twice
        that of a frame of the mean level.
    mean, level : (Y, X) float64
        Mean of the two frames, and of the neighbours in it.
    mask : (Y, X) bool
        Where it is noise alone.
    fading : float
        Share of the light lost from the first to the second.
    """

    group: int
    first: Array
    second: Array
    difference: Array
    mean: Array
    level: Array
    mask: Mask
    fading: float

    def sample(self, square: Array, mask: Mask) -> Sample:
        """Measurements at the pixels of a mask."""
        return Sample(self.level[mask], self.mean[mask], square[mask])


def from_frames(groups: Sequence[Array], saturation: float) -> PhotonTransfer | None:
    """Evidence from frames of one scene; None when too little of it stood still.

    Parameters
    ----------
    groups : sequence of (T, Y, X) float64
        Frames of the same field, in time order, T >= 2, none repeated.
    saturation : float
        Grey level at and above which values are clipped; ``inf`` if none are.
    """
    pairs, tried, moving, fading = [], 0, 0.0, 1.0
    for number, frames in enumerate(groups):
        kept = 1.0
        for first, second in pairwise(frames):
            pair = _pair(number, first, second, saturation)
            kept *= 1 - pair.fading
            still, motion = _still(pair.difference, pair.mean)
            tried += 1
            moving += 1 - float(still.mean())
            if still.mean() >= 0.5 and motion <= _MOVING_OVERALL:
                pair.mask &= _pixels(still, first.shape)
                if pair.mask.any():
                    pairs.append(pair)
        fading = min(fading, kept)
    if not pairs:
        return None
    hot = _leave_out_hot(pairs)
    shifts = offsets([pair.sample(pair.difference**2 / 2, pair.mask) for pair in pairs])
    raw = [
        pair.sample(pair.difference**2 / 2, pair.mask).lowered(by)
        for pair, by in zip(pairs, shifts, strict=True)
    ]
    evidence = binned(raw, 'frame differences', _third_cumulants(groups, pairs))
    correlation = _correlation(evidence, pairs, shifts)
    evidence = _without_smooth_surplus(evidence, pairs, shifts)
    disturbances = Disturbances(
        moving=moving / tried,
        bleaching=1 - fading,
        offset_range=float(np.ptp(shifts)),
        hot=hot,
    )
    return replace(evidence, correlation=correlation, disturbances=disturbances)


def _pair(group: int, first: Array, second: Array, saturation: float) -> _Pair:
    mask = unclipped(np.maximum(first, second), saturation)
    difference, mean = first - second, (first + second) / 2
    base, change = _change(difference, mean, mask)
    difference = difference - base - change * mean
    # variances of the two, each scaled to the light of the mean, add up to 2 (1 - change^2 / 4)
    difference /= (1 - change**2 / 4) ** 0.5
    fading = change / (1 + change / 2)
    return _Pair(group, first, second, difference, mean, neighbour_mean(mean), mask, fading)


def _change(difference: Array, mean: Array, mask: Mask) -> tuple[float, float]:
    """Line of the difference in the intensity: what an offset and what the light changed.

    Fitted to means of cells, with Huber's weights, so that moving and hot places do not count.
    A change of the light that is not significant is taken for zero.
    """
    rows, columns = (side // _CELL for side in difference.shape)
    inside = difference[: rows * _CELL, : columns * _CELL]

    def cells(image: Array) -> Array:
        cut = image[: inside.shape[0], : inside.shape[1]]
        return np.asarray(cut.reshape(rows, _CELL, columns, _CELL).mean(axis=(1, 3)).ravel())

    whole = cells(mask.astype(np.float64)) == 1
    y, x = cells(difference)[whole], cells(mean)[whole]
    if y.size < 16:
        return (float(difference[mask].mean()) if mask.any() else 0.0), 0.0
    centre = x.mean()
    design = np.stack([np.ones_like(x), x - centre], axis=1)
    weight, found, scale = np.ones_like(y), np.zeros(2), 0.0
    for _ in range(20):
        found, *_ = np.linalg.lstsq(design * weight[:, None], y * weight, rcond=None)
        away = np.abs(y - design @ found)
        scale = 1.4826 * float(np.median(away))
        weight = np.sqrt(np.minimum(1.0, 1.5 * scale / np.maximum(away, 1e-12)))
    # sandwich estimate: the noise of a cell grows with its level
    scatter = (weight**2 * (x - centre) * (y - design @ found)) ** 2
    error = float(scatter.sum() ** 0.5 / max((weight**2 * (x - centre) ** 2).sum(), 1e-300))
    if abs(found[1]) < _SIGNIFICANT * error or abs(found[1]) > 1:
        return float(np.average(y, weights=weight**2)), 0.0
    return float(found[0] - found[1] * centre), float(found[1])


def _leave_out_hot(pairs: Sequence[_Pair]) -> float:
    """Take hot pixels and lasting outliers out of the masks; their share."""
    slope, intercept, least = robust_line(
        [pair.sample(pair.difference**2 / 2, pair.mask) for pair in pairs]
    )
    if least == 0:
        return 0.0
    unit = Anscombe(slope, intercept if slope > 0 else least, least)
    before = sum(int(pair.mask.sum()) for pair in pairs)
    for pair in pairs:
        half = pair.difference / 2
        jump = unit.forward(pair.mean + half) - unit.forward(pair.mean - half)
        hot = np.abs(jump) > FAR * 2**0.5
        hot |= isolated(pair.first, unit) | isolated(pair.second, unit)
        pair.mask &= ~hot
    return 1 - sum(int(pair.mask.sum()) for pair in pairs) / before


def _correlation(evidence: PhotonTransfer, pairs: Sequence[_Pair], shifts: Array) -> Correlation:
    """Correlation of the differences, each divided by the noise at its level."""
    unit = []
    for pair, by in zip(pairs, shifts, strict=True):
        variance = np.interp(pair.level - by, evidence.level, evidence.variance)
        floor = max(float(evidence.variance.mean()) / 50, 1e-300)
        unit.append(pair.difference / np.sqrt(np.maximum(variance, floor)))
    return correlation_of(unit, [pair.mask for pair in pairs])


def _without_smooth_surplus(
    evidence: PhotonTransfer, pairs: Sequence[_Pair], shifts: Array
) -> PhotonTransfer:
    """The evidence with variances after a second-difference filter, if something moved.

    The filter passes the same share of the noise at every level, all of it if it is white; of
    what moved, which is smooth, it passes less. The share is read off the darker half of the
    bins. If the rest falls short of it, by more than the two estimates scatter about
    each other (Hausman, Econometrica 46, 1978), what the filter leaves is the better estimate.
    """
    low, high = [], []
    for pair, by in zip(pairs, shifts, strict=True):
        whole = ndimage.binary_erosion(pair.mask, np.ones((3, 3)), border_value=0)
        rest = ndimage.convolve(pair.difference, SECOND_DIFFERENCE, mode='mirror')
        low.append(pair.sample(rest**2 / 2, whole).lowered(by))
        high.append(pair.sample(pair.difference**2 / 2, whole).lowered(by))
    if not sum(s.key.size for s in low):
        return evidence
    filtered, raw = (binned(s, 'frame differences') for s in (low, high))
    if len(filtered.level) < 4 or not filtered.variance.min() > 0:
        return evidence
    ratio = raw.variance / filtered.variance
    dark = np.arange(len(ratio)) < len(ratio) // 2
    usual = float(np.average(ratio[dark], weights=raw.count[dark]))
    surplus = ratio / usual - 1
    error = np.sqrt(3 * (_FILTER_COST - 1) / raw.count)
    pull = (surplus / error)[~dark]
    together = float(pull.sum()) / (len(pull) * (1 + len(pull) / dark.sum())) ** 0.5
    if max(together, float(pull.max())) < _SIGNIFICANT:
        return evidence
    return replace(
        evidence,
        level=filtered.level,
        variance=filtered.variance * usual,
        third=np.interp(filtered.level, evidence.level, evidence.third),
        count=filtered.count / _FILTER_COST,
    )


def _still(difference: Array, mean: Array) -> tuple[Mask, float]:
    """Which blocks of a frame difference hold noise alone, and the share of motion in those.

    Something that moves leaves its gradient in the difference, something that bleaches unlike
    the rest its intensity; what appears or vanishes leaves patches wider than any correlation
    of the noise.
    """
    rows, columns = (max(1, size // BLOCK) for size in difference.shape)
    height, width = difference.shape[0] // rows, difference.shape[1] // columns
    smooth = ndimage.gaussian_filter(mean, 1.5)
    vertical, horizontal = np.gradient(smooth)
    still = np.zeros((rows, columns), dtype=bool)
    pooled = np.zeros(3)
    for row in range(rows):
        for column in range(columns):
            place = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
            noise = difference[place] - difference[place].mean()
            power = float((noise**2).mean())
            if power == 0:
                continue
            design = np.stack([a[place].ravel() for a in (smooth, vertical, horizontal)], axis=1)
            design = design - design.mean(axis=0)
            found, *_ = np.linalg.lstsq(design, noise.ravel(), rcond=None)
            explained = float(((design @ found) ** 2).mean()) / power
            wide = _wide_correlation(noise) / power
            still[row, column] = explained < _MOVING and wide < _WIDE
            if still[row, column]:
                pooled += explained - 3 / noise.size, wide, 1.0
    return still, float(max(pooled[:2]) / max(pooled[2], 1.0))


def _wide_correlation(noise: Array) -> float:
    """Mean covariance at distances of 5 to 8 pixels, which no detector noise reaches."""
    lags = [lag for lag in (5, 6, 7, 8) if lag < min(noise.shape)]
    products = [noise[lag:] * noise[:-lag] for lag in lags]
    products += [noise[:, lag:] * noise[:, :-lag] for lag in lags]
    return float(np.mean([product.mean() for product in products])) if lags else 0.0


def _pixels(blocks: Mask, shape: tuple[int, ...]) -> Mask:
    """Block mask spread over the pixels of the image."""
    row = np.minimum(np.arange(shape[0]) // (shape[0] // blocks.shape[0]), blocks.shape[0] - 1)
    column = np.minimum(np.arange(shape[1]) // (shape[1] // blocks.shape[1]), blocks.shape[1] - 1)
    return np.asarray(blocks[row[:, None], column[None, :]])


def _third_cumulants(
    groups: Sequence[Array], pairs: Sequence[_Pair]
) -> tuple[Array, Array] | None:
    """(key, third cumulant) over three or more frames, at the pixels that all their pairs keep."""
    keys: list[Array] = []
    thirds: list[Array] = []
    for number, frames in enumerate(groups):
        count = len(frames)
        own = [pair for pair in pairs if pair.group == number]
        if count < 3 or len(own) < count - 1:
            continue
        mask = np.logical_and.reduce([pair.mask for pair in own])
        mean = frames.mean(axis=0)
        rest = [frame - mean for frame in frames]
        lines = [_change(-away, mean, mask) for away in rest]
        cubes = [
            (away + base + change * mean) ** 3
            for away, (base, change) in zip(rest, lines, strict=True)
        ]
        factor = count / ((count - 1) * (count - 2))
        keys.append(neighbour_mean(mean)[mask])
        thirds.append(factor * np.sum(cubes, axis=0)[mask])
    return (np.concatenate(keys), np.concatenate(thirds)) if keys else None
