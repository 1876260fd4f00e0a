"""An image with the axes of another one: files have an order of their own, and no single axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.indexing import IndexedArray, slice_of
from napari_noise2score.images.source import ImageSource


class Rearranged(IndexedArray):
    """An array-like with its axes in another order.

    Parameters
    ----------
    data : array-like
        With ``shape``, ``dtype`` and slicing.
    order : sequence of int or None
        For each axis that of ``data``; None for a new one of length 1. Axes of ``data`` that are
        not in it have length 1.
    """

    def __init__(self, data: Any, order: Sequence[int | None]) -> None:
        super().__init__([1 if axis is None else data.shape[axis] for axis in order], data.dtype)
        self._data, self._order = data, tuple(order)

    def values_at(self, wanted: Sequence[range]) -> NDArray[Any]:
        """Values at these places along every axis, see `IndexedArray.values_at`."""
        places: list[range] = [range(1)] * len(self._data.shape)
        for axis, part in zip(self._order, wanted, strict=True):
            if axis is not None:
                places[axis] = part
        values = np.asarray(self._data[tuple(slice_of(part) for part in places)])
        kept = [axis for axis in self._order if axis is not None]
        left = [axis for axis in range(values.ndim) if axis not in kept]
        values = values.transpose([*kept, *left]).reshape([values.shape[axis] for axis in kept])
        new = [axis for axis, own in enumerate(self._order) if own is None]
        values = np.expand_dims(values, tuple(new))
        some = (slice(len(part)) if n in new else slice(None) for n, part in enumerate(wanted))
        return np.asarray(values[tuple(some)])


def with_axes_of(other: ImageSource, image: ImageSource) -> ImageSource | None:
    """An image with the axes of another one, and in their order; None if it has different axes.

    Axes of length 1 may be missing in each of them. Colours (``S``) and channels (``C``) are the
    same if the other has only one of them.
    """
    letters = image.axes
    if 'S' in other.axes and 'C' not in other.axes and 'S' not in letters:
        letters = letters.replace('C', 'S')
    if 'C' in other.axes and 'S' not in other.axes and 'C' not in letters:
        letters = letters.replace('S', 'C')
    new = {letter for letter, side in zip(other.axes, other.shape, strict=True) if side == 1}
    single = {letter for letter, side in zip(letters, image.shape, strict=True) if side == 1}
    if not set(other.axes) - set(letters) <= new or not set(letters) - set(other.axes) <= single:
        return None
    if letters == other.axes:
        return ImageSource(image.data, letters, image.name)
    order = [letters.index(letter) if letter in letters else None for letter in other.axes]
    return ImageSource(Rearranged(image.data, order), other.axes, image.name)
