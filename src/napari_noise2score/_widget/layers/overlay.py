"""An image some planes of which are replaced. The rest is read from where it is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KEPT = 1 << 28
"""Bytes of replaced parts that are remembered."""

Key = tuple[tuple[int, int], ...]


class Overlay:
    """An array-like over another one, with replaced parts.

    Parameters
    ----------
    base : array-like
        With ``shape`` and slicing.
    dtype : dtype
        Of what is shown.
    remembered : int
        Bytes of replaced parts that are remembered; the oldest are forgotten first.
    """

    def __init__(self, base: Any, dtype: Any, remembered: int = _KEPT) -> None:
        self._base, self._remembered = base, remembered
        self.shape = tuple(int(side) for side in base.shape)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(dtype)
        self._parts: OrderedDict[Key, NDArray[Any]] = OrderedDict()

    def put(self, index: Sequence[int | slice], values: NDArray[Any]) -> None:
        """Replace the part at ``index``, whole numbers and slices of step 1, one for each axis."""
        key = tuple(
            at.indices(side)[:2] if isinstance(at, slice) else (at, at + 1)
            for at, side in zip(index, self.shape, strict=True)
        )
        self._parts.pop(key, None)
        self._parts[key] = np.asarray(values, self.dtype).reshape([b - a for a, b in key])
        while len(self._parts) > 1 and self._bytes() > self._remembered:
            self._parts.popitem(last=False)

    def _bytes(self) -> int:
        return sum(part.nbytes for part in self._parts.values())

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """What is seen there; whole numbers and slices are accepted."""
        given = whole_index(index, self.ndim)
        found = np.array(self._base[given], self.dtype)
        places = [
            np.atleast_1d(np.arange(side)[at]) for at, side in zip(given, self.shape, strict=True)
        ]
        full = found.reshape([len(place) for place in places])
        for key, values in self._parts.items():
            inside = [(a <= at) & (at < b) for at, (a, b) in zip(places, key, strict=True)]
            if all(some.any() for some in inside):
                source = [
                    at[some] - a for at, some, (a, _) in zip(places, inside, key, strict=True)
                ]
                full[np.ix_(*inside)] = values[np.ix_(*source)]
        return full.reshape(found.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype)


def whole_index(index: Any, ndim: int) -> tuple[int | slice, ...]:
    """An index with one entry for each axis: the ellipsis written out, the rest whole."""
    given = index if isinstance(index, tuple) else (index,)
    if any(at is Ellipsis for at in given):
        where = next(i for i, at in enumerate(given) if at is Ellipsis)
        rest = ndim - len(given) + 1
        given = (*given[:where], *[slice(None)] * rest, *given[where + 1 :])
    return (*given, *[slice(None)] * (ndim - len(given)))
