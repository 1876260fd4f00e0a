"""Selection of the image in a file, and detection of missing or damaged parts."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_noise2score.errors import InputError
from napari_noise2score.images.scenes import number_of
from napari_noise2score.images.tiff.stored import Contiguous, Pages, Segmented, StoredArray

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffFrame, TiffPage, TiffPageSeries

_LISTED = 6
"""Maximum number of images of a file that a message lists."""
_DENSEST = 50_000
"""Maximum number of values per byte of a compressed file; zeros in ZSTD have 32768."""
_LARGEST_SEGMENT = 1 << 28
"""Bytes above which a strip or tile must not be larger than its page."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """An image of a file.

    Attributes
    ----------
    series : TiffPageSeries
        The image as an object of tifffile.
    number : int
        Number of the image, from 0.
    notes : tuple of str
        Notes on images that are not read.
    """

    series: TiffPageSeries
    number: int
    notes: tuple[str, ...] = ()


def images_of(candidates: Sequence[TiffPageSeries], path: Path) -> list[TiffPageSeries]:
    """The images among the series of a file.

    Raises
    ------
    InputError
        If there is none.
    """
    images = [series for series in candidates if len(series.shape) > 1 and 0 not in series.shape]
    if not images:
        raise InputError(f'{path}: contains no image; a TIFF or OME-TIFF image is needed')
    return images


def choose(
    candidates: Sequence[TiffPageSeries], path: Path, wanted: int | str | None, axes: str | None
) -> Chosen:
    """The requested image; by default the largest one with as many axes as are given.

    Raises
    ------
    InputError
        If there is no image, or no image of that number or name.
    """
    images = images_of(candidates, path)
    if wanted is not None:
        try:
            number = number_of(wanted, [image.name for image in images], _listing(images))
        except InputError as error:
            raise InputError(f'{path}: {error}') from error
        return Chosen(images[number], number)
    fitting = [i for i, image in enumerate(images) if axes and len(image.shape) == len(axes)]
    number = max(fitting or range(len(images)), key=lambda i: (images[i].nbytes, -i))
    if len(images) == 1:
        return Chosen(images[number], number)
    note = (
        f'the file contains {len(images)} images; number {number} is read, the others are '
        f'ignored (--scene chooses another, or all): {_listing(images)}'
    )
    return Chosen(images[number], number, (note,))


def _listing(images: Sequence[TiffPageSeries]) -> str:
    lines = [
        f'{number}: {image.axes} {"x".join(map(str, image.shape))}'
        + (f' {image.name!r}' if image.name else '')
        for number, image in enumerate(images[:_LISTED])
    ]
    more = len(images) - _LISTED
    return '; '.join(lines) + (f'; and {more} more' if more > 0 else '')


def cut_short(
    file: TiffFile, series: TiffPageSeries, path: Path
) -> tuple[StoredArray, str, str] | None:
    """The existing planes of a stack that has fewer planes than it declares.

    Returns
    -------
    (StoredArray, str, str) or None
        The existing planes, their axes, and a note; None if nothing is missing.

    Raises
    ------
    InputError
        If not even one position along the first axis is complete.
    """
    if series.kind in ('generic', 'uniform'):
        broken = _broken_off(series, path)
        if broken is not None:
            return broken
    page = file.pages.first
    if not file.is_imagej or page.dtype is None or not page.dataoffsets:
        return None
    if series.kind == 'imagej':
        if series.dataoffset is not None:
            return None
        shape, axes = tuple(series.shape), series.axes
        there = len(series)
    elif page.is_final:
        axes, sides = _hyperstack(file.imagej_metadata or {}, page)
        shape = (*sides, *page.shape)
        there = (file.filehandle.size - page.dataoffsets[0]) // page.nbytes
    else:
        return None
    planes = math.prod(shape) // math.prod(page.shape)
    if there >= planes or len(shape) <= len(page.shape):
        return None
    whole = there * shape[0] // planes
    if not whole:
        raise InputError(
            f'{path}: it is cut short: its description declares {planes} planes, but only '
            f'{there} are present, which is less than one position along {axes[0]}'
        )
    count = whole * planes // shape[0]
    pages: Pages
    if series.kind == 'imagej':
        pages = Segmented(list(series)[:count])
    else:
        stored = np.dtype(page.dtype).newbyteorder(file.byteorder)
        pages = Contiguous(path, page.dataoffsets[0], tuple(page.shape), stored)
    note = (
        f'the file is cut short, or its description is wrong: it declares {shape[0]} positions '
        f'along {axes[0]}, and the {whole} that {"is" if whole == 1 else "are"} present '
        f'{"is" if whole == 1 else "are"} read'
    )
    array = StoredArray(path, (whole, *shape[1:]), pages)
    return (array, axes, note) if whole > 1 else (array.reshape(*shape[1:]), axes[1:], note)


def _broken_off(series: TiffPageSeries, path: Path) -> tuple[StoredArray, str, str] | None:
    """The pages before the one in which a file ends; None if the last one is complete."""
    pages = list(series)
    size = series.keyframe.parent.filehandle.size
    whole = next((i for i, page in enumerate(pages) if not _within(page, size)), len(pages))
    alike = tuple(series.shape) == (len(pages), *series.keyframe.shape)
    if not 0 < whole < len(pages) or not alike or series.transform is not None:
        return None
    note = f'the file is cut short in page {whole}; the {whole} before it are read'
    stored = Segmented(pages[:whole])
    return StoredArray(path, (whole, *stored.shape), stored), series.axes, note


def _within(page: TiffPage | TiffFrame | None, size: int) -> bool:
    """Whether all data that a page refers to is within a file of that size."""
    if page is None:
        return True
    parts = zip(page.dataoffsets, page.databytecounts, strict=False)
    return all(offset + count <= size for offset, count in parts)


def _hyperstack(metadata: dict[str, Any], page: TiffPage) -> tuple[str, list[int]]:
    """Axes of an ImageJ description, and lengths of those before the plane."""
    names = {'T': 'frames', 'Z': 'slices', 'C': 'channels'}
    counts = {axis: _whole_number(metadata.get(name)) for axis, name in names.items()}
    if page.axes.startswith('S') or page.shaped[-1] == counts['C'] > 1:
        counts['C'] = 1  # samples of a pixel, which Bio-Formats calls channels
    if math.prod(counts.values()) == 1:
        counts['T'] = _whole_number(metadata.get('images'))
    leading = [axis for axis in 'TZC' if counts[axis] > 1]
    return ''.join(leading) + page.axes, [counts[axis] for axis in leading]


def _whole_number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1


def check_size(series: TiffPageSeries, path: Path) -> None:
    """Raise `InputError` if an image is larger than its file allows, before memory is
    allocated.
    """
    frame, size = series.keyframe, series.nbytes
    if frame.dtype is None:
        raise InputError(
            f'{path}: samples of {frame.bitspersample} bits cannot be read; integers or real '
            'numbers of 8 to 64 bits are needed'
        )
    if series.dataoffset is not None:
        there = series.keyframe.parent.filehandle.size - series.dataoffset
        if there < size:
            raise InputError(
                f'{path}: it is cut short or damaged: shape {series.shape} {series.dtype} needs '
                f'{_bytes(size)}, but only {_bytes(max(there, 0))} are present'
            )
        return
    segment = (
        frame.tilewidth * frame.tilelength * max(frame.tiledepth, 1)
        if frame.is_tiled
        else min(frame.rowsperstrip, frame.imagelength) * frame.imagewidth
    )
    segment *= np.dtype(series.dtype).itemsize
    if segment > max(_LARGEST_SEGMENT, 4 * frame.nbytes):
        raise InputError(f'{path}: it is damaged: a tile would need {_bytes(segment)}')
    stored = 0
    for page in series:
        if page is None:
            continue
        counts = [int(count) for count in page.databytecounts]
        if len(counts) < math.prod(frame.chunked) or len(page.dataoffsets) < len(counts):
            raise InputError(
                f'{path}: it is damaged: parts of page {page.index} have no position in the file'
            )
        longest = max(counts, default=0)
        if longest > page.parent.filehandle.size:
            raise InputError(
                f'{path}: it is damaged: a part of page {page.index} would take {_bytes(longest)}'
            )
        stored += min(sum(counts), page.parent.filehandle.size)
    if size > _DENSEST * max(stored, 1):
        raise InputError(
            f'{path}: it is damaged: shape {series.shape} {series.dtype} needs {_bytes(size)}, '
            f'but only {_bytes(stored)} of compressed values are present'
        )


def stored_array(series: TiffPageSeries, path: Path) -> StoredArray | None:
    """The values of an image, which are read when they are indexed; None if that is not
    possible.
    """
    if series.transform is not None or series.keyframe.dtype is None:
        return None
    shape = tuple(series.shape)
    if series.dataoffset is not None:
        side = 3 if series.axes.endswith('S') and len(shape) > 2 else 2
        pages: Pages = Contiguous(
            Path(series.keyframe.parent.filehandle.path),
            series.dataoffset,
            shape[-side:],
            np.dtype(series.keyframe.dtype).newbyteorder(series.keyframe.parent.byteorder),
        )
        return StoredArray(path, shape, pages)
    frame = series.keyframe
    page_shape = tuple(frame.shape)
    if shape[-len(page_shape) :] != page_shape:
        return None
    if len(series) * math.prod(page_shape) != math.prod(shape):
        return None
    return StoredArray(path, shape, Segmented(list(series)))


def missing_pages(series: TiffPageSeries, file: TiffFile, path: Path) -> tuple[str, ...]:
    """A note on planes of an OME-TIFF that are in no file, with the missing files."""
    pages: list[TiffPage | TiffFrame | None] = list(series) if series.kind == 'ome' else []
    lacking = sum(page is None for page in pages)
    if not lacking:
        return ()
    names = dict.fromkeys(re.findall(r'FileName="([^"]+)"', file.ome_metadata or ''))
    absent = [name for name in names if not (path.parent / name).is_file()]
    where = f'; {_names(absent)} of its set {"is" if len(absent) == 1 else "are"} missing'
    return (
        f'{lacking} of {len(pages)} planes are missing and are read as zeros'
        f'{where if absent else ""}',
    )


def _names(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ', '.join(names[:_LISTED]) + (f' and {more} more files' if more > 0 else '')


def _bytes(count: float) -> str:
    for unit in ('bytes', 'kB', 'MB', 'GB', 'TB'):
        if count < 1000 or unit == 'TB':
            break
        count /= 1000
    return f'{count:.3g} {unit}'
