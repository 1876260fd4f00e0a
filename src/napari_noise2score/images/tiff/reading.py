"""Reading of an image from a TIFF file: values, axes, sizes and channels."""

from __future__ import annotations

import math
import os
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffFile, TiffPageSeries

from napari_noise2score.errors import InputError
from napari_noise2score.images.acquisition import NOTHING_STATED, Acquisition
from napari_noise2score.images.axes import KNOWN, check_axes, overruled, suggested_axes
from napari_noise2score.images.tiff import imagej, microscopes, ome, plain
from napari_noise2score.images.tiff.guard import captured_log, readable, reason
from napari_noise2score.images.tiff.series import (
    check_size,
    choose,
    cut_short,
    missing_pages,
    stored_array,
)
from napari_noise2score.images.tiff.stored import StoredArray
from napari_noise2score.images.tiff.tags import Resolution
from napari_noise2score.images.unchanged import Unchanged

IN_MEMORY = 1 << 28
"""Bytes of the largest image that is read at once; a larger one is read when it is indexed."""
ELSEWHERE = re.compile(r'<(?:\w+:)?BinaryOnly\b')
"""OME-XML that is in another file."""
_FLAGS = (
    'shaped lsm mmstack ome imagej ndtiff fluoview stk sis svs scn qpi ndpi bif avs eer philips '
    'scanimage nih mdgel'
)
"""Descriptions that tifffile parses."""


@dataclass(frozen=True, slots=True, eq=False)
class TiffImage:
    """An image read from a file.

    Attributes
    ----------
    data : array
        Grey levels, in the dtype of the file; a `StoredArray` for a large image.
    axes : str
        One letter for each axis, see `images.axes`.
    acquisition : Acquisition
        Sizes and channels in the metadata of the file.
    notes : tuple of str
        Notes on the file: ignored images, missing parts.
    """

    data: NDArray[Any] | StoredArray
    axes: str
    acquisition: Acquisition = NOTHING_STATED
    notes: tuple[str, ...] = ()


