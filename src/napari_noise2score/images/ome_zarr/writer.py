"""An image is written as an OME-Zarr of version 0.5: sharded, with a pyramid and its metadata.

Nothing is held whole: level by level, shard by shard. A local result is written beside its place
and takes its name at the end; at a URL the metadata of the group are written last, and without
them there is no image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_noise2score import files
from napari_noise2score.errors import InputError
from napari_noise2score.images.acquisition import NOTHING_STATED, Acquisition
from napari_noise2score.images.ome_zarr.attributes import Limits, described
from napari_noise2score.images.ome_zarr.guard import reason
from napari_noise2score.images.ome_zarr.location import (
    SUFFIX,
    Location,
    PathLike,
    load_zarr,
    url_of,
)
from napari_noise2score.images.ome_zarr.metadata import NOTHING_INHERITED, Inherited
from napari_noise2score.images.ome_zarr.places import obstacle
from napari_noise2score.images.ome_zarr.pyramid import (
    Shape,
    Window,
    factors,
    level_shapes,
    reduced_window,
    windows,
)
from napari_noise2score.images.unfinished import UnfinishedImage
from napari_noise2score.noise.arrays import as_numpy
from napari_noise2score.progress import finish

CHUNK = 512
"""Rows and columns of a chunk, which is a part of one plane: viewers look at planes."""
SHARD = 1 << 26
"""Bytes of values that a file holds, about."""
_MOST_AXES = 5


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
    """

    axes: str
    shapes: list[Shape]
    dtype: np.dtype[Any]

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

        A shard holds as many chunks as `SHARD` allows: first of a plane, then along Z, then along
        T. It never holds two channels.
        """
        shape = self.shapes[level]
        chunk = (1,) * (len(shape) - 2) + tuple(min(side, CHUNK) for side in shape[-2:])
        left = max(1, SHARD // (math.prod(chunk) * self.dtype.itemsize))
        counts = [-(-side // step) for side, step in zip(shape, chunk, strict=True)]
        shard = list(chunk)
        rows, columns = len(shape) - 2, len(shape) - 1
        across = min(counts[columns], max(math.isqrt(left), left // counts[rows]))
        for axis, most in ((columns, across), (rows, counts[rows]), *self._stacked(counts)):
            times = min(left, most)
            shard[axis] *= times
            left //= times
        return chunk, tuple(shard)

    def _stacked(self, counts: Sequence[int]) -> list[tuple[int, int]]:
        return [(self.axes.index(a), counts[self.axes.index(a)]) for a in 'ZT' if a in self.axes]


def layout(path: PathLike, axes: str, dtype: DTypeLike, shape: Sequence[int]) -> Layout:
    """How an image would be written.

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
    return Layout(order, level_shapes([lengths[letter] for letter in order]), np.dtype(dtype))


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
    layout(path, axes, dtype, shape)
    if 'S' not in axes:
        return ()
    return ('OME-Zarr has no axis of colours; they are written as channels',)


