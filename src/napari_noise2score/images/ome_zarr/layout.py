"""How an image lies in an OME-Zarr that is written: order of the axes, levels, chunks, shards."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr.location import SUFFIX, Location, PathLike, load_zarr
from napari_noise2score.images.ome_zarr.pyramid import (
    Shape,
    Window,
    factors,
    level_shapes,
    windows,
)

_MOST_AXES = 5


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the parts in which an image is stored.

    Attributes
    ----------
    chunk : int
        Rows and columns of a chunk, which is a part of one plane: viewers look at planes.
    shard : int
        Bytes of values that a file holds, about.
    smallest : int
        Rows or columns up to which an image gets no smaller copy.
    """

    chunk: int = 512
    shard: int = 1 << 26
    smallest: int = 256


USUAL = Sizes()
"""Sizes that are used if none are given."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How an image is going to lie in an OME-Zarr.

    Attributes
    ----------
    axes : str
        Order of the axes in the arrays.
    shapes : list of shapes
        Of the levels, full resolution first.
    dtype : dtype
        Of the values.
    sizes : Sizes
        Sizes of chunks and shards.
    """

    axes: str
    shapes: list[Shape]
    dtype: np.dtype[Any]
    sizes: Sizes = USUAL

    @property
    def steps(self) -> list[tuple[float, ...]]:
        """By how much a pixel of each level is larger than one in full resolution."""
        found = [(1.0,) * len(self.axes)]
        for shape in self.shapes[:-1]:
            pairs = zip(found[-1], factors(shape), strict=True)
            found.append(tuple(size * by for size, by in pairs))
        return found

    def grid(self, level: int) -> tuple[Shape, Shape]:
        """Sides of the chunks and of the shards of a level.

        A shard holds as many chunks as its size allows: first of a plane, then along Z, then
        along T. It never holds two channels.
        """
        shape = self.shapes[level]
        chunk = (1,) * (len(shape) - 2) + tuple(min(side, self.sizes.chunk) for side in shape[-2:])
        left = max(1, self.sizes.shard // (math.prod(chunk) * self.dtype.itemsize))
        counts = [-(-side // step) for side, step in zip(shape, chunk, strict=True)]
        shard = list(chunk)
        rows, columns = len(shape) - 2, len(shape) - 1
        across = min(counts[columns], max(math.isqrt(left), left // counts[rows]))
        for axis, most in ((columns, across), (rows, counts[rows]), *self._stacked(counts)):
            times = min(left, most)
            shard[axis] *= times
            left //= times
        return chunk, tuple(shard)

    def shards(self, level: int = 0) -> Iterator[Window]:
        """The parts of a level that are files of their own."""
        return windows(self.shapes[level], self.grid(level)[1])

    def _stacked(self, counts: Sequence[int]) -> list[tuple[int, int]]:
        return [(self.axes.index(a), counts[self.axes.index(a)]) for a in 'ZT' if a in self.axes]


def layout_for(
    path: PathLike,
    axes: str,
    dtype: DTypeLike,
    shape: Sequence[int],
    sizes: Sizes | None = None,
) -> Layout:
    """How an image would be written, in parts of the given sizes; of the `USUAL` ones by default.

    Raises
    ------
    InputError
        If OME-Zarr cannot hold it; the text says what can.
    """
    if not Path(path).name.lower().endswith(SUFFIX):
        raise InputError(
            f'{Location.of(path)}: the name of an OME-Zarr that is written ends in {SUFFIX}, such '
            f'as out.ome{SUFFIX}'
        )
    between = [letter for letter in axes if letter not in 'TZYX']
    if len(between) > 1 or len(axes) > _MOST_AXES:
        raise InputError(
            f'{Location.of(path)}: OME-Zarr {axes} cannot be written: besides T, Z, Y and X there '
            'is room for one axis; choose one position or channel with --region, or write a TIFF'
        )
    order = ''.join([*'T'[: 'T' in axes], *between, *(a for a in 'ZYX' if a in axes)])
    lengths = dict(zip(axes, (int(side) for side in shape), strict=True))
    sizes = sizes or USUAL
    levels = level_shapes([lengths[letter] for letter in order], sizes.smallest)
    return Layout(order, levels, np.dtype(dtype), sizes)


def check_writable_as(
    path: PathLike, axes: str, dtype: DTypeLike, shape: Sequence[int]
) -> tuple[str, ...]:
    """Whether an image can be written to a path, to be asked before any work is done.

    Returns
    -------
    tuple of str
        Notes, where the OME-Zarr is going to differ from the image.

    Raises
    ------
    InputError
        If it cannot, or zarr is not installed; the text says what can.
    """
    load_zarr()
    layout_for(path, axes, dtype, shape)
    if 'S' not in axes:
        return ()
    return ('OME-Zarr has no axis of colours; they are written as channels',)