def read_tiff(
    path: str | os.PathLike[str],
    axes: str | None = None,
    scene: int | str | None = None,
    *,
    in_memory: int = IN_MEMORY,
) -> TiffImage:
    """Read an image, with the axes of the file unless ``axes`` are given.

    Parameters
    ----------
    path : path
        The file.
    axes : str, optional
        A letter for each axis.
    scene : int or str, optional
        Number, from 0, or name of the image in a file with several images. Default: the largest
        one with as many axes as are given.
    in_memory : int
        Bytes up to which an image is read at once; the values of a larger one are read when they
        are indexed.

    Raises
    ------
    InputError
        If the file is missing, damaged or not a TIFF, if it is changed while it is read, or if
        the axes are neither in it nor given.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f'{path}: no such file; a TIFF or OME-TIFF image is needed')
    with (
        Unchanged(path).during([path]),
        readable(path),
        captured_log() as logged,
        ExitStack() as stack,
    ):
        file, candidates, notes = opened(path, stack)
        chosen = choose(candidates, path, scene, axes)
        notes += chosen.notes
        data, stated, more = _values(file, chosen.series, path, in_memory)
        data, stated = _relaid(data, stated, file, chosen.series)
        stated = _without_guess(stated, file, chosen.series)
        acquisition, described = _acquisition(file, chosen.series, chosen.number)
        notes += more + described + _log_notes(logged, notes + more)
    if axes is None:
        axes = stated
        if not set(stated) <= set(KNOWN) or not {'Y', 'X'} <= set(stated):
            raise InputError(
                f'{path}: shape {data.shape}, the file does not say what its axes are '
                f'({stated}); give them with --axes, such as {suggested_axes(data.shape, stated)}'
                + ''.join(f'; {note}' for note in chosen.notes)
            )
    try:
        axes = check_axes(axes, data.shape)
    except InputError as error:
        known = f'; the file says {stated}' if set(stated) <= set(KNOWN) else ''
        listed = ''.join(f'; {note}' for note in chosen.notes)
        raise InputError(f'{path}: {error}{known}{listed}') from error
    notes += overruled(axes, stated)
    return TiffImage(data, axes, acquisition.renamed(stated, axes), tuple(dict.fromkeys(notes)))


def opened(path: Path, stack: ExitStack) -> tuple[TiffFile, list[TiffPageSeries], tuple[str, ...]]:
    """A file and its images; a description that cannot be parsed is ignored."""
    file = stack.enter_context(TiffFile(path))
    try:
        series = file.series
    # As in `readable`: with a damaged description any statement of a parser may fail, but the
    # pixels may be intact. If they are not, the second attempt fails too.
    except Exception as error:  # noqa: BLE001
        undescribed: dict[str, Any] = {f'is_{flag}': False for flag in _FLAGS.split()}
        file = stack.enter_context(TiffFile(path, **undescribed))
        return file, file.series, (f'its description is damaged and ignored ({reason(error)})',)
    return file, series, ()


def _values(
    file: TiffFile, series: TiffPageSeries, path: Path, in_memory: int
) -> tuple[NDArray[Any] | StoredArray, str, tuple[str, ...]]:
    """Values, axes, and notes on missing parts."""
    part = cut_short(file, series, path)
    if part is not None:
        stored, axes, note = part
        return _at_hand(stored, in_memory), axes, (note,)
    check_size(series, path)
    notes = missing_pages(series, file, path)
    if series.nbytes > in_memory:
        lazy = stored_array(series, path)
        if lazy is not None:
            return lazy, series.axes, notes
    data = np.asarray(series.asarray())
    if data.shape != tuple(series.shape):
        raise InputError(
            f'{path}: it is cut short or damaged: shape {tuple(series.shape)} is declared, but '
            f'{data.shape} was found'
        )
    return data, series.axes, notes


def _at_hand(stored: StoredArray, in_memory: int) -> NDArray[Any] | StoredArray:
    return stored if stored.nbytes > in_memory else np.asarray(stored)


def _acquisition(
    file: TiffFile, series: TiffPageSeries, number: int
) -> tuple[Acquisition, tuple[str, ...]]:
    """Sizes and channels, and a note where a description is damaged."""
    shape = dict(zip(series.axes, series.shape, strict=True))
    counts = {axis: shape[axis] for axis in 'TZC' if axis in shape}
    resolution = Resolution.of(series.keyframe)
    xml = _ome_xml(file)
    if xml is not None and not ELSEWHERE.search(xml):
        try:
            return ome.stated(xml, number, str(series.name)), ()
        except ParseError as error:
            note = f'its OME-XML is damaged and is read as far as possible ({error})'
            return ome.rescued(xml)[0], (note,)
    if file.is_imagej:
        acquisition = imagej.stated(file.imagej_metadata or {}, resolution, counts)
    else:
        descriptions = (file.shaped_metadata or ()) if file.is_shaped else ()
        own = descriptions[min(number, len(descriptions) - 1)] if descriptions else {}
        acquisition = plain.stated(own, resolution, counts)
    program = microscopes.stated(file)
    spacing = {**acquisition.spacing, **program.spacing}
    return Acquisition(spacing, acquisition.channels or program.channels), ()


def _ome_xml(file: TiffFile) -> str | None:
    """The OME-XML of a file, also one whose end is missing."""
    text = file.pages.first.description
    return text if re.search(r'<(\w+:)?OME\b', text[:2000]) else None


def _relaid(
    data: NDArray[Any] | StoredArray, axes: str, file: TiffFile, series: TiffPageSeries
) -> tuple[NDArray[Any] | StoredArray, str]:
    """Planes in the order that damaged OME-XML contains, if there is no other description."""
    xml = _ome_xml(file)
    if xml is None or set(axes) <= set(KNOWN):
        return data, axes
    _, order, sizes = ome.rescued(xml)
    leading = [axis for axis in order if sizes[axis] > 1]
    sides, plane = tuple(sizes[axis] for axis in leading), tuple(series.keyframe.shape)
    if not leading or math.prod(sides) * math.prod(plane) != math.prod(data.shape):
        return data, axes
    return data.reshape(*sides, *plane), ''.join(leading) + series.keyframe.axes


def _without_guess(axes: str, file: TiffFile, series: TiffPageSeries) -> str:
    """The axes, without colours (S) that nobody stated.

    tifffile writes an array of three or four planes as colours unless it is told otherwise; most
    are frames.
    """
    described = file.shaped_metadata or ()
    guessed = series.kind == 'shaped' and not any('axes' in each for each in described)
    return f'Q{axes[1:]}' if guessed and axes.startswith('S') else axes


def _log_notes(logged: list[str], notes: tuple[str, ...]) -> tuple[str, ...]:
    """A note on damage that tifffile logged, if there is no other note on it."""
    if any('cut short' in note or 'missing' in note for note in notes):
        return ()
    if any('invalid page offset' in text for text in logged):
        return ('the file is cut short or damaged: the list of its pages is incomplete',)
    return ()
