"""Smaller copies of an image for viewers: means over two rows and two columns, again and again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.storage import as_dtype

_ROWS = 512
"""Rows of a smaller copy that are made at once, to need less memory."""

Shape = tuple[int, ...]
Window = tuple[slice, ...]


def factors(shape: Sequence[int]) -> Shape:
    """By how much each axis shrinks from one level to the next; the last two are rows, columns."""
    return (1,) * (len(shape) - 2) + tuple(2 if side > 1 else 1 for side in shape[-2:])


def level_shapes(shape: Sequence[int], smallest: int) -> list[Shape]:
    """Shapes of all levels, the image itself first, until one is not larger than ``smallest``."""
    levels = [tuple(shape)]
    while max(levels[-1][-2:]) > smallest:
        last = levels[-1]
        levels.append(tuple(-(-side // by) for side, by in zip(last, factors(last), strict=True)))
    return levels


def windows(shape: Sequence[int], sides: Sequence[int]) -> Iterator[Window]:
    """A grid of windows over an array; those at its ends may be smaller."""
    for corner in product(*(range(0, s, step) for s, step in zip(shape, sides, strict=True))):
        yield tuple(
            slice(first, min(first + step, side))
            for first, step, side in zip(corner, sides, shape, strict=True)
        )


def reduced(plane: NDArray[Any]) -> NDArray[Any]:
    """A plane (Y, X) with half as many rows and columns, in the dtype of the plane.

    Each value is the mean of two by two pixels; of those that are there at an odd end, and of
    those that are not NaN.
    """
    by = factors(plane.shape)
    missing = [(0, -side % step) for side, step in zip(plane.shape, by, strict=True)]
    padded = np.pad(plane, missing, mode='edge')  # a pixel twice, or once: the mean is the same
    parts = [
        padded[row :: by[0], column :: by[1]].astype(np.float64)
        for row, column in product(*map(range, by))
    ]
    mean = sum(parts[1:], start=parts[0]) / len(parts)
    if np.isnan(mean).any():
        there = [~np.isnan(part) for part in parts]
        total = sum(np.where(known, part, 0) for known, part in zip(there, parts, strict=True))
        count = np.sum(there, axis=0)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return as_dtype(mean, plane.dtype)[0]


def reduced_window(finer: Any, window: Window) -> NDArray[Any]:
    """A window of the level below an array, read from that array plane by plane.

    Parameters
    ----------
    finer : array-like
        The level above, rows and columns last.
    window : tuple of slice
        Of the level below.
    """
    by = factors(finer.shape)[-2:]
    found = np.empty([part.stop - part.start for part in window], np.dtype(finer.dtype))
    *others, rows, columns = window
    for place in product(*(range(part.start, part.stop) for part in others)):
        into = tuple(at - part.start for at, part in zip(place, others, strict=True))
        for first in range(rows.start, rows.stop, _ROWS):
            some = slice(first, min(first + _ROWS, rows.stop))
            near = tuple(
                slice(part.start * step, min(part.stop * step, side))
                for part, step, side in zip((some, columns), by, finer.shape[-2:], strict=True)
            )
            at_rows = slice(some.start - rows.start, some.stop - rows.start)
            found[(*into, at_rows)] = reduced(np.asarray(finer[(*place, *near)]))
    return found
