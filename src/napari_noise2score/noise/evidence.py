"""Photon-transfer evidence: noise variance against intensity, from the data alone.

Two sources. *Frame differences*, when frames show the same scene: what differs between two is
noise. *Single frames*: what a second-difference filter leaves in the flattest places.

Pixels are binned by a level that does not contain their own noise (the mean of their
neighbours), so that the mean intensity and the mean variance of a bin lie on the photon-transfer
line without bias, however noisy a pixel is. Binning by the pixel's own value would tilt the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.correlation import Correlation, correlation_of

Array = NDArray[np.float64]
Method = Literal['frame differences', 'single frames']

BLOCK = 32
"""Side in pixels of the blocks that are tested for motion."""

_SECOND_DIFFERENCE = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6.0
_FLATTEST = 0.3
_MOVING = 0.1
_WIDE = 0.2
_THIRD_SCATTER: dict[Method, float] = {
    # k-statistic of three or more frames; filtered residual cubed: 15 over the squared response
    'frame differences': 6.0 * 4,
    'single frames': 15 / float((_SECOND_DIFFERENCE**3).sum()) ** 2,
}
_MOVING_OVERALL = 0.035
"""Share explained by motion, over all blocks together, that rules frame differences out."""
_QUANTILES = np.unique(np.concatenate([np.linspace(0, 1, 41), 1 - 0.5 ** np.arange(2, 12)]))


@dataclass(frozen=True, slots=True, eq=False)
class PhotonTransfer:
    """Binned noise statistics.

    Attributes
    ----------
    level : (K,) float64
        Mean intensity of a bin, grey levels.
    variance : (K,) float64
        Mean noise variance, squared grey levels.
    third : (K,) float64
        Mean third cumulant, cubed grey levels; NaN where it could not be measured.
    third_scatter : float
        Variance of one measurement of the third cumulant, in units of the noise variance cubed.
    count : (K,) float64
        Independent measurements in the bin.
    method : str
        Where they come from: ``'frame differences'`` or ``'single frames'``.
    correlation : Correlation or None
        Correlation of the noise between pixels; None if it cannot be told from structure
        (single frames).
    """

    level: Array
    variance: Array
    third: Array
    third_scatter: float
    count: Array
    method: Method
    correlation: Correlation | None = None


@dataclass(slots=True)
class _Samples:
    key: list[Array]
    level: list[Array]
    variance: list[Array]
    third: list[Array]

    def add(self, key: Array, level: Array, variance: Array, third: Array) -> None:
        self.key.append(key.ravel())
        self.level.append(level.ravel())
        self.variance.append(variance.ravel())
        self.third.append(third.ravel())


def from_frames(groups: Sequence[Array], saturation: float) -> PhotonTransfer | None:
    """Evidence from frames of one scene; None when too little of it stood still.

    Parameters
    ----------
    groups : sequence of (T, Y, X) float64
        Frames of the same field, in time order, T >= 2, none repeated.
    saturation : float
        Grey level at and above which values are clipped; ``inf`` if none are.
    """
    samples = _Samples([], [], [], [])
    fields: list[tuple[Array, Array, NDArray[np.bool_]]] = []
    for frames in groups:
        for first, second in pairwise(frames):
            difference, mean = first - second, (first + second) / 2
            still, motion = _still(difference, mean)
            if still.mean() < 0.5 or motion > _MOVING_OVERALL:
                continue
            mask = _pixels(still, difference.shape)
            mask &= _unclipped(np.maximum(first, second), saturation)
            if mask.any():
                difference = difference - difference[mask].mean()
                third = np.full(difference.shape, np.nan)
                level = _neighbour_mean(mean)
                fields.append((difference, level, mask))
                samples.add(level[mask], mean[mask], difference[mask] ** 2 / 2, third[mask])
    if not fields:
        return None
    binned = _binned(samples, 'frame differences', _third_cumulants(groups))
    return replace(binned, correlation=_correlation(binned, fields))


def _correlation(
    binned: PhotonTransfer, fields: Sequence[tuple[Array, Array, NDArray[np.bool_]]]
) -> Correlation:
    """Correlation of the differences, each divided by the noise at its level."""
    unit = []
    for difference, level, _ in fields:
        variance = np.interp(level, binned.level, binned.variance)
        unit.append(difference / np.sqrt(np.maximum(variance, binned.variance.mean() / 50)))
    return correlation_of(unit, [mask for _, _, mask in fields])


def from_single_frames(frames: Sequence[Array], saturation: float) -> PhotonTransfer:
    """Evidence from each frame by itself, by second differences in its flattest places.

    Assumes noise that is independent between pixels; correlated noise comes out too low.

    Parameters
    ----------
    frames : sequence of (Y, X) float64
        At least 9 x 9 pixels each.
    saturation : float
        Grey level at and above which values are clipped; ``inf`` if none are.
    """
    samples = _Samples([], [], [], [])
    energy = float((_SECOND_DIFFERENCE**2).sum())
    for frame in frames:
        residual = ndimage.convolve(frame, _SECOND_DIFFERENCE, mode='mirror')
        level = ndimage.convolve(frame, _SECOND_DIFFERENCE**2 / energy, mode='mirror')
        ring, roughness = _ring(frame)
        mask = _unclipped(frame, saturation)
        mask[:3] = mask[-3:] = False
        mask[:, :3] = mask[:, -3:] = False
        mask &= _flat(ring, roughness, mask)
        third = residual**3 / float((_SECOND_DIFFERENCE**3).sum())
        samples.add(ring[mask], level[mask], residual[mask] ** 2 / energy, third[mask])
    return _binned(samples, 'single frames', None)


def _ring(frame: Array) -> tuple[Array, Array]:
    """Mean and variance of the 40 pixels between a 3 x 3 and a 7 x 7 square around each."""

    def total(image: Array) -> Array:
        outer = ndimage.uniform_filter(image, 7, mode='mirror') * 49
        return np.asarray((outer - ndimage.uniform_filter(image, 3, mode='mirror') * 9) / 40)

    centre = float(frame.mean())
    mean = total(frame - centre)
    return mean + centre, total((frame - centre) ** 2) - mean**2


def _flat(level: Array, roughness: Array, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The flattest share of the pixels of every level."""
    inside = level[mask]
    if inside.size == 0:
        return mask
    edges = np.unique(np.quantile(inside, np.linspace(0, 1, 65)))
    index = np.clip(np.searchsorted(edges, level, side='right') - 1, 0, len(edges) - 1)
    limit = np.zeros(len(edges))
    for bin_number in range(len(edges)):
        values = roughness[mask & (index == bin_number)]
        limit[bin_number] = np.quantile(values, _FLATTEST) if values.size else -np.inf
    return np.asarray(roughness <= limit[index])


