"""Noise variance by level, measured in the unit-noise coordinate from frames of one scene.

Real detectors differ from the noise model: photomultipliers have excess noise at a few photons,
cameras clip and compress. Where frames show one scene, the variance can be measured directly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.estimate.binning import Bins, neighbour_mean
from napari_noise2score.noise.estimate.outliers import away_from, unclipped
from napari_noise2score.noise.fill import filled
from napari_noise2score.noise.level_table import SMALLEST_VARIANCE, LevelTable
from napari_noise2score.noise.pairs import LevelChange, PlanePair

Array = NDArray[np.float64]

_LEAST = 2000
"""Minimum number of pixels of a bin: the standard error of the variance is 3 %."""
_BINS = 48
_FURTHEST = 2.0
"""Maximum factor between measured and expected variance; larger factors are due to motion."""


def measured_table(
    table: LevelTable, pairs: Sequence[tuple[Array, Array, PlanePair]], clipped: float
) -> LevelTable:
    """The table with the variances measured in frames of one scene.

    Parameters
    ----------
    table : LevelTable
        Mean and variance of the noise model.
    pairs : sequence of ((Y, X) float64, (Y, X) float64, PlanePair)
        Frames of one scene in the unit-noise coordinate, NaN where there is no image, and their
        pair.
    clipped : float
        Coordinate from which values are clipped by the detector; ``inf`` if none are. Pixels with
        such a value near them are excluded.

    Returns
    -------
    LevelTable
        The given table if there are too few pixels.
    """
    keys, squares = [np.empty(0)], [np.empty(0)]
    for first, second, pair in pairs:
        there = away_from(np.isnan(first) | np.isnan(second))
        first, second = filled(first), filled(second)
        inside = unclipped(np.maximum(first, second), clipped) & there
        if pair.still is not None:
            inside &= pair.still.pixels
        key, square = _squares(table, first, second, pair.change)
        keys.append(key[inside])
        squares.append(square[inside])
    key = np.concatenate(keys)
    count = min(_BINS, key.size // _LEAST)
    if count < 1:
        return table
    bins = Bins.of(key, np.linspace(0, 1, count + 1))
    level, variance, _ = bins.means(key, key, np.concatenate(squares))
    expected = table.variance_at(level)
    variance = np.clip(variance, expected / _FURTHEST, expected * _FURTHEST)
    return table.measured(level, variance)


def _squares(
    table: LevelTable, first: Array, second: Array, change: LevelChange | None
) -> tuple[Array, Array]:
    """Level of every pixel, without its own noise, and its squared noise there."""
    if change is None:
        return neighbour_mean((first + second) / 2), (first - second) ** 2 / 2
    brought = change(first)
    after = neighbour_mean((brought + second) / 2)
    before = change.reversed(after)
    expected = change.slope(before) ** 2 * table.variance_at(before) + table.variance_at(after)
    level = (before + after) / 2
    # where the model has no noise, a ratio is not defined, and the value of the model is used
    share = np.ones_like(expected)
    np.divide((brought - second) ** 2, expected, out=share, where=expected > SMALLEST_VARIANCE)
    return level, share * table.variance_at(level)
