"""Images of every format that is known here; which one it is follows from the path.

A name that ends in ``.zarr``, a place inside of one, a folder that is a Zarr store, and a URL are
OME-Zarr. Names that end in ``.png`` and ``.npy`` are these, and those of microscope makers have
readers of their own, see `images.vendor`. Everything else is TIFF.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from numpy.typing import DTypeLike
from tifffile import TIFF

from napari_noise2score.errors import InputError
from napari_noise2score.images import npy, ome_zarr, png, tiff, vendor
from napari_noise2score.images.acquisition import NOTHING_STATED, Acquisition
from napari_noise2score.images.npy import NpyImage
from napari_noise2score.images.ome_zarr import Inherited, OmeZarrImage
from napari_noise2score.images.ome_zarr.metadata import NOTHING_INHERITED
from napari_noise2score.images.png import PngImage
from napari_noise2score.images.recipe import RECIPE, recipe
from napari_noise2score.images.scenes import ALL, listed, number_of, split_scene
from napari_noise2score.images.tiff import TiffImage
from napari_noise2score.images.tiff.reading import IN_MEMORY
from napari_noise2score.images.unfinished import UnfinishedImage
from napari_noise2score.images.vendor import VendorImage
from napari_noise2score.noise.arrays import check_array

ORIGIN = 'origin'
"""Key in a report: what the result was made from and with, as a later call compares it."""

ImageFile = TiffImage | OmeZarrImage | VendorImage | PngImage | NpyImage
"""An image that was read: ``data``, ``axes``, ``acquisition`` and ``notes``."""


def is_zarr(path: str | os.PathLike[str]) -> bool:
    """Whether a path is read as an OME-Zarr, by its form or by what there is."""
    return ome_zarr.is_ome_zarr(path) or ome_zarr.is_zarr_folder(path)


def read_image(
    path: str | os.PathLike[str],
    axes: str | None = None,
    scene: int | str | None = None,
    *,
    in_memory: int = IN_MEMORY,
) -> ImageFile:
    """Read an image from a file of any known format or an OME-Zarr, local or at a URL.

    Parameters
    ----------
    path : path or URL
        Such as ``cells.ome.tif``, ``cells.nd2``, ``cells.png``, ``cells.npy``,
        ``cells.ome.zarr``, ``cells.zarr/0`` or ``s3://bucket/cells.ome.zarr``. A scene of a file
        has a path of its own, such as ``cells.lif/2``.
    axes : str, optional
        A letter for each axis, instead of those that the file states.
    scene : int or str, optional
        Number, from 0, or name of one of several images in a file, see `list_scenes`. Of a TIFF
        with several images, the largest one is read if none is given, and the notes name the
        others; every other format needs a scene then.
    in_memory : int
        Bytes that are kept in memory, at most: a file that is larger is read when the image is
        indexed, and so is every OME-Zarr, whose decoded chunks are kept up to here.

    Returns
    -------
    TiffImage, OmeZarrImage, VendorImage, PngImage or NpyImage
        With ``data`` and ``axes`` for an `ImageSource`.

    Raises
    ------
    InputError
        If it is missing, damaged, or none of these, or a package is missing.
    """
    file, inner = split_scene(path)
    if inner is not None:
        if scene is not None:
            raise InputError(
                f'{path}: is scene {inner!r} of {file}; scene={scene!r} is one too many'
            )
        path, scene = file, inner
    if is_zarr(path):
        return ome_zarr.read_ome_zarr(path, axes, scene, in_memory=in_memory)
    match _kind(file):
        case 'vendor':
            return vendor.read_vendor(file, axes, scene, in_memory=in_memory)
        case 'png':
            _check_single(file, scene)
            return png.read_png(file, axes)
        case 'npy':
            _check_single(file, scene)
            return npy.read_npy(file, axes, in_memory=in_memory)
    return tiff.read_tiff(path, axes, scene, in_memory=in_memory)


def list_scenes(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Names of the images of a file; the position of a name is the number of its image.

    The name is empty where the file has none. Reads metadata only.

    Raises
    ------
    InputError
        If the file is missing, damaged, or a package is missing.
    """
    file, _ = split_scene(path)
    if is_zarr(path):
        return tuple(ome_zarr.series_of(path).values()) or ('',)
    try:
        found = file.stat()
    except (OSError, ValueError):
        return _names(file, 0, 0)
    return _names(file, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=16)