def _still(difference: Array, mean: Array) -> tuple[NDArray[np.bool_], float]:
    """Which blocks of a frame difference hold noise alone, and the share of motion in those.

    Something that moves leaves its gradient in the difference, something that bleaches its
    intensity; what appears or vanishes leaves patches wider than any correlation of the noise.
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


def _pixels(blocks: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Block mask spread over the pixels of the image."""
    row = np.minimum(np.arange(shape[0]) // (shape[0] // blocks.shape[0]), blocks.shape[0] - 1)
    column = np.minimum(np.arange(shape[1]) // (shape[1] // blocks.shape[1]), blocks.shape[1] - 1)
    return np.asarray(blocks[row[:, None], column[None, :]])


def _unclipped(frame: Array, saturation: float) -> NDArray[np.bool_]:
    """Pixels with no clipped value near them.

    The neighbourhood decides, not the pixel itself alone: leaving out a pixel because its own
    noise reached the rail would cut the distribution.
    """
    if not np.isfinite(saturation):
        return np.ones(frame.shape, dtype=bool)
    near = ndimage.maximum_filter(frame, 9, mode='nearest')
    return np.asarray(near < saturation)


def _neighbour_mean(image: Array) -> Array:
    """Mean of the 5 x 5 neighbours without the pixel itself."""
    return np.asarray((ndimage.uniform_filter(image, 5, mode='mirror') * 25 - image) / 24)


def _third_cumulants(groups: Sequence[Array]) -> tuple[Array, Array] | None:
    """(key, third cumulant) of every pixel over three or more frames, else None."""
    keys: list[Array] = []
    thirds: list[Array] = []
    for frames in groups:
        count = len(frames)
        if count >= 3:
            mean = frames.mean(axis=0)
            factor = count / ((count - 1) * (count - 2))
            keys.append(_neighbour_mean(mean).ravel())
            thirds.append((factor * ((frames - mean) ** 3).sum(axis=0)).ravel())
    return (np.concatenate(keys), np.concatenate(thirds)) if keys else None


def _binned(
    samples: _Samples,
    method: Method,
    third: tuple[Array, Array] | None,
) -> PhotonTransfer:
    key = np.concatenate(samples.key) if samples.key else np.empty(0)
    edges = np.unique(np.quantile(key, _QUANTILES)) if key.size else np.array([0.0, 1.0])
    bins = max(len(edges) - 1, 1)

    def mean(where: Array, values: Array) -> tuple[Array, Array]:
        index = np.clip(np.searchsorted(edges, where, side='right') - 1, 0, bins - 1)
        count = np.bincount(index, minlength=bins).astype(np.float64)
        total = np.bincount(index, weights=values, minlength=bins)
        return total / np.maximum(count, 1), count

    level, count = mean(key, np.concatenate(samples.level) if key.size else key)
    variance, _ = mean(key, np.concatenate(samples.variance) if key.size else key)
    if third is None:
        third = key, np.concatenate(samples.third) if key.size else key
    skewness, _ = mean(*third)
    kept = count >= 50
    if not kept.any():
        kept = count > 0
    scatter = _THIRD_SCATTER[method]
    return PhotonTransfer(
        level[kept], variance[kept], skewness[kept], scatter, count[kept], method
    )
