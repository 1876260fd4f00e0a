"""Values of a Zarr array that stay in their chunks until they are looked at."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import product
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.indexing import IndexedArray
from napari_noise2score.images.ome_zarr.chunk_files import ChunkFiles, Span
from napari_noise2score.images.ome_zarr.guard import readable
from napari_noise2score.images.ome_zarr.location import Location

REMEMBERED = 1 << 28
"""Bytes of decoded chunks that are kept for the next look."""

Chunk = tuple[int, ...]
"""Which chunk of the grid: a number along every axis."""


class ChunkedArray(IndexedArray):
    """A Zarr array; indexing reads the chunks that are touched, and no others.

    A plane of a volume lies in chunks that hold its neighbours too, so decoded chunks are kept for
    the next look. Chunks that are needed together are read together: from a server they come at
    the same time.

    Parameters
    ----------
    array : zarr.Array
        The array.
    location : Location
        Of its image, for messages.
    name : str
        Of the array in its image, for messages.
    remembered : int
        Bytes of decoded chunks that are kept.
    files : ChunkFiles, optional
        The files of the chunks, which must not change while they are read.
    """

    def __init__(
        self,
        array: Any,
        location: Location,
        name: str,
        remembered: int = REMEMBERED,
        files: ChunkFiles | None = None,
    ) -> None:
        super().__init__(array.shape, np.dtype(array.dtype).newbyteorder('='))
        self._array, self._location, self._name = array, location, name
        self._chunk = tuple(int(side) for side in array.chunks)
        self._most, self._files = remembered, files
        self._remembered: OrderedDict[Chunk, NDArray[Any]] = OrderedDict()
        self._bytes, self._lock = 0, Lock()

    def values_at(self, wanted: Sequence[range]) -> NDArray[Any]:
        """Values at places along every axis.

        Raises
        ------
        InputError
            If chunks there are damaged or out of reach, or are changed while they are read.
        """
        found = np.empty([len(at) for at in wanted], self.dtype)
        if found.size:
            backwards = tuple(slice(None, None, -1 if at.step < 0 else 1) for at in wanted)
            upward = [at if at.step > 0 else at[::-1] for at in wanted]
            with readable(self._location, self._name):
                self._read(upward, found[backwards])
        return found

    def _read(self, wanted: Sequence[range], into: NDArray[Any]) -> None:
        touched = [
            range(at[0] // step, at[-1] // step + 1)
            for at, step in zip(wanted, self._chunk, strict=True)
        ]
        if self._box_bytes(touched) > self._most:
            with self._unchanged([(at[0], at[-1] + 1) for at in wanted]):
                into[...] = self._array[tuple(slice(at[0], at[-1] + 1, at.step) for at in wanted)]
            return
        for chunk, values in self._chunks(touched).items():
            there, here = _overlap(wanted, chunk, self._chunk)
            into[there] = values[here]

    def _chunks(self, touched: Sequence[range]) -> dict[Chunk, NDArray[Any]]:
        """The chunks of a box of the grid, decoded."""
        with self._lock:
            found = {chunk: self._remembered.get(chunk) for chunk in product(*touched)}
            for chunk in found:
                if chunk in self._remembered:
                    self._remembered.move_to_end(chunk)
        missing = [chunk for chunk, values in found.items() if values is None]
        if missing:
            found |= self._decoded(missing)
        return {chunk: values for chunk, values in found.items() if values is not None}

    def _decoded(self, missing: Sequence[Chunk]) -> dict[Chunk, NDArray[Any]]:
        """Read the box around chunks that are missing, and remember them."""
        lows, highs = ([f(at) for at in zip(*missing, strict=True)] for f in (min, max))
        spans = [
            (low * step, min((high + 1) * step, side))
            for low, high, step, side in zip(lows, highs, self._chunk, self.shape, strict=True)
        ]
        with self._unchanged(spans):
            box = np.asarray(self._array[tuple(slice(*span) for span in spans)], self.dtype)
        decoded = {}
        for chunk in missing:
            corner = tuple(
                slice((number - low) * step, (number - low + 1) * step)
                for number, low, step in zip(chunk, lows, self._chunk, strict=True)
            )
            decoded[chunk] = box[corner].copy()
        with self._lock:
            for chunk, values in decoded.items():
                self._bytes += values.nbytes if chunk not in self._remembered else 0
                self._remembered[chunk] = values
            while self._bytes > self._most and len(self._remembered) > 1:
                self._bytes -= self._remembered.popitem(last=False)[1].nbytes
        return decoded

    def _unchanged(self, spans: Sequence[Span]) -> AbstractContextManager[None]:
        return nullcontext() if self._files is None else self._files.unchanged(spans)

    def _box_bytes(self, touched: Sequence[range]) -> int:
        sides = [len(at) * step for at, step in zip(touched, self._chunk, strict=True)]
        return math.prod([*sides, self.dtype.itemsize])


def _overlap(
    wanted: Sequence[range], chunk: Chunk, sides: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where the wanted places of a chunk lie among all wanted ones, and where in the chunk."""
    there, here = [], []
    for at, number, side in zip(wanted, chunk, sides, strict=True):
        begin = max(0, -(-(number * side - at.start) // at.step))
        end = min(len(at), -(-((number + 1) * side - at.start) // at.step))
        own = at[begin:end]
        there.append(slice(begin, end))
        first = own.start - number * side
        here.append(slice(first, first + len(own) * at.step, at.step) if own else slice(0, 0))
    return tuple(there), tuple(here)