def write_ome_zarr(
    path: PathLike,
    data: Any,
    axes: str,
    acquisition: Acquisition = NOTHING_STATED,
    *,
    inherited: Inherited = NOTHING_INHERITED,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write an image as an OME-Zarr of version 0.5; it appears whole or not at all.

    The order of the axes becomes that of OME-Zarr: T, C, Z, Y, X. Colours S are written as
    channels.

    Parameters
    ----------
    path : path or URL
        Where to: a name that ends in ``.zarr``, of which there is nothing yet.
    data : array-like
        Grey levels, with ``shape``, ``dtype`` and slicing; one shard is read at a time, so a lazy
        array may be larger than the memory.
    axes : str
        A letter for each axis.
    acquisition : Acquisition
        Sizes and channels.
    inherited : Inherited
        What the source hands on, if it is an OME-Zarr.
    record : mapping, optional
        The report of the result, which is written into the attributes of the group.

    Raises
    ------
    InputError
        If something of that name exists, or OME-Zarr cannot hold the image.
    """
    finish(write_steps(path, data, axes, acquisition, inherited=inherited, record=lambda: record))


def write_steps(
    path: PathLike,
    data: Any,
    axes: str,
    acquisition: Acquisition = NOTHING_STATED,
    *,
    inherited: Inherited = NOTHING_INHERITED,
    record: Callable[[], Mapping[str, Any] | None] = lambda: None,
    unfinished: UnfinishedImage | None = None,
) -> Generator[tuple[int, int], None, None]:
    """Write an image as `write_ome_zarr` does, shard by shard.

    Parameters
    ----------
    path, data, axes, acquisition, inherited
        As of `write_ome_zarr`.
    record : callable
        Returns the report; it is called after all values were read.
    unfinished : UnfinishedImage, optional
        Where the image is written until it is complete, to go on from there after an
        interruption; on the local disk only. It has begun.

    Yields
    ------
    (int, int)
        Number of the shards that are done, and of all, after each.
    """
    lies = layout(path, axes, data.dtype, data.shape)
    order = [axes.index(letter) for letter in lies.axes]
    with writer(path, lies, unfinished) as target:
        parts, total = list(target.windows()), target.count
        for number, window in enumerate(parts):
            values = None
            if unfinished is not None:
                values = unfinished.holds(number, partial(target.read, window))
            if values is not None:
                target.include(window, values)
            else:
                own = tuple(window[lies.axes.index(letter)] for letter in axes)
                values = as_numpy(data[own]).transpose(order)
                target.write(window, values)
                if unfinished is not None:
                    unfinished.add(number, values.astype(lies.dtype, copy=False))
            del values
            yield number + 1, total
        for number in target.reduce():
            yield len(parts) + number, total
        target.describe(acquisition, inherited, record())


@contextmanager
def writer(
    path: PathLike, lies: Layout, unfinished: UnfinishedImage | None = None
) -> Iterator[Writer]:
    """A `Writer` of a new OME-Zarr; what was written is removed if it is left by an error.

    An ``unfinished`` image is left as it is then.

    Raises
    ------
    InputError
        If something of that name exists.
    """
    if unfinished is not None:
        yield Writer(Location(str(unfinished.image)), lies, Path(path).name)
        return
    words = obstacle(path)
    if words is not None:
        raise InputError(f'{Location.of(path)}: {words}')
    if url_of(path) is None:
        with files.folder_written_whole(path) as part:
            yield Writer(Location(str(part)), lies, Path(path).name)
        return
    location = Location.of(path)
    try:
        yield Writer(location, lies, location.name)
    except BaseException as error:
        system, name = location.filesystem()
        with suppress(Exception):
            system.invalidate_cache()
            system.rm(name, recursive=True)
        if not isinstance(error, Exception) or isinstance(error, InputError | MemoryError):
            raise
        raise InputError(f'{location}: cannot be written ({reason(error)})') from error
    files.note_written(Path(path))


class Writer:
    """Writes an image window by window, and at the end its pyramid and its metadata.

    Parameters
    ----------
    location : Location
        Where nothing is yet.
    lies : Layout
        How the image lies there.
    name : str
        Of the image.
    """

    def __init__(self, location: Location, lies: Layout, name: str) -> None:
        self._location, self._lies = location, lies
        self._name = name.removesuffix(SUFFIX).removesuffix('.ome')
        self._array = self._array_of(0)
        self._channel = next((lies.axes.index(a) for a in 'CS' if a in lies.axes), None)
        count = 1 if self._channel is None else lies.shapes[0][self._channel]
        self._least, self._most = np.full(count, np.inf), np.full(count, -np.inf)

    def windows(self) -> Iterator[Window]:
        """The parts to write, one for each shard: a shard that is written in parts costs more."""
        return windows(self._lies.shapes[0], self._lies.grid(0)[1])

    def write(self, window: Window, values: NDArray[Any]) -> None:
        """Put values into full resolution, axes in the order of the layout."""
        self._array[window] = np.ascontiguousarray(values, self._lies.dtype)
        self.include(window, values)

    def read(self, window: Window) -> NDArray[Any]:
        """The values of full resolution that are there."""
        return np.asarray(self._array[window])

    def include(self, window: Window, values: NDArray[Any]) -> None:
        """Take values into account that are in full resolution, for the limits of the channels."""
        channels = slice(None) if self._channel is None else window[self._channel]
        axes = tuple(axis for axis in range(values.ndim) if axis != self._channel)
        for known, better in ((self._least, np.fmin), (self._most, np.fmax)):
            known[channels] = better(known[channels], better.reduce(values, axis=axes))

    @property
    def count(self) -> int:
        """Number of shards of all levels."""
        lies = self._lies
        grids = [(shape, lies.grid(level)[1]) for level, shape in enumerate(lies.shapes)]
        return sum(
            math.prod(-(-side // step) for side, step in zip(*grid, strict=True)) for grid in grids
        )

    def reduce(self) -> Iterator[int]:
        """Write the smaller levels; yields how many of their shards are done."""
        finer, done = self._array, 0
        for level, shape in enumerate(self._lies.shapes[1:], 1):
            coarser = self._array_of(level, overwrite=True)
            for window in windows(shape, self._lies.grid(level)[1]):
                coarser[window] = reduced_window(finer, window)
                done += 1
                yield done
            finer = coarser

    def describe(
        self,
        acquisition: Acquisition = NOTHING_STATED,
        inherited: Inherited = NOTHING_INHERITED,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the metadata of the group."""
        attributes = described(
            self._lies.axes,
            self._lies.shapes,
            acquisition,
            name=self._name,
            steps=self._lies.steps,
            limits=self._limits(),
            inherited=inherited,
            record=record,
        )
        store = self._location.store(read_only=False)
        load_zarr().create_group(store, attributes=attributes, zarr_format=3)

    def _limits(self) -> list[Limits]:
        found = zip(self._least.tolist(), self._most.tolist(), strict=True)
        return [pair if np.isfinite(pair).all() else (0.0, 1.0) for pair in found]

    def _array_of(self, level: int, *, overwrite: bool = False) -> Any:
        """An array of its own store: the group above it is not there before the end.

        One that is there from an earlier run is opened, unless it is to be overwritten.
        """
        chunk, shard = self._lies.grid(level)
        zarr = load_zarr()
        place = self._location.child(str(level))
        there = not place.remote and Path(place.where, 'zarr.json').exists()
        if there and not overwrite:
            return zarr.open_array(place.store(read_only=False), mode='r+')
        shuffle = 'bitshuffle' if self._lies.dtype.itemsize > 1 else 'noshuffle'
        return zarr.create_array(
            place.store(read_only=False),
            overwrite=there,
            shape=self._lies.shapes[level],
            dtype=self._lies.dtype,
            chunks=chunk,
            shards=None if shard == chunk else shard,
            compressors=zarr.codecs.BloscCodec(cname='zstd', clevel=3, shuffle=shuffle),
            fill_value=0,
            dimension_names=['c' if a in 'CS' else a.lower() for a in self._lies.axes],
            config={'write_empty_chunks': True},
        )
