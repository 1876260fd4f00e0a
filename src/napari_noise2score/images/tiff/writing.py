"""Writing of an image to a TIFF file: as an ImageJ hyperstack, an OME-TIFF, or a plain TIFF.

The format depends on the name, the axes and the dtype, and is checked before the work.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import product, zip_longest
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile
from numpy.typing import DTypeLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.files import written_whole
from napari_noise2score.images.acquisition import NOTHING_STATED, Acquisition
from napari_noise2score.images.blocks import SIDE
from napari_noise2score.images.footprint import PART
from napari_noise2score.images.foreign import not_written
from napari_noise2score.images.region import Index
from napari_noise2score.images.tiff import imagej, ome, plain
from napari_noise2score.images.tiff.record import software
from napari_noise2score.images.tiff.tags import tagged
from napari_noise2score.images.unfinished import UnfinishedImage
from napari_noise2score.noise.arrays import as_numpy
from napari_noise2score.progress import finish, relay

SUFFIXES = ('.tif', '.tiff')
_CLASSIC = 1 << 31
"""Bytes up to which offsets of 32 bits are sufficient for the values and the metadata."""
_INSTEAD = {'float16': 'float32'}
"""Replacement of a dtype that a format lacks; it contains the same values exactly."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Layout of an image in a file.

    Attributes
    ----------
    form : {'imagej', 'ome', 'plain'}
        The format.
    axes : str
        Order of the axes in the file.
    dtype : dtype
        Dtype of the values in the file.
    """

    form: str
    axes: str
    dtype: np.dtype[Any]


def layout(
    path: str | os.PathLike[str], axes: str, dtype: DTypeLike, shape: Sequence[int]
) -> Layout:
    """The layout of an image at a path.

    Raises
    ------
    InputError
        If the format of that name cannot store the image; the text names an alternative.
    """
    name, kind = Path(path).name.lower(), np.dtype(dtype)
    if not name.endswith(SUFFIXES):
        raise InputError(
            f'{path}: {not_written(Path(path))}images are written as {" or ".join(SUFFIXES)}, or '
            'as an OME-Zarr, whose name ends in .zarr'
        )
    lengths = dict(zip(axes, shape, strict=True))
    if not name.endswith(ome.SUFFIXES):
        order = ''.join(axis for axis in imagej.ORDER if axis in axes)
        colours = 'S' in axes
        if (
            set(axes) <= set(imagej.ORDER)
            and _is_stack(lengths)
            and kind.name in imagej.DTYPES
            and not (colours and (kind != np.uint8 or lengths['S'] not in imagej.COLOURS))
        ):
            return Layout('imagej', order, kind)
        return Layout('plain', _planes_last(axes), _unpacked(kind, axes))
    kind = np.dtype(_INSTEAD.get(kind.name, kind))
    if kind.name not in ome.DTYPES:
        raise InputError(
            f'{path}: OME-TIFF cannot store {kind.name}; float32 is accepted (--dtype float32), '
            'or a name that ends in .tif alone'
        )
    further = [axis for axis in axes if axis not in 'TZCYXS']
    if len(further) > len('TZC') or not set(further) <= set(ome.FURTHER):
        raise InputError(
            f'{path}: OME-TIFF cannot store the axes {"".join(further)} of {axes}; a name that '
            'ends in .tif alone is accepted'
        )
    return Layout('ome', _planes_last(axes, nested=True), _unpacked(kind, axes))


def _is_stack(lengths: dict[str, int]) -> bool:
    """Whether there are several planes: a hyperstack drops the axes of a single plane."""
    stacked = [length for axis, length in lengths.items() if axis not in 'YXS']
    return (not stacked or max(stacked) > 1) and min(lengths['Y'], lengths['X']) > 1


def _unpacked(kind: np.dtype[Any], axes: str) -> np.dtype[Any]:
    """Binary values are packed into bits, but binary colours need one byte each."""
    return np.dtype(np.uint8) if kind == np.bool_ and 'S' in axes else kind


def check_writable_as(
    path: str | os.PathLike[str], axes: str, dtype: DTypeLike, shape: Sequence[int]
) -> tuple[str, ...]:
    """Check before the work whether an image can be written to a path.

    Returns
    -------
    tuple of str
        Notes on differences between the file and the image: another dtype.

    Raises
    ------
    InputError
        If it cannot be written; the text names an alternative.
    """
    lies = layout(path, axes, dtype, shape)
    if lies.dtype == np.dtype(dtype):
        return ()
    return (
        f'the file cannot store {np.dtype(dtype)}; the same values are written as {lies.dtype}',
    )


def _planes_last(axes: str, *, nested: bool = False) -> str:
    """The axes with rows and columns at the end, as pages are stored.

    Colours are after them, or directly before them. With ``nested`` each axis other than T, Z and
    C follows one of them, with which OME-XML combines it.
    """
    others = [axis for axis in axes if axis not in 'YXS']
    if nested:
        main = [axis for axis in others if axis in 'TZC']
        further = [axis for axis in others if axis not in 'TZC']
        pairs = zip_longest(main, further, fillvalue='')
        others = [axis for pair in pairs for axis in pair if axis]
    planar = 'S' in axes and axes.endswith(('SYX', 'SXY'))
    return ''.join(others) + ('SYX' if planar else 'YXS' if 'S' in axes else 'YX')


def write_tiff(
    path: str | os.PathLike[str],
    data: Any,
    axes: str,
    acquisition: Acquisition = NOTHING_STATED,
    *,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write an image with its axes; an existing file is not changed until the new one is complete.

    A name that ends in ``.ome.tif(f)`` makes an OME-TIFF; any other name makes an ImageJ
    hyperstack if this format can store the image, otherwise a plain TIFF with the axes and sizes
    in its description. A hyperstack has no axes of length 1; a single plane with such axes is a
    plain TIFF. The order of the axes becomes that of the format.

    Parameters
    ----------
    path : path
        Path of the file.
    data : array-like
        Grey levels, with ``shape``, ``dtype`` and slicing; one page is read at a time.
    axes : str
        A letter for each axis.
    acquisition : Acquisition
        Sizes and channels.
    record : mapping, optional
        What the result was made from, for the tag Software; see `record_of`.

    Raises
    ------
    InputError
        If the format cannot store the image.
    """
    file = _File(Path(path), data, axes)
    with written_whole(path) as part:
        file.write(part, file.pages(), acquisition, record)


