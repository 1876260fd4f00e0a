"""Reading of an image from a file of a microscope maker."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.images.acquisition import NOTHING_STATED, Acquisition
from napari_noise2score.images.axes import FURTHER, KNOWN, check_axes, overruled
from napari_noise2score.images.scenes import listed, number_of
from napari_noise2score.images.vendor import czi
from napari_noise2score.images.vendor.guard import readable
from napari_noise2score.images.vendor.metadata import stated
from napari_noise2score.images.vendor.readers import reader_class
from napari_noise2score.images.vendor.stored import DelayedArray

IN_MEMORY = 1 << 28
"""Bytes of the largest image that is read at once; a larger one is read when it is indexed."""
_CHUNKS = 'chunk_dims'
"""Option of readers that read a whole stack for each plane without it."""


@dataclass(frozen=True, slots=True, eq=False)
class VendorImage:
    """An image read from a file.

    Attributes
    ----------
    data : array
        Grey levels; a `DelayedArray` for a large image.
    axes : str
        One letter for each axis, see `images.axes`. Axes of length 1 other than Y and X are left
        out.
    acquisition : Acquisition
        Sizes and channels in the metadata of the file.
    notes : tuple of str
        What is to be said of it.
    """

    data: NDArray[Any] | DelayedArray
    axes: str
    acquisition: Acquisition = NOTHING_STATED
    notes: tuple[str, ...] = ()


def vendor_scenes(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Names of the scenes of a file, in its order.

    Raises
    ------
    InputError
        If the file or a package is missing, or it cannot be read.
    """
    path = Path(path)
    reader = _opened(path)
    with readable(path):
        return tuple(str(name) for name in reader.scenes)


def read_vendor(
    path: str | os.PathLike[str],
    axes: str | None = None,
    scene: int | str | None = None,
    *,
    in_memory: int = IN_MEMORY,
) -> VendorImage:
    """Read an image, with the axes of the file unless ``axes`` are given.

    Parameters
    ----------
    path : path
        The file.
    axes : str, optional
        A letter for each axis that is longer than 1.
    scene : int or str, optional
        Number, from 0, or name of a scene; needed if the file has several.
    in_memory : int
        Bytes up to which an image is read at once; the planes of a larger one are read when they
        are indexed.

    Raises
    ------
    InputError
        If the file or a package is missing, the file cannot be read, it has several scenes and
        none is chosen, or the axes do not fit.
    """
    path = Path(path)
    reader = _opened(path)
    with readable(path):
        names = [str(name) for name in reader.scenes]
        number = _chosen(names, scene, path)
        reader.set_scene(number)
        array = reader.xarray_dask_data
        letters = [str(letter).upper() for letter in array.dims]
        values = czi.with_rgb(array.data, letters) if _is_czi(reader) else array.data
        delayed, found, notes = _squeezed(values, letters)
        acquisition = stated(reader, number)
    data = DelayedArray(delayed, path)
    try:
        chosen = check_axes(found if axes is None else axes, data.shape)
    except InputError as error:
        raise InputError(f'{path}: {error}; the file says {found}') from error
    at_hand = np.asarray(data) if data.nbytes <= in_memory else data
    notes += overruled(chosen, found)
    return VendorImage(at_hand, chosen, acquisition.renamed(found, chosen), notes)


def _opened(path: Path) -> Any:
    """A reader of a file.

    Raises
    ------
    InputError
        If there is no such file or no reader, or it cannot be read.
    """
    if not path.is_file():
        raise InputError(f'{path}: no such file; a microscope image is needed')
    with readable(path):
        reader = reader_class(path)
        if _is_czi(reader):
            return czi.opened(reader, str(path))
        chunked = _CHUNKS in inspect.signature(reader).parameters
        return reader(str(path), **({_CHUNKS: ['Y', 'X']} if chunked else {}))


def _is_czi(reader: Any) -> bool:
    """Whether a class, or one of its objects, is that of bioio-czi."""
    kind = reader if isinstance(reader, type) else type(reader)
    return kind.__module__.partition('.')[0] == czi.PACKAGE


def _chosen(names: list[str], scene: int | str | None, path: Path) -> int:
    """The number of the scene that is asked for, or of the only one."""
    if scene is None and len(names) > 1:
        raise InputError(
            f'{path}: contains {len(names)} images; choose one by its path, such as {path}/0, or '
            f'with scene (--scene): {listed(names)}'
        )
    try:
        return 0 if scene is None else number_of(scene, names)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error


def _squeezed(array: Any, letters: list[str]) -> tuple[Any, str, tuple[str, ...]]:
    """An array without axes of length 1, its axes, and notes on them.

    An axis whose name is not known gets the letter of one without an order in time or depth.
    """
    kept = [
        letter in ('Y', 'X') or side > 1 for letter, side in zip(letters, array.shape, strict=True)
    ]
    squeezed = array[tuple(slice(None) if keep else 0 for keep in kept)]
    long = [letter for letter, keep in zip(letters, kept, strict=True) if keep]
    free = iter([letter for letter in FURTHER if letter not in long])
    axes, notes = '', []
    for letter in long:
        axes += letter if letter in KNOWN else next(free)
        if letter not in KNOWN:
            notes.append(f'its axis {letter} is not known and is read as {axes[-1]}')
    if 'M' in long:
        tiles = squeezed.shape[long.index('M')]
        notes.append(f'its {tiles} tiles (M) stay single images: they are not stitched')
    return squeezed, axes, tuple(notes)
