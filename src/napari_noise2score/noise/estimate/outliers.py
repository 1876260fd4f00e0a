"""Pixels without valid data: clipped, hot, blinking, hit by a cosmic ray.

An image of a lens is never sharper than its point spread function. A pixel far above all its
neighbours is therefore an artefact of the detector, and its statistics are not those of the noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.coordinates import UnitNoise

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FAR = 6.0
"""Noise standard deviations that noise alone never reaches."""

_REACH = 11
"""Width of the widest filter plus two pixels on each side."""
_SHARP = 0.5
"""Share of its height above the surroundings by which a hot pixel exceeds all its neighbours. A
point source sampled at Nyquist's rate exceeds them by a third."""


def unclipped(frame: Array, saturation: float) -> Mask:
    """Pixels of (Y, X) with no clipped value near them.

    The whole neighbourhood counts: to exclude only pixels that are clipped by their own noise
    would truncate the distribution of the noise.
    """
    if not np.isfinite(saturation):
        return np.ones(frame.shape, dtype=bool)
    near = ndimage.maximum_filter(frame, 9, mode='nearest')
    return np.asarray(near < saturation)


def away_from(blank: Mask) -> Mask:
    """Pixels of (Y, X) whose value after any filter of the estimate is independent of blank
    places.

    Pixels at the edge of a blank place are excluded too: there a rotated or shifted image is mixed
    with its surroundings.
    """
    if not blank.any():
        return np.ones(blank.shape, dtype=bool)
    return np.asarray(~ndimage.binary_dilation(blank, np.ones((_REACH, _REACH))))


def isolated(frame: Array, unit: UnitNoise) -> Mask:
    """Pixels of (Y, X) that exceed all their neighbours by more than noise or optics can explain.

    Parameters
    ----------
    frame : (Y, X) float64
        Grey levels.
    unit : UnitNoise
        Coordinate in which the noise has about unit variance.
    """
    # eight shifted views: there are few candidates, but a rank filter would sort all pixels
    padded = np.pad(frame, 1, mode='reflect')
    height, width = frame.shape
    around = [
        padded[row : row + height, column : column + width]
        for row in range(3)
        for column in range(3)
        if (row, column) != (1, 1)
    ]
    highest = np.maximum.reduce(around)
    places = np.nonzero(frame > highest)
    peak, next_highest = frame[places], highest[places]
    usual = np.median([view[places] for view in around], axis=0)
    far = unit.forward(peak) - unit.forward(next_highest) > FAR
    sharp = peak - next_highest > _SHARP * (peak - usual)
    mask = np.zeros(frame.shape, dtype=bool)
    mask[places] = far & sharp
    return mask
