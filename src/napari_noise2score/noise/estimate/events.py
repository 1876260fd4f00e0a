r"""Events in single frames of a recording: places where frames cannot be targets for each other.

If the next frame is the target of a frame, the network learns to remove everything that happens
once: the minimiser of ``(D(t_1) - t_2)^2`` is the mean of the *next* frame. So places where the
two frames of a pair differ by more than noise are excluded. A single pixel shows only strong
events. Means over windows show weaker ones: for an event of ``d`` noise standard deviations over
all of a window of ``w x w`` pixels, the mean of the difference is ``d w / sqrt(2)`` standard
errors away from 0 (a matched filter). Three statistics are tested in windows of several sizes:

- the difference of the two frames;
- the second difference in time about each of the two, ``2 t_k - t_{k-1} - t_{k+1}``, to which an
  event of one frame contributes twice, if the recording continues;
- the mean square of all differences over the recording, for places where events are frequent, but
  each is too weak to be detected.

Noise excludes a tenth of the places by chance, without any cost. Weaker events are not detected.
No place is excluded because it is bright or dark: the statistics are even functions of the
difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from napari_noise2score.noise.estimate.binning import neighbour_mean
from napari_noise2score.noise.fill import filled
from napari_noise2score.noise.level_table import LevelTable
from napari_noise2score.noise.pairs import PlanePair, StillBlocks

Array = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

WINDOWS = (3, 5, 9, 15)
"""Widths in pixels: from a diffraction-limited spot to a cell."""

_STANDS_OUT = 3.5
"""Standard errors from which a window counts as changed. A lower bound would truncate the noise of
the other windows: at 3.5 a window mean keeps 99 % of its variance."""
_SMALL, _STANDS_OUT_SMALL = 3, 4.0
"""The same for small windows: they are many, and noise of few photons is skewed in them."""
_CHANCE = 1e-5
"""Share of places that are excluded by chance because of their mean square over a recording."""
_FEWEST = 4
"""Minimum number of pairs to test the mean square."""
_CELL = 2
"""Side of the cells of a mask, pixels."""


def without_events(
    pairs: Sequence[PlanePair],
    frames: Mapping[int, Array],
    table: LevelTable,
    corner: tuple[int, int] = (0, 0),
) -> tuple[PlanePair, ...]:
    """The pairs, without the places where an event happens in one of their frames.

    Parameters
    ----------
    pairs : sequence of PlanePair
        Planes of one scene.
    frames : mapping of int to (Y, X) array
        The planes of all pairs, or one part of them, in the unit-noise coordinate.
    table : LevelTable
        Mean and variance of the noise in that coordinate.
    corner : (int, int)
        First row and column of that part.
    """
    if not pairs:
        return ()
    there = [_there(frames[pair.first], frames[pair.second]) for pair in pairs]
    units = [
        _unit(frames[pair.first], frames[pair.second], mask, pair, table)
        for pair, mask in zip(pairs, there, strict=True)
    ]
    calm = [np.ones(unit.shape, bool) for unit in units]
    limits = _Limits.of(sum((mask.astype(int) for mask in there), np.zeros(units[0].shape, int)))
    for width in WINDOWS:
        bound = _STANDS_OUT_SMALL if width <= _SMALL else _STANDS_OUT
        away = [np.zeros(unit.shape, bool) for unit in units]
        square = np.zeros(units[0].shape, np.float32)
        root: Array | None = None
        before: tuple[PlanePair, Array] | None = None
        for number, (pair, unit, mask) in enumerate(zip(pairs, units, there, strict=True)):
            if root is None or not np.array_equal(mask, there[number - 1]):
                root = _root_of_share(mask, width)
            mean = _window_means(unit, width, mask, root)
            # a single large difference is detected separately
            square += np.where(mask, np.minimum(mean**2, bound**2), 0)
            away[number] |= np.abs(mean) > bound
            if before is not None and _follow(before[0], pair):
                # two differences that share a frame: their variance is 1 + 1 + 2 / 2
                bent = np.abs(before[1] - mean) > bound * 3**0.5
                away[number - 1] |= bent
                away[number] |= bent
            before = pair, mean
        often = limits.passed(square)
        for mask, here in zip(calm, away, strict=True):
            mask &= ~_widened(here | often, width)
    return tuple(
        replace(pair, still=_cells(mask, pair.still, corner))
        for pair, mask in zip(pairs, calm, strict=True)
    )


def unchanged_share(pairs: Sequence[PlanePair]) -> float | None:
    """Share of the compared places that count as unchanged; None without pairs."""
    if not pairs:
        return None
    shares = [1.0 if pair.still is None else float(pair.still.blocks.mean()) for pair in pairs]
    return float(np.mean(shares))


def _there(first: Array, second: Array) -> Mask:
    """Where both frames have an image."""
    return np.asarray(np.isfinite(first) & np.isfinite(second))


def _unit(first: Array, second: Array, there: Mask, pair: PlanePair, table: LevelTable) -> Array:
    """Difference of two frames in its own standard deviations, (Y, X); 0 where one is blank."""
    if not there.all():  # running sums would take NaN to all pixels that follow
        first, second = filled(first), filled(second)
    if pair.change is None:
        variance = 2 * table.variance_at(neighbour_mean((first + second) / 2))
        brought = first
    else:
        brought = pair.change(first)
        level = neighbour_mean((brought + second) / 2)
        before = pair.change.reversed(level)
        slope = pair.change.slope(before)
        variance = slope**2 * table.variance_at(before) + table.variance_at(level)
    least = 1e-2 * float(np.nan_to_num(variance).max())  # a plane may be blank everywhere
    unit = (brought - second) / np.sqrt(np.maximum(variance, least))
    return np.where(there & np.isfinite(unit), unit, 0).astype(np.float32)


def _root_of_share(there: Mask, width: int) -> Array:
    """Square root of the share of each window that is image, at least that of one pixel."""
    share = ndimage.uniform_filter(there.astype(np.float32), width, mode='constant')
    return np.asarray(np.sqrt(np.maximum(share, 1 / width**2)))


def _window_means(unit: Array, width: int, there: Mask, root: Array) -> Array:
    """Means over windows in their own standard errors, with the root of their share of image.

    The standard errors are larger than those of white noise if the noise is correlated or stronger
    than its model.
    """
    mean = width * ndimage.uniform_filter(unit, width, mode='constant') / root
    inside = mean[there]
    if not inside.size:
        return np.zeros_like(mean)
    scale = 1.4826 * float(np.median(np.abs(inside - np.median(inside))))
    return np.asarray(mean / max(scale, 1.0))


def _follow(one: PlanePair, other: PlanePair) -> bool:
    """Whether the second frame of a pair is the first of the other, under the same light."""
    return one.second == other.first and one.change is None and other.change is None


@dataclass(frozen=True, slots=True, eq=False)
class _Limits:
    """Where the differences of all pairs that are image at a pixel are larger than noise.

    Attributes
    ----------
    enough : (Y, X) bool
        Where there are enough pairs to tell.
    median, most : (Y, X) float
        Of the sum of squares of so many differences: the median, and what is passed by chance.
    """

    enough: Mask
    median: Array
    most: Array

    @classmethod
    def of(cls, counts: NDArray[np.intp]) -> _Limits:
        """Those for so many pairs at each pixel."""
        kinds, which = np.unique(counts, return_inverse=True)
        # neighbouring differences are correlated by -1/2, so their squares by 1/4
        independent = np.maximum(kinds, 1) / 1.5
        median, most = (
            special.chdtri(independent, chance)[which.reshape(counts.shape)]
            for chance in (0.5, _CHANCE)
        )
        return cls(counts >= _FEWEST, median, most)

    def passed(self, square: Array) -> Mask:
        """Places whose sum of squares is too large."""
        if not self.enough.any():
            return np.zeros(square.shape, bool)
        usual = np.median((square / self.median)[self.enough])
        return np.asarray(self.enough & (square > usual * self.most))


def _widened(mask: Mask, width: int) -> Mask:
    """All pixels in windows of this width around the marked pixels."""
    return np.asarray(ndimage.maximum_filter(mask, width + 2))


def _cells(mask: Mask, still: StillBlocks | None, corner: tuple[int, int]) -> StillBlocks | None:
    """The mask together with the places known before, by cells."""
    if still is not None:
        mask = mask & still.pixels
    if mask.all():
        return None
    height, width = (max(side // _CELL, 1) for side in mask.shape)
    cut = mask[: height * _CELL, : width * _CELL]
    cells = cut.reshape(height, cut.shape[0] // height, width, cut.shape[1] // width)
    return StillBlocks(np.asarray(cells.all(axis=(1, 3))), (mask.shape[0], mask.shape[1]), corner)
