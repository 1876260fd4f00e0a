"""An image is written as an OME-Zarr of version 0.5: sharded, with a pyramid and its metadata.

Nothing is held whole: level by level, shard by shard. A local result is written beside its place
and takes its name at the end; at a URL the metadata of the group are written last, and without
them there is no image.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_noise2score import files
from napari_noise2score.errors import InputError
from napari_noise2score.images.acquisition import NOTHING_STATED, Acquisition
from napari_noise2score.images.ome_zarr.attributes import Limits, described
from napari_noise2score.images.ome_zarr.checked_codecs import checked
from napari_noise2score.images.ome_zarr.guard import reason
from napari_noise2score.images.ome_zarr.layout import Layout, Sizes, layout_for
from napari_noise2score.images.ome_zarr.location import (
    SUFFIX,
    Location,
    PathLike,
    load_zarr,
    url_of,
)
from napari_noise2score.images.ome_zarr.metadata import NOTHING_INHERITED, Inherited
from napari_noise2score.images.ome_zarr.ome_xml import FOLDER, for_result, write_xml
from napari_noise2score.images.ome_zarr.places import obstacle
from napari_noise2score.images.ome_zarr.pyramid import Window, reduced_window
from napari_noise2score.images.unfinished import UnfinishedImage
from napari_noise2score.noise.arrays import as_numpy
from napari_noise2score.plain import plain
from napari_noise2score.progress import finish, relay

_FULL = 0.95
"""Share of the work that full resolution is; the rest is the smaller levels."""

Read = Callable[[Window], Generator[float, None, NDArray[Any]]]
"""Reads the values of a window; yields the completed share."""

WrittenLimits: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Least and greatest value of each channel."""


