"""Filling of blank places, for filters and networks that use neighbourhoods of pixels."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import scipy
from numpy.typing import NDArray

_Float = TypeVar('_Float', np.float32, np.float64)


def filled(plane: NDArray[_Float]) -> NDArray[_Float]:
    """A plane (Y, X) with the image mirrored at their edge in the places that are NaN.

    The filled values have the noise of the adjacent pixels, and the correlation of that noise.
    Where the mirrored place is blank too, the value of the nearest valid pixel is used. A plane
    that is NaN everywhere does not change.
    """
    missing = np.isnan(plane)
    if not missing.any() or missing.all():
        return plane
    nearest = scipy.ndimage.distance_transform_edt(
        missing, return_distances=False, return_indices=True
    )
    place = np.nonzero(missing)
    mirrored = tuple(
        _within(2 * edge[place] - at, side)
        for edge, at, side in zip(nearest, place, plane.shape, strict=True)
    )
    result = plane.copy()
    result[place] = plane[tuple(edge[mirrored] for edge in nearest)]
    return result


def _within(places: NDArray[np.intp], side: int) -> NDArray[np.intp]:
    """Places mirrored at the ends of an axis until all are inside."""
    period = max(1, 2 * (side - 1))
    folded = np.abs(places) % period
    return np.asarray(np.minimum(folded, period - folded))
