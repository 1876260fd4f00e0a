"""Pixels that are no image: clipped at the rail, hot, blinking, hit by a cosmic ray.

Whatever a lens has imaged is as wide as its point spread function. A pixel that stands far above
all its neighbours is therefore the detector's, and its statistics say nothing about the noise.
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
"""Width of the widest filter, and two pixels more on each side."""
_SHARP = 0.5
"""Share of its height above the surroundings by which a peak exceeds all its neighbours. A point
source sampled at Nyquist's rate exceeds them by a third."""


def unclipped(frame: Array, saturation: float) -> Mask:
    """Pixels of (Y, X) with no clipped value near them.

    The neighbourhood decides, not the pixel itself alone: leaving out a pixel because its own
    noise reached the rail would cut the distribution.
    """
    if not np.isfinite(saturation):
        return np.ones(frame.shape, dtype=bool)
    near = ndimage.maximum_filter(frame, 9, mode='nearest')
    return np.asarray(near < saturation)


def away_from(blank: Mask) -> Mask:
    """Pixels of (Y, X) that no filter of the estimate brings together with a blank place.

    Nor with its edge, where an image that was turned or moved is mixed with what is around it.
    """
    if not blank.any():
        return np.ones(blank.shape, dtype=bool)
    return np.asarray(~ndimage.binary_dilation(blank, np.ones((_REACH, _REACH))))


def isolated(frame: Array, unit: UnitNoise) -> Mask:
    """Pixels of (Y, X) that stand out from all their neighbours more than noise or optics can.

    Parameters
    ----------
    frame : (Y, X) float64
        Grey levels.
    unit : UnitNoise
        Coordinate in which the noise has about unit variance.
    """
    # eight shifted views: the candidates are few, a rank filter would sort everywhere
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
    found = np.zeros(frame.shape, dtype=bool)
    found[places] = far & sharp
    return found
