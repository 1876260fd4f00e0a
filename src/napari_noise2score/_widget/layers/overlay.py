"""An image with some replaced planes; the others are read from another array."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CACHE_BYTES = 1 << 28
"""Maximum size of the replaced parts, bytes; the oldest ones are deleted first."""

Key = tuple[tuple[int, int], ...]


class Overlay:
    """An array-like that shows another one, with replaced parts.

    Parameters
    ----------
    base : array-like
        Array with ``shape`` and slicing.
    dtype : dtype
        Data type of the displayed values.
    in_memory : int
        Bytes of the replaced parts; the oldest ones are deleted first.
    """

    def __init__(self, base: Any, dtype: Any, in_memory: int = _CACHE_BYTES) -> None:
        self._base, self._in_memory = base, in_memory
        self.shape = tuple(int(side) for side in base.shape)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(dtype)
        self._parts: OrderedDict[Key, NDArray[Any]] = OrderedDict()

    def put(self, index: Sequence[int | slice], values: NDArray[Any]) -> None:
        """Replace the part at ``index``: an integer or a slice of step 1 for each axis."""
        key = tuple(
            at.indices(side)[:2] if isinstance(at, slice) else (at, at + 1)
            for at, side in zip(index, self.shape, strict=True)
        )
        self._parts.pop(key, None)
        self._parts[key] = np.asarray(values, self.dtype).reshape([b - a for a, b in key])
        while len(self._parts) > 1 and self._bytes() > self._in_memory:
            self._parts.popitem(last=False)

    def _bytes(self) -> int:
        return sum(part.nbytes for part in self._parts.values())

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Displayed values; integers and slices are accepted."""
        given = whole_index(index, self.ndim)
        shown = np.array(self._base[given], self.dtype)
        places = [
            np.atleast_1d(np.arange(side)[at]) for at, side in zip(given, self.shape, strict=True)
        ]
        full = shown.reshape([len(place) for place in places])
        for key, values in self._parts.items():
            inside = [(a <= at) & (at < b) for at, (a, b) in zip(places, key, strict=True)]
            if all(some.any() for some in inside):
                source = [
                    at[some] - a for at, some, (a, _) in zip(places, inside, key, strict=True)
                ]
                full[np.ix_(*inside)] = values[np.ix_(*source)]
        return full.reshape(shown.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype)


def whole_index(index: Any, ndim: int) -> tuple[int | slice, ...]:
    """An index with one entry for each axis: without ellipsis, and with whole missing axes."""
    given = index if isinstance(index, tuple) else (index,)
    if any(at is Ellipsis for at in given):
        where = next(i for i, at in enumerate(given) if at is Ellipsis)
        rest = ndim - len(given) + 1
        given = (*given[:where], *[slice(None)] * rest, *given[where + 1 :])
    return (*given, *[slice(None)] * (ndim - len(given)))
