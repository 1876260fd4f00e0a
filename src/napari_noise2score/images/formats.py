"""Images of every format that is known here; which one it is follows from the path.

A name that ends in ``.zarr``, a place inside of one, a folder that is a Zarr store, and a URL are
OME-Zarr; everything else is TIFF.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import DTypeLike

from napari_noise2score.images import ome_zarr, tiff
from napari_noise2score.images.acquisition import NOTHING_STATED, Acquisition
from napari_noise2score.images.ome_zarr import Inherited, OmeZarrImage
from napari_noise2score.images.ome_zarr.metadata import NOTHING_INHERITED
from napari_noise2score.images.tiff import TiffImage
from napari_noise2score.images.tiff.reading import IN_MEMORY
from napari_noise2score.images.unfinished import UnfinishedImage

ORIGIN = 'origin'
"""Key in a report: what the result was made from and with, as a later call compares it."""

ImageFile = TiffImage | OmeZarrImage
"""An image that was read: ``data``, ``axes``, ``acquisition`` and ``notes``."""


def is_zarr(path: str | os.PathLike[str]) -> bool:
    """Whether a path is read as an OME-Zarr, by its form or by what there is."""
    return ome_zarr.is_ome_zarr(path) or ome_zarr.is_zarr_folder(path)


def read_image(
    path: str | os.PathLike[str],
    axes: str | None = None,
    series: int | None = None,
    *,
    in_memory: int = IN_MEMORY,
) -> ImageFile:
    """Read an image from a TIFF file or an OME-Zarr, local or at a URL.

    Parameters
    ----------
    path : path or URL
        Such as ``cells.ome.tif``, ``cells.ome.zarr``, ``cells.zarr/0`` or
        ``s3://bucket/cells.ome.zarr``.
    axes : str, optional
        A letter for each axis, instead of those that the file states.
    series : int, optional
        Which image of a file with several ones, from 0.
    in_memory : int
        Bytes that are kept in memory, at most: a TIFF that is larger stays in its file, and so
        does every OME-Zarr, whose decoded chunks are kept up to here.

    Returns
    -------
    TiffImage or OmeZarrImage
        With ``data`` and ``axes`` for an `ImageSource`.

    Raises
    ------
    InputError
        If it is missing, damaged, or none of these, or a package is missing.
    """
    if is_zarr(path):
        return ome_zarr.read_ome_zarr(path, axes, series, in_memory=in_memory)
    return tiff.read_tiff(path, axes, series, in_memory=in_memory)


def write_image(
    path: str | os.PathLike[str],
    data: Any,
    axes: str,
    acquisition: Acquisition = NOTHING_STATED,
    *,
    inherited: Inherited = NOTHING_INHERITED,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write an image to a TIFF file or as an OME-Zarr; it appears whole or not at all.

    Parameters
    ----------
    path : path or URL
        A name that ends in ``.tif``, ``.tiff`` or ``.zarr``. An existing TIFF file is replaced;
        an existing OME-Zarr is refused.
    data : array-like
        Grey levels, with ``shape``, ``dtype`` and slicing. As an OME-Zarr, a lazy array is written
        shard by shard and may be larger than the memory.
    axes : str
        A letter for each axis.
    acquisition : Acquisition
        Sizes and channels.
    inherited : Inherited
        What an OME-Zarr that is the source hands on; of use for an OME-Zarr only.
    record : mapping, optional
        The report of the result, for the attributes of an OME-Zarr. A TIFF file gets its
        ``'origin'`` only.

    Raises
    ------
    InputError
        If the format cannot hold the image, or an OME-Zarr exists.
    """
    if ome_zarr.is_ome_zarr(path):
        ome_zarr.write_ome_zarr(path, data, axes, acquisition, inherited=inherited, record=record)
    else:
        origin = None if record is None else record.get(ORIGIN)
        tiff.write_tiff(path, data, axes, acquisition, record=origin)


def write_steps(
    path: str | os.PathLike[str],
    data: Any,
    axes: str,
    acquisition: Acquisition = NOTHING_STATED,
    *,
    inherited: Inherited = NOTHING_INHERITED,
    record: Callable[[], Mapping[str, Any]],
    unfinished: UnfinishedImage | None = None,
) -> Generator[tuple[int, int], None, None]:
    """Write an image as `write_image` does, in parts: shards of an OME-Zarr, pages of a TIFF.

    Parameters
    ----------
    path, data, axes, acquisition, inherited
        As of `write_image`.
    record : callable
        Returns the report; its ``'origin'`` must be known before the values are read.
    unfinished : UnfinishedImage, optional
        Where the image is written until it is complete, to go on from there after an
        interruption. It has begun, and has to be finished afterwards.

    Yields
    ------
    (int, int)
        Number of the parts that are done, and of all, after each.
    """
    if ome_zarr.is_ome_zarr(path):
        return ome_zarr.write_steps(
            path,
            data,
            axes,
            acquisition,
            inherited=inherited,
            record=record,
            unfinished=unfinished,
        )
    origin = record().get(ORIGIN)
    return tiff.write_steps(path, data, axes, acquisition, record=origin, unfinished=unfinished)


def check_writable_as(
    path: str | os.PathLike[str], axes: str, dtype: DTypeLike, shape: Sequence[int]
) -> tuple[str, ...]:
    """Whether an image can be written to a path, to be asked before any work is done.

    Returns
    -------
    tuple of str
        Notes, where the file is going to differ from the image.

    Raises
    ------
    InputError
        If it cannot; the text says what can.
    """
    if ome_zarr.is_ome_zarr(path):
        return ome_zarr.check_writable_as(path, axes, dtype, shape)
    return tiff.check_writable_as(path, axes, dtype, shape)


def origin_of(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What a result on the local disk states of its origin; None if it states nothing.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if not is_zarr(path):
        return tiff.record_of(Path(path))
    record = ome_zarr.record_of(path)
    found = None if record is None else record.get(ORIGIN)
    return found if isinstance(found, dict) else None


def image_name(path: str | os.PathLike[str]) -> str:
    """What an image is called in messages and reports: ``cells.tif``, ``cells.zarr/0``."""
    root = ome_zarr.root_of(path)
    if root is None or not is_zarr(path):
        return Path(path).name
    return '/'.join([root.name, *Path(path).relative_to(root).parts])


def inherited_of(image: ImageFile) -> Inherited:
    """What an image that was read hands on besides sizes and channels."""
    return image.inherited if isinstance(image, OmeZarrImage) else NOTHING_INHERITED
