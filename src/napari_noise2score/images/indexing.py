"""Indices of array-likes that are computed or read when they are indexed."""

from __future__ import annotations

from typing import Any


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