def _names(file: Path, size: int, modified: int) -> tuple[str, ...]:
    """Names of the images of a file in this state; each of its scenes is asked for them."""
    kind = _kind(file)
    if kind == 'vendor':
        return vendor.vendor_scenes(file)
    return tiff.tiff_scenes(file) if kind == 'tiff' else ('',)


@dataclass(frozen=True, slots=True)
class Scenes:
    """The images that a path stands for.

    Attributes
    ----------
    paths : tuple of Path
        One for each image; the path itself if it has a single image, or leaves the choice to the
        reading. Empty if no image begins in the file, but it is part of one.
    note : str
        Which images there are, and which are left out; empty for a single image.
    begin : tuple of Path
        The file in which each of these images begins, if they are in several files; without
        ``paths``, the files in which images begin of which this one has a part.
    """

    paths: tuple[Path, ...]
    note: str = ''
    begin: tuple[Path, ...] = ()


def choose_scenes(path: str | os.PathLike[str], wanted: str | None = None) -> Scenes:
    """The images of a file that are wanted, each with a path of its own.

    Parameters
    ----------
    path : path or URL
        The file.
    wanted : str, optional
        A number, a name, or `ALL`. By default all images of an OME-Zarr, of a format of a
        microscope maker, and of an OME-TIFF as far as they begin in this file; of any other TIFF
        the largest one.

    Raises
    ------
    InputError
        If there is no such image, the file cannot be read, or a package is missing.
    """
    whole = Path(path)
    file, inner = split_scene(path)
    if inner is not None:
        return Scenes((file / str(_number(inner, list_scenes(file), file)),))
    numbers: Sequence[int] | None = None
    begin: Sequence[tiff.Beginning] | None = None
    if is_zarr(path):
        series = ome_zarr.series_of(path)
        if len(series) < 2:
            return Scenes(tuple(series) or (whole,))
        paths, names = list(series), list(series.values())
    else:
        is_tiff = _kind(file) == 'tiff'
        begin = tiff.beginnings(file) if is_tiff else None
        if wanted is None and is_tiff:
            if begin is None:
                return Scenes((whole,))
            numbers = [number for number, one in enumerate(begin) if one.file == file]
            if not numbers:
                words = 'is part of an image that begins in another file'
                return Scenes((), words, tuple(one.file for one in begin if one.here))
        names = list(list_scenes(file))
        paths = [file / str(number) for number in range(len(names))]
    if begin is not None and len(begin) != len(names):
        begin = None  # of a set whose other files are not looked into
    chosen = None if wanted in (None, ALL) else _number(str(wanted), names, whole)
    if len(names) == 1:
        return Scenes((whole,), begin=tuple(one.file for one in begin or ()))
    numbers = [chosen] if chosen is not None else numbers or range(len(names))
    return Scenes(
        tuple(paths[n] for n in numbers),
        _scenes_words(numbers, names, chosen),
        tuple(begin[n].file for n in numbers) if begin is not None else (),
    )


def _number(wanted: str, names: Sequence[str], path: Path) -> int:
    try:
        return number_of(wanted, names)
    except InputError as error:
        raise InputError(f'{ome_zarr.named(path)}: {error}') from error


def _scenes_words(numbers: Sequence[int], names: Sequence[str], chosen: int | None) -> str:
    """What is done with the images of a file."""
    listing = listed(names)
    if chosen is not None:
        return f'of its {len(names)} images, number {chosen} is read: {listing}'
    if len(numbers) < len(names):
        mine = ', '.join(map(str, numbers))
        return (
            f'{len(numbers)} of the {len(names)} images of its set begin in this file (number '
            f'{mine}); the others are left to their own files: {listing}'
        )
    return f'contains {len(names)} images (--scene chooses one): {listing}'