def write_steps(
    path: str | os.PathLike[str],
    data: Any,
    axes: str,
    acquisition: Acquisition = NOTHING_STATED,
    *,
    record: Mapping[str, Any] | None = None,
    unfinished: UnfinishedImage | None = None,
) -> Generator[float, None, None]:
    """Write an image as `write_tiff` does, page by page, and large pages in strips.

    Parameters
    ----------
    path, data, axes, acquisition, record
        As of `write_tiff`.
    unfinished : UnfinishedImage, optional
        Where the image is written until it is complete, to go on from there after an
        interruption. It has begun.

    Yields
    ------
    float
        The completed share; also while a part is computed, if ``data`` has ``read_steps``.
    """
    file = _File(Path(path), data, axes)
    with written_whole(path) if unfinished is None else nullcontext(unfinished.image) as part:
        if file.packed:
            file.write(part, file.pages(), acquisition, record)
            yield 1.0
            return
        if unfinished is None or not unfinished.parts:
            file.write(part, None, acquisition, record)
        with part.open('r+b') as stream:
            offset = _first_byte(part)
            parts = list(file.parts())
            for number, (start, index) in enumerate(parts):
                if unfinished is not None:
                    read = partial(file.read, stream, offset + start, index)
                    if unfinished.holds(number, read) is not None:
                        yield (number + 1) / len(parts)
                        continue

                def of_all(share: float, number: int = number) -> float:
                    return (number + share) / len(parts)

                values = yield from relay(file.values_steps(index), of_all)
                stream.seek(offset + start)
                stream.write(values.tobytes())
                stream.flush()
                if unfinished is not None:
                    unfinished.add(number, values)
                yield (number + 1) / len(parts)


