"""Planes that are too large to be held several times in memory, divided into blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

LARGE = 1 << 23
"""Number of pixels of a plane beyond which it is worked on block by block."""

SIDE = 1024
"""Largest number of rows and of columns of a block; a multiple of the tiles of a prediction."""


class Window(NamedTuple):
    """Rows and columns of a plane, with start and stop and step 1."""

    rows: slice
    columns: slice

    @classmethod
    def whole(cls, shape: Sequence[int]) -> Window:
        """All of a plane (..., Y, X)."""
        return cls(slice(0, shape[-2]), slice(0, shape[-1]))

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X)."""
        rows, columns = self
        return rows.stop - rows.start, columns.stop - columns.start

    @property
    def ranges(self) -> dict[str, tuple[int, int]]:
        """First index, and the one after the last, by axis letter."""
        return {
            'Y': (self.rows.start, self.rows.stop),
            'X': (self.columns.start, self.columns.stop),
        }

    def wider(self, margin: int, shape: Sequence[int]) -> Window:
        """The window with a margin on each side, within a plane of ``shape``."""
        sides = zip(self, shape[-2:], strict=True)
        return Window(
            *(slice(max(0, at.start - margin), min(side, at.stop + margin)) for at, side in sides)
        )

    def within(self, other: Window) -> Window:
        """The same pixels, counted from the corner of another window that contains them."""
        return Window(
            *(
                slice(at.start - first.start, at.stop - first.start)
                for at, first in zip(self, other, strict=True)
            )
        )

    def inside(self, other: Window) -> Window:
        """The same pixels of a plane, of a window that is counted from the corner of another."""
        return Window(
            *(
                slice(at.start + first.start, at.stop + first.start)
                for at, first in zip(self, other, strict=True)
            )
        )

    def common(self, other: Window) -> Window | None:
        """The pixels that are in both windows; None if there are none."""
        both = [
            slice(max(one.start, two.start), min(one.stop, two.stop))
            for one, two in zip(self, other, strict=True)
        ]
        return Window(*both) if all(at.start < at.stop for at in both) else None


def is_large(shape: Sequence[int]) -> bool:
    """Whether planes of ``shape`` (..., Y, X) are worked on block by block."""
    return math.prod(shape[-2:]) > LARGE


def blocks_of(shape: Sequence[int]) -> list[Window]:
    """The blocks of a large plane (..., Y, X), row by row; one for a plane that is not large."""
    return list(grid(shape, SIDE)) if is_large(shape) else [Window.whole(shape)]


def grid(shape: Sequence[int], side: int) -> Iterator[Window]:
    """Windows of at most ``side`` rows and columns that cover a plane (..., Y, X) once."""
    axes = (
        [slice(first, min(first + side, length)) for first in range(0, length, side)]
        for length in shape[-2:]
    )
    return (Window(rows, columns) for rows, columns in product(*axes))


def overlapping(shape: Sequence[int], side: int) -> list[Window]:
    """Windows of one shape that cover a plane (..., Y, X), row by row; neighbours may overlap.

    They have at most ``side`` rows and columns, and overlap as little as possible.
    """
    axes = []
    for length in shape[-2:]:
        count = -(-length // side)
        width = -(-length // count)
        starts = [(length - width) * number // max(1, count - 1) for number in range(count)]
        axes.append([slice(start, start + width) for start in starts])
    return [Window(rows, columns) for rows, columns in product(*axes)]
