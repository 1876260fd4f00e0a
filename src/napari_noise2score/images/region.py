"""A part of an image: ranges along its axes; values are read only when they are indexed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_noise2score.errors import InputError

Index = tuple[int | slice, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """Half-open ranges along axes; axes without a range are complete.

    Parameters
    ----------
    ranges : mapping of str to (int, int)
        First index and the one after the last, by axis letter of ``TCZYXS``.

    Raises
    ------
    InputError
        If a range is empty.
    """

    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for letter, (start, stop) in self.ranges.items():
            if start < 0 or stop <= start:
                raise InputError(
                    f'region {letter} {start}:{stop} is empty; a first index of 0 or more and a '
                    'larger end index are needed'
                )

    @classmethod
    def parse(cls, text: str) -> Region:
        """The region from text, as on the command line: ``T0:10,Y100:400,X50:350``.

        Raises
        ------
        InputError
            If the text cannot be parsed.
        """
        ranges = {}
        for part in filter(None, text.replace(' ', '').split(',')):
            letter, bounds = part[:1].upper(), part[1:].lstrip('=')
            try:
                start, stop = (int(bound) for bound in bounds.split(':'))
            except ValueError:
                raise InputError(
                    f'region {part!r} cannot be read; a letter and a range of whole numbers are '
                    'needed, such as T0:10 or Y100:400'
                ) from None
            ranges[letter] = (start, stop)
        return cls(ranges)

    def __str__(self) -> str:
        return ','.join(f'{letter}{start}:{stop}' for letter, (start, stop) in self.ranges.items())

    def slices(self, axes: str, shape: Sequence[int], name: str = 'image') -> tuple[slice, ...]:
        """A slice for each axis of an image.

        Raises
        ------
        InputError
            If the image does not have an axis, or a range is beyond the image.
        """
        for letter, (start, stop) in self.ranges.items():
            if letter not in axes:
                raise InputError(f'region {letter}{start}:{stop}: {name} has the axes {axes}')
            size = shape[axes.index(letter)]
            if stop > size:
                raise InputError(
                    f'region {letter}{start}:{stop}: {name} has {size} along {letter}; '
                    f'at most {letter}0:{size} is accepted'
                )
        return tuple(
            slice(*self.ranges.get(letter, (0, side)))
            for letter, side in zip(axes, shape, strict=True)
        )


WHOLE = Region()
"""The whole image."""


class Part:
    """A part of an array-like; nothing is read before it is indexed.

    Parameters
    ----------
    data : array-like
        With ``shape``, ``dtype`` and slicing: NumPy, dask, zarr.
    slices : tuple of slice
        One for each axis, with start and stop and step 1.

    Attributes
    ----------
    whole : tuple of int
        Shape of the whole array.
    held : int
        Bytes of the whole array, if it is in memory; otherwise 0.
    """

    def __init__(self, data: Any, slices: tuple[slice, ...]) -> None:
        self._data, self._starts = data, tuple(part.start for part in slices)
        self.shape = tuple(part.stop - part.start for part in slices)
        self.dtype = np.dtype(data.dtype)
        self.ndim = len(self.shape)
        self.whole = tuple(int(side) for side in data.shape)
        self.held = held_bytes(data)

    def __getitem__(self, index: Index) -> Any:
        """Values at ``index``: integers and slices, one for each axis."""
        return self._data[
            tuple(
                _shifted(range(side)[at], first) if isinstance(at, slice) else first + at % side
                for at, first, side in zip(index, self._starts, self.shape, strict=True)
            )
        ]


def held_bytes(data: Any) -> int:
    """Bytes of an array-like, or of the array that it is a part of, if that is in memory."""
    if isinstance(data, np.ndarray):
        return 0 if isinstance(data, np.memmap) else data.nbytes
    return data.held if isinstance(data, Part) else 0


def _shifted(places: range, first: int) -> slice:
    if not places:
        return slice(0, 0)
    last = first + places[-1] + (1 if places.step > 0 else -1)
    return slice(first + places[0], last if last >= 0 else None, places.step)