class _File:
    """An image as it is going to be in a file.

    Parameters
    ----------
    path : Path
        Name of the file.
    data : array-like
        Grey levels; indexed page by page.
    axes : str
        A letter for each axis.
    """

    def __init__(self, path: Path, data: Any, axes: str) -> None:
        self._path, self._data, self._axes = path, data, axes
        self._lies = layout(path, axes, data.dtype, data.shape)
        self._shape = tuple(int(data.shape[axes.index(axis)]) for axis in self._lies.axes)
        side = 3 if 'S' in self._lies.axes else 2
        self._page_shape = self._shape[-side:]
        self.places = [range(length) for length in self._shape[:-side]]

    @property
    def packed(self) -> bool:
        """Whether the values are packed into bits, so that a page cannot be written on its own."""
        return self._lies.dtype == np.bool_

    def page(self, place: tuple[int, ...]) -> NDArray[Any]:
        """The page at a place on the axes before those of a page."""
        return finish(self.values_steps((*place, *map(slice, self._page_shape))))

    def values_steps(self, index: Index) -> Generator[float, None, NDArray[Any]]:
        """Values at an index, axes in the order of the file; yields the completed share."""
        letters = self._lies.axes
        at = dict(zip(letters, index, strict=True))
        own = tuple(at[axis] for axis in self._axes)
        steps = getattr(self._data, 'read_steps', None)
        values = as_numpy(self._data[own]) if steps is None else (yield from steps(own))
        left = [axis for axis in self._axes if isinstance(at[axis], slice)]
        order = [left.index(axis) for axis in letters if isinstance(at[axis], slice)]
        return np.ascontiguousarray(values.transpose(order), self._lies.dtype)

    def pages(self) -> Iterator[NDArray[Any]]:
        """The pages one by one: an image may be larger than the memory."""
        return map(self.page, product(*self.places))

    def parts(self) -> Iterator[tuple[int, Index]]:
        """Parts of the file that are written one after the other: position in bytes, and index.

        A part is a page, or some of its rows.
        """
        axis = self._lies.axes[-len(self._page_shape) :].index('Y')
        leading, rows, across = (
            self._page_shape[:axis],
            self._page_shape[axis],
            self._page_shape[axis + 1 :],
        )
        row = math.prod(across) * self._lies.dtype.itemsize
        most = max(1, PART // (row * SIDE)) * SIDE
        start = 0
        for place in product(*self.places, *map(range, leading)):
            for first in range(0, rows, most):
                last = min(first + most, rows)
                yield start, (*place, slice(first, last), *map(slice, across))
                start += (last - first) * row

    def read(self, stream: IO[bytes], start: int, index: Index) -> NDArray[Any]:
        """Values of a part that is in a file already."""
        stream.seek(start)
        sides = zip(index, self._shape, strict=True)
        shape = [len(range(side)[at]) for at, side in sides if isinstance(at, slice)]
        size = math.prod(shape) * self._lies.dtype.itemsize
        return np.frombuffer(stream.read(size), self._lies.dtype).reshape(shape)

    def write(
        self,
        part: Path,
        pages: Iterator[NDArray[Any]] | None,
        acquisition: Acquisition,
        record: Mapping[str, Any] | None,
    ) -> None:
        """Write the file; without ``pages`` its values are zeros."""
        lies, shape = self._lies, self._shape
        options = self._options(acquisition, record)
        try:
            tifffile.imwrite(part, pages, shape=shape, dtype=lies.dtype, **options)
        except (ValueError, TypeError, RuntimeError, struct.error, tifffile.OmeXmlError) as error:
            raise InputError(
                f'{self._path}: {lies.axes} {shape} {lies.dtype} cannot be written ({error})'
            ) from error

    def _options(
        self, acquisition: Acquisition, record: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Options of the format."""
        lies, shape = self._lies, self._shape
        size = math.prod(shape) * lies.dtype.itemsize
        options: dict[str, Any] = {}
        if lies.form == 'imagej':
            metadata, resolution = imagej.described(acquisition, lies.axes, shape)
            # ImageJ has no 64 bit offsets: it finds the planes of larger files behind the first
            options |= {'imagej': True, 'truncate': size > _CLASSIC}
        else:
            words = ome if lies.form == 'ome' else plain
            metadata = words.described(acquisition, lies.axes, shape)
            resolution = tagged(acquisition)
            options |= {'ome': lies.form == 'ome', 'bigtiff': size > _CLASSIC}
        options |= resolution.options() | _samples(lies.axes, shape) | {'metadata': metadata}
        return options | ({} if record is None else {'software': software(record)})


def _first_byte(part: Path) -> int:
    """Position of the values in a file; its pages are stored one after the other."""
    with tifffile.TiffFile(part) as file:
        return int(file.pages.first.dataoffsets[0])


def _samples(axes: str, shape: Sequence[int]) -> dict[str, Any]:
    """Options for the samples of a pixel."""
    if 'S' not in axes:
        return {'photometric': 'minisblack'}
    count = shape[axes.index('S')]
    return {
        'photometric': 'rgb' if count in imagej.COLOURS else 'minisblack',
        'planarconfig': 'contig' if axes.endswith('S') else 'separate',
    }
