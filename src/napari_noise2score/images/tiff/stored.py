"""Values of an image in a file, which are read when they are indexed."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.images.indexing import IndexedArray
from napari_noise2score.images.tiff.guard import readable
from napari_noise2score.images.unchanged import State, check_unchanged, state_of

if TYPE_CHECKING:
    from tifffile import TiffFrame, TiffPage

Window = tuple[range, ...]
"""Requested part of a page: consecutive places along each of its axes."""

_AT_ONCE = 1 << 26
"""Bytes that are read at once."""
_REMEMBERED = 1 << 28
"""Bytes of decoded segments that are cached."""


class Pages(Protocol):
    """Pages of one shape and dtype in one or more files."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a page."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the values, in native byte order."""
        ...

    def read(self, files: Files, page: int, window: Window, into: NDArray[Any]) -> None:
        """Read the window of page number ``page`` into an array of its size."""
        ...


class Files:
    """Files that are opened on first use, and closed together.

    Parameters
    ----------
    stack : ExitStack
        Closes the files.
    states : dict of Path to State
        States of the files when they were first opened; a file that is not in it is added.
    """

    def __init__(self, stack: ExitStack, states: dict[Path, State]) -> None:
        self._stack, self._open, self._states = stack, dict[Path, IO[bytes]](), states

    def at(self, path: Path) -> IO[bytes]:
        """A file, open."""
        if path not in self._open:
            file = self._stack.enter_context(path.open('rb'))
            self._open[path] = file
            self._states.setdefault(path, state_of(file.fileno()))
        return self._open[path]

    def check(self) -> None:
        """Raise `InputError` if a file is not as it was when it was first opened."""
        for path, file in self._open.items():
            check_unchanged(path, self._states[path], state_of(file.fileno()))


class StoredArray(IndexedArray):
    """An array in a file; indexing reads only the requested values.

    Parameters
    ----------
    path : Path
        The file, for messages.
    shape : tuple of int
        Shape; its last axes are those of a page, the others number the pages.
    pages : Pages
        The pages; their number agrees with the shape.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], pages: Pages) -> None:
        super().__init__(shape, pages.dtype)
        self._path, self._pages = path, pages
        self._states = {path: state_of(path)}

    def reshape(self, *shape: int) -> StoredArray:
        """The same pages, numbered by other axes."""
        return StoredArray(self._path, shape, self._pages)

    def values_at(self, wanted: Sequence[range]) -> NDArray[Any]:
        """Values at places along every axis.

        Raises
        ------
        InputError
            If the file is damaged there, or is not as it was before.
        """
        split = self.ndim - len(self._pages.shape)
        leading, window = wanted[:split], wanted[split:]
        spans = tuple(
            range(min(at), max(at) + 1) if len(at) else range(0)  # of any step
            for at in window
        )
        picked = tuple(
            slice(at[0] - span[0], _stop(at[-1] - span[0], at.step), at.step) if span else slice(0)
            for at, span in zip(window, spans, strict=True)
        )
        whole = all(at.step == 1 for at in window)
        values = np.empty(tuple(len(at) for at in wanted), self.dtype)
        if values.size:
            with readable(self._path), ExitStack() as stack:
                files = Files(stack, self._states)
                for place in product(*(range(len(at)) for at in leading)):
                    number = _number(
                        [at[i] for at, i in zip(leading, place, strict=True)], self.shape[:split]
                    )
                    if whole:
                        self._pages.read(files, number, spans, values[place])
                    else:
                        near = np.empty([len(span) for span in spans], self.dtype)
                        self._pages.read(files, number, spans, near)
                        values[place] = near[picked]
                files.check()
        return values