def write_ome_zarr(
    path: PathLike,
    data: Any,
    axes: str,
    acquisition: Acquisition = NOTHING_STATED,
    *,
    inherited: Inherited = NOTHING_INHERITED,
    record: Mapping[str, Any] | None = None,
    sizes: Sizes | None = None,
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
    sizes : Sizes, optional
        Sizes of chunks, shards and the smallest level.

    Raises
    ------
    InputError
        If something of that name exists, or OME-Zarr cannot hold the image.
    """
    lies = layout_for(path, axes, data.dtype, data.shape, sizes)
    steps = write_steps(
        path, reading(data), axes, lies, acquisition, inherited=inherited, record=lambda: record
    )
    finish(steps)


def reading(data: Any) -> Read:
    """Reads windows of an array-like; step by step if it has ``read_steps``, else at once."""

    def at_once(window: Window) -> Generator[float, None, NDArray[Any]]:
        yield 0.0
        return as_numpy(data[window])

    steps: Read = getattr(data, 'read_steps', at_once)
    return steps


def write_steps(
    path: PathLike,
    read: Read,
    axes: str,
    lies: Layout,
    acquisition: Acquisition = NOTHING_STATED,
    *,
    inherited: Inherited = NOTHING_INHERITED,
    record: Callable[[], Mapping[str, Any] | None] = lambda: None,
    unfinished: UnfinishedImage | None = None,
) -> Generator[float, None, None]:
    """Write an image while it is computed; yields the completed share of the work.

    If the generator is closed before its end, nothing is left behind but an ``unfinished`` image.

    Parameters
    ----------
    path : path or URL
        As in `write_ome_zarr`.
    read : callable
        Makes a generator of the values of a window of the image, which yields its share.
    axes : str
        A letter for each axis of these windows.
    lies : Layout
        How the image lies, see `layout_for`.
    acquisition, inherited
        As in `write_ome_zarr`.
    record : callable
        Returns the report of the result; called after all values were read.
    unfinished : UnfinishedImage, optional
        Where the image is written until it is complete, to go on from there after an
        interruption; on the local disk only. It has begun, and has to be finished afterwards.

    Raises
    ------
    InputError
        If something of that name exists.
    """
    order = [axes.index(letter) for letter in lies.axes]
    with writer(path, lies, unfinished) as target:
        parts = list(target.windows())
        for number, window in enumerate(parts):
            if unfinished is not None:
                there = unfinished.holds(number, partial(target.read, window))
                if there is not None:
                    target.include_values(window, there)
                    yield _FULL * (number + 1) / len(parts)
                    continue
                target.forget(window)
            own = tuple(window[lies.axes.index(letter)] for letter in axes)

            def of_full(share: float, number: int = number) -> float:
                return _FULL * (number + share) / len(parts)

            values = (yield from relay(read(own), of_full)).transpose(order)
            target.write(window, values)
            if unfinished is not None:
                unfinished.add(number, values.astype(lies.dtype, copy=False))
            del values
        yield from relay(target.pyramid_steps(), lambda share: _FULL + (1 - _FULL) * share)
        target.finish(acquisition, inherited, record())


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
        _forget_metadata(unfinished.image)
        yield Writer(Location(str(unfinished.image.absolute())), lies, Path(path).name)
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


def _forget_metadata(folder: Path) -> None:
    """Remove metadata of the group, which an earlier run wrote just before it was interrupted."""
    (folder / 'zarr.json').unlink(missing_ok=True)
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


class Writer:
    """Writes an image window by window, then its pyramid, and at the end its metadata.

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
        self._arrays = [self._array_of(0)]
        self._channel = next((lies.axes.index(a) for a in 'CS' if a in lies.axes), None)
        count = 1 if self._channel is None else lies.shapes[0][self._channel]
        self._least, self._most = np.full(count, np.inf), np.full(count, -np.inf)

    def windows(self) -> Iterator[Window]:
        """The parts to write, one for each shard: a shard that is written in parts costs more."""
        return self._lies.shards()

    def write(self, window: Window, values: NDArray[Any]) -> None:
        """Put values into full resolution, axes in the order of the layout."""
        self._arrays[0][window] = np.ascontiguousarray(values, self._lies.dtype)
        self.include_values(window, values)

    def read(self, window: Window) -> NDArray[Any]:
        """The values of full resolution that are there."""
        return np.asarray(checked(self._arrays[0])[window])

    def forget(self, window: Window) -> None:
        """Remove the file of a part on the local disk: zarr reads it before it changes it, and it
        may be damaged.
        """
        _, shard = self._lies.grid(0)
        place = (part.start // side for part, side in zip(window, shard, strict=True))
        Path(self._location.where, '0', 'c', *map(str, place)).unlink(missing_ok=True)

    def include_values(self, window: Window, values: NDArray[Any]) -> None:
        """Take values of full resolution into account, for the limits of the channels."""
        channels = slice(None) if self._channel is None else window[self._channel]
        axes = tuple(axis for axis in range(values.ndim) if axis != self._channel)
        for known, better in ((self._least, np.fmin), (self._most, np.fmax)):
            known[channels] = better(known[channels], better.reduce(values, axis=axes))

    def pyramid_steps(self) -> Generator[float, None, None]:
        """Write the smaller levels; yields the completed share."""
        pixels = sum(math.prod(shape) for shape in self._lies.shapes[1:])
        done = 0
        for level in range(1, len(self._lies.shapes)):
            for window in self.smaller(level):
                self.reduce(level, window)
                done += math.prod(part.stop - part.start for part in window)
                yield done / pixels

    @property
    def limits(self) -> WrittenLimits:
        """Least and greatest values of each channel that were written so far."""
        return self._least, self._most

    def include_limits(self, limits: WrittenLimits) -> None:
        """Add the limits of what another process has written."""
        self._least = np.fmin(self._least, limits[0])
        self._most = np.fmax(self._most, limits[1])

    def smaller(self, level: int) -> Iterator[Window]:
        """Make the empty array of a smaller level; its parts, one for each shard."""
        self._arrays.append(self._array_of(level, overwrite=True))
        return self._lies.shards(level)

    def reduce(self, level: int, window: Window) -> None:
        """Fill a part of a smaller level from the level above it, which is complete."""
        self._arrays[level][window] = reduced_window(self._arrays[level - 1], window)

    def finish(
        self,
        acquisition: Acquisition = NOTHING_STATED,
        inherited: Inherited = NOTHING_INHERITED,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the metadata of the group: from then on it is an image."""
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
        if inherited.array:
            self._arrays[0].update_attributes(plain(inherited.array))
        xml = for_result(inherited.xml, self._lies.axes, self._lies.shapes[0], self._lies.dtype)
        if xml:
            load_zarr().create_group(self._location.child(FOLDER).store(read_only=False))
            write_xml(self._location, xml)
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
