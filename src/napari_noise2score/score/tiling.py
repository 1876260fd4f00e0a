"""Integer arithmetic of tiles. No images, no network.

An axis of ``size`` pixels is cut into tiles. Each *keeps* a part of the axis, the parts together
are the axis exactly once, and *reads* a margin around it so that what it keeps does not depend
on where the cut is. Reads begin and end on multiples of ``multiple``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """One tile along one axis: half-open intervals in pixels of the whole axis."""

    read_start: int
    read_stop: int
    keep_start: int
    keep_stop: int

    @property
    def read(self) -> slice:
        """What to read, in the axis."""
        return slice(self.read_start, self.read_stop)

    @property
    def keep(self) -> slice:
        """Where the result goes, in the axis."""
        return slice(self.keep_start, self.keep_stop)

    @property
    def inner(self) -> slice:
        """What to keep, in the tile that was read."""
        return slice(self.keep_start - self.read_start, self.keep_stop - self.read_start)


def round_up(value: int, multiple: int) -> int:
    """Smallest multiple of ``multiple`` that is ``value`` or more."""
    return -(-value // multiple) * multiple


def spans(size: int, keep: int, margin: int, multiple: int = 1) -> list[Span]:
    """Tiles of an axis.

    Parameters
    ----------
    size : int
        Pixels of the axis, a multiple of ``multiple``.
    keep : int
        Pixels a tile keeps at most; rounded up to a multiple.
    margin : int
        Pixels read on each side beyond what is kept, fewer at the ends of the axis.
    multiple : int
        Grid on which reads begin and end.
    """
    if size <= 0 or keep <= 0 or margin < 0 or multiple <= 0 or size % multiple:
        raise ValueError(f'no tiles for {size=}, {keep=}, {margin=}, {multiple=}')
    step, halo = round_up(keep, multiple), round_up(margin, multiple)
    return [
        Span(max(0, start - halo), min(size, start + step + halo), start, min(size, start + step))
        for start in range(0, size, step)
    ]


def tiles(
    shape: tuple[int, int], keep: int, margin: int, multiple: int = 1
) -> Iterator[tuple[Span, Span]]:
    """Row and column spans of the tiles of a plane of ``shape`` (Y, X), row by row."""
    for rows in spans(shape[0], keep, margin, multiple):
        for columns in spans(shape[1], keep, margin, multiple):
            yield rows, columns