class Contiguous:
    """Uncompressed pages that are stored one after the other.

    Parameters
    ----------
    path : Path
        The file.
    offset : int
        Position of the first page, bytes.
    shape : tuple of int
        Shape of a page.
    dtype : dtype
        With the byte order of the file.
    """

    def __init__(
        self, path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._path, self._offset, self._stored = path, offset, dtype
        self.shape, self.dtype = shape, dtype.newbyteorder('=')

    def read(self, files: Files, page: int, window: Window, into: NDArray[Any]) -> None:
        """Read the window of page number ``page`` into an array, some rows at a time."""
        rows = window[0]
        row = math.prod(self.shape[1:])
        across = tuple(slice(at.start, at.stop) for at in window[1:])
        step = max(1, _AT_ONCE // (row * self._stored.itemsize))
        file = files.at(self._path)
        for start in range(rows.start, rows.stop, step):
            stop = min(start + step, rows.stop)
            first = (page * self.shape[0] + start) * row
            file.seek(self._offset + first * self._stored.itemsize)
            values = np.fromfile(file, self._stored, (stop - start) * row)
            if len(values) < (stop - start) * row:
                raise InputError(
                    f'{self._path}: it is cut short; values of page {page} are missing'
                )
            part = values.reshape(stop - start, *self.shape[1:])
            into[start - rows.start : stop - rows.start] = part[(slice(None), *across)]


class Segmented:
    """Pages of strips or tiles; only the requested ones are decoded.

    Parameters
    ----------
    pages : sequence of TiffPage, TiffFrame or None
        Pages of one shape and dtype; a missing page is read as zeros.
    """

    def __init__(self, pages: Sequence[TiffPage | TiffFrame | None]) -> None:
        self._segments = [None if page is None else _Segments(page) for page in pages]
        first = next(page.keyframe for page in pages if page is not None)
        if first is None or first.dtype is None:
            raise InputError('pages of no known dtype')
        self.shape, self.dtype = tuple(first.shape), np.dtype(first.dtype)
        self._remembered: OrderedDict[tuple[int, int], NDArray[Any] | None] = OrderedDict()
        self._bytes, self._lock = 0, Lock()

    def read(self, files: Files, page: int, window: Window, into: NDArray[Any]) -> None:
        """Read the window of page number ``page`` into an array."""
        segments = self._segments[page]
        if segments is None:
            into[...] = 0
            return
        full = segments.normalised(window)
        page_values = np.full(tuple(len(at) for at in full), segments.nodata, self.dtype)
        for number in segments.touching(full):
            key = page, number
            with self._lock:
                known = key in self._remembered
                values = self._remembered.get(key)
            if not known:
                values = segments.decode(files, number)
                self._remember(key, values)
            if values is not None:
                segments.paste(values, number, full, page_values)
        into[...] = page_values.reshape(into.shape)

    def _remember(self, key: tuple[int, int], values: NDArray[Any] | None) -> None:
        with self._lock:
            self._remembered[key] = values
            self._bytes += 0 if values is None else values.nbytes
            while self._bytes > _REMEMBERED and len(self._remembered) > 1:
                _, old = self._remembered.popitem(last=False)
                self._bytes -= 0 if old is None else old.nbytes


class _Segments:
    """Strips or tiles of one page: positions and decoding."""

    def __init__(self, page: TiffPage | TiffFrame) -> None:
        frame = page.keyframe
        if frame is None:
            raise InputError(f'page {page.index} belongs to no image')
        self._path = Path(page.parent.filehandle.path)
        self._offsets, self._counts = page.dataoffsets, page.databytecounts
        self._decode, self.nodata = frame.decode, frame.nodata
        self._options: dict[str, Any] = {}
        if frame.compression in (6, 7, 33007, 34892):  # JPEG
            self._options = {'jpegtables': page.jpegtables, 'jpegheader': frame.jpegheader}
        self._axes, self._sides = frame.axes, frame.shaped
        self._separate = frame.planarconfig == 2 and frame.samplesperpixel > 1
        self._strip = (
            (frame.tiledepth, frame.tilelength, frame.tilewidth)
            if frame.is_tiled
            else (1, max(1, min(frame.rowsperstrip, frame.imagelength)), frame.imagewidth)
        )

    def normalised(self, window: Window) -> Window:
        """A window of the page along (separate sample, depth, row, column, sample)."""
        full = [range(side) for side in self._sides]
        for letter, at in zip(self._axes, window, strict=True):
            place = 0 if letter == 'S' and self._separate else ' ZYXS'.index(letter)
            full[place] = at
        return tuple(full)

    def touching(self, full: Window) -> list[int]:
        """Numbers of the segments that overlap a window."""
        counts = [
            -(-side // step) for side, step in zip(self._sides[1:4], self._strip, strict=True)
        ]
        near = [
            range(at.start // step, -(-at.stop // step))
            for at, step in zip(full[1:4], self._strip, strict=True)
        ]
        return [
            ((sample * counts[0] + depth) * counts[1] + row) * counts[2] + column
            for sample, depth, row, column in product(full[0], *near)
        ]

    def decode(self, files: Files, number: int) -> NDArray[Any] | None:
        """A segment (depth, rows, columns, samples); None if it is not stored."""
        if number >= len(self._offsets) or number >= len(self._counts):
            raise InputError(
                f'{self._path}: it is damaged; a part of a page has no position in the file'
            )
        if not self._counts[number]:
            return None
        file = files.at(self._path)
        file.seek(self._offsets[number])
        data = file.read(self._counts[number])
        return self._decode(data, number, **self._options)[0]

    def paste(self, values: NDArray[Any], number: int, full: Window, into: NDArray[Any]) -> None:
        """Copy the part of a segment that is in a window."""
        (sample, *start, _), _ = self._decode(None, number, **self._options)[1:]
        start = [sample, *start, 0]
        sizes = (1, *values.shape)
        lows = [max(at.start, s) for at, s in zip(full, start, strict=True)]
        highs = [min(at.stop, s + n) for at, s, n in zip(full, start, sizes, strict=True)]
        there = tuple(
            slice(low - at.start, high - at.start)
            for low, high, at in zip(lows, highs, full, strict=True)
        )
        here = tuple(
            slice(low - s, high - s) for low, high, s in zip(lows, highs, start, strict=True)
        )
        into[there] = values[None][here]


def _stop(last: int, step: int) -> int | None:
    """The end of a slice whose last place is ``last``."""
    end = last + (1 if step > 0 else -1)
    return end if end >= 0 else None


def _number(place: Sequence[int], sides: Sequence[int]) -> int:
    number = 0
    for at, side in zip(place, sides, strict=True):
        number = number * side + at
    return number
