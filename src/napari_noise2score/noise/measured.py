"""Noise variance by level, measured in the unit-noise coordinate from frames of one scene.

The noise model says what the variance should be. Detectors differ: photomultipliers have excess
noise at a few photons, cameras clip and compress. Where frames show one scene, the variance is
there to be read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.level_table import LevelTable

Array = NDArray[np.float64]

_LEAST = 2000
"""Pixels of a bin: the variance is known to 3 %."""
_BINS = 48
_FURTHEST = 2.0
"""Factor between measured and expected variance that is believed; beyond, something moved."""


def measured_table(
    table: LevelTable, pairs: Sequence[tuple[Array, Array]], clipped: float
) -> LevelTable:
    """The table with its variances as frames of one scene show them.

    Parameters
    ----------
    table : LevelTable
        What the noise model says.
    pairs : sequence of ((Y, X), (Y, X)) float64
        Frames of one scene, in the unit-noise coordinate.
    clipped : float
        Coordinate from which values are clipped by the detector; ``inf`` if none are. Pixels with
        such a value near them are left out.

    Returns
    -------
    LevelTable
        The same one where there are too few pixels.
    """
    keys, squares = [], []
    for first, second in pairs:
        mean = (first + second) / 2
        level = (ndimage.uniform_filter(mean, 5, mode='mirror') * 25 - mean) / 24
        inside = ndimage.maximum_filter(np.maximum(first, second), 9) < clipped
        keys.append(level[inside])
        squares.append((first - second)[inside] ** 2 / 2)
    key = np.concatenate(keys) if keys else np.empty(0)
    bins = min(_BINS, key.size // _LEAST)
    if bins < 1:
        return table
    edges = np.unique(np.quantile(key, np.linspace(0, 1, bins + 1)))
    place = np.clip(np.searchsorted(edges, key, side='right') - 1, 0, max(len(edges) - 2, 0))
    count = np.bincount(place).astype(np.float64)
    level = np.bincount(place, key) / count
    variance = np.bincount(place, np.concatenate(squares)) / count
    expected = table.variance_at(level)
    variance = np.clip(variance, expected / _FURTHEST, expected * _FURTHEST)
    return table.measured(level, variance)