def is_in_folder(path: Path) -> bool:
    """Whether a file or folder counts where a folder of images is named, by its name.

    PNG and NPY do not: beside microscope images these are pictures and arrays of something else.
    """
    if path.is_dir():
        return is_zarr(path)
    suffix = path.suffix.lower()
    return suffix[1:] in TIFF.FILE_EXTENSIONS or suffix in vendor.SUFFIXES


def _kind(path: Path) -> str:
    """The format of a file by its name: ``'png'``, ``'npy'``, ``'vendor'`` or ``'tiff'``."""
    suffix = path.suffix.lower()
    if suffix in (png.SUFFIX, npy.SUFFIX):
        return suffix[1:]
    known = suffix[1:] in TIFF.FILE_EXTENSIONS
    return 'tiff' if known or not vendor.is_vendor(path) else 'vendor'


def _check_single(path: Path, scene: int | str | None) -> None:
    """Raise if a scene is chosen of a format that has only one."""
    if str(scene) not in ('None', '0'):
        raise InputError(f'{path}: has no image {scene!r}; its format has one image, number 0')


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
        If ``data`` is no array, the format cannot hold the image, or an OME-Zarr exists.
    """
    check_array(data, 'data')
    if ome_zarr.is_ome_zarr(path):
        ome_zarr.write_ome_zarr(path, data, axes, acquisition, inherited=inherited, record=record)
    else:
        stated = None if record is None else _stated(record)
        tiff.write_tiff(path, data, axes, acquisition, record=stated)


def write_steps(
    path: str | os.PathLike[str],
    data: Any,
    axes: str,
    acquisition: Acquisition = NOTHING_STATED,
    *,
    inherited: Inherited = NOTHING_INHERITED,
    record: Callable[[], Mapping[str, Any]],
    unfinished: UnfinishedImage | None = None,
) -> Generator[float, None, None]:
    """Write an image as `write_image` does, in parts: shards of an OME-Zarr, pages of a TIFF.

    Parameters
    ----------
    path, axes, acquisition, inherited
        As of `write_image`.
    data : array-like
        As of `write_image`; with ``read_steps``, the progress of the computation is told.
    record : callable
        Returns the report; its ``'origin'`` must be known before the values are read.
    unfinished : UnfinishedImage, optional
        Where the image is written until it is complete, to go on from there after an
        interruption. It has begun, and has to be finished afterwards.

    Yields
    ------
    float
        The completed share.
    """
    if ome_zarr.is_ome_zarr(path):
        return ome_zarr.write_steps(
            path,
            ome_zarr.reading(data),
            axes,
            ome_zarr.layout_for(path, axes, data.dtype, data.shape),
            acquisition,
            inherited=inherited,
            record=record,
            unfinished=unfinished,
        )
    stated = _stated(record())
    return tiff.write_steps(path, data, axes, acquisition, record=stated, unfinished=unfinished)


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
    """What a result on the local disk states of its origin; None if it states nothing, or is no
    image that can be read.
    """
    try:
        if not is_zarr(path):
            return tiff.record_of(Path(path))
        record = ome_zarr.record_of(path)
    except InputError:
        return None
    found = None if record is None else record.get(ORIGIN)
    return found if isinstance(found, dict) else None


def recipe_of(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """How a result on the local disk was made, as it states; None if it states nothing."""
    if is_zarr(path):
        return ome_zarr.record_of(path)
    if _kind(Path(path)) != 'tiff':
        return None
    found = (tiff.record_of(Path(path)) or {}).get(RECIPE)
    return found if isinstance(found, dict) else None


def _stated(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a TIFF states: its origin, and how it was made."""
    return {**(record.get(ORIGIN) or {}), RECIPE: recipe(record)}


def image_name(path: str | os.PathLike[str]) -> str:
    """What an image is called in messages and reports: ``cells.tif``, ``cells.zarr/0``."""
    root = ome_zarr.root_of(path)
    if root is None or not is_zarr(path):
        file, scene = split_scene(path)
        return file.name if scene is None else f'{file.name}/{scene}'
    return '/'.join([root.name, *Path(path).relative_to(root).parts])


def inherited_of(image: ImageFile) -> Inherited:
    """What an image that was read hands on besides sizes and channels."""
    return image.inherited if isinstance(image, OmeZarrImage) else NOTHING_INHERITED
