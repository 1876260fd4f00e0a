"""Array-likes whose values are computed or read when they are indexed."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class IndexedArray(ABC):
    """An array-like whose values are computed or read when it is indexed.

    A subclass gives the values at places along every axis, see `values_at`; indices of integers,
    slices and ``...`` follow from that, as for a NumPy array.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : dtype
        Data type of its values.
    """

    def __init__(self, shape: Sequence[int], dtype: DTypeLike) -> None:
        self.shape = tuple(int(side) for side in shape)
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.ndim, self.size = len(self.shape), math.prod(self.shape)
        self.nbytes = self.size * self.dtype.itemsize

    @abstractmethod
    def values_at(self, wanted: Sequence[range]) -> NDArray[Any]:
        """Values at these places along every axis, which may be none: an array of these lengths.

        Ranges have any step other than 0.
        """

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Values at ``index``: integers, slices and ``...``."""
        wanted, single = places_of(index, self.shape)
        return without(self.values_at(wanted), single)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        values = self[...]
        return values if dtype is None else values.astype(dtype, copy=False)


def without(values: NDArray[Any], axes: Collection[int]) -> NDArray[Any]:
    """Values without these axes, along which there is one place."""
    return values[tuple(0 if axis in axes else slice(None) for axis in range(values.ndim))]


def places_of(index: Any, shape: tuple[int, ...]) -> tuple[list[range], set[int]]:
    """Places along every axis, and the axes that are dropped.

    Parameters
    ----------
    index : int, slice, Ellipsis, or a tuple of these
        As NumPy's basic indexing has it, without new axes.
    shape : tuple of int
        Of the array-like.

    Raises
    ------
    IndexError
        If there are more indices than axes, or one lies outside.
    """
    parts = index if isinstance(index, tuple) else (index,)
    free = len(shape) - sum(part is not Ellipsis for part in parts)
    if free < 0:
        raise IndexError(f'{len(parts)} indices for {len(shape)} axes')
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    parts = (*parts[:at], *(slice(None),) * free, *parts[at + 1 :])
    wanted, single = [], set()
    for axis, (part, side) in enumerate(zip(parts, shape, strict=True)):
        if isinstance(part, slice):
            wanted.append(range(side)[part])
        else:
            place = range(side)[part]
            wanted.append(range(place, place + 1))
            single.add(axis)
    return wanted, single


def slice_of(places: range) -> slice:
    """The slice that selects these places."""
    if not places:
        return slice(0)
    stop = None if places.step < 0 and places.stop < 0 else places.stop
    return slice(places.start, stop, places.step)
