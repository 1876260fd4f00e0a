"""NPY: an array of NumPy, whose axes have to be given if there are more than two."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError, one_line
from napari_noise2score.images.acquisition import NOTHING_STATED, Acquisition
from napari_noise2score.images.axes import check_axes, guess_axes

SUFFIX = '.npy'
IN_MEMORY = 1 << 28
"""Bytes of the largest array that is read at once."""
_NUMBERS = 'buif'
"""Kinds of dtype that are accepted: booleans, integers and real numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class NpyImage:
    """An array of an NPY file.

    Attributes
    ----------
    data : array
        The values; a memory map of the file for a large array.
    axes : str
        One letter for each axis, see `images.axes`.
    acquisition : Acquisition
        Empty: the format has no metadata.
    notes : tuple of str
        Empty.
    """

    data: NDArray[Any]
    axes: str
    acquisition: Acquisition = NOTHING_STATED
    notes: tuple[str, ...] = ()


def read_npy(
    path: str | os.PathLike[str], axes: str | None = None, *, in_memory: int = IN_MEMORY
) -> NpyImage:
    """Read an array from an NPY file. Nothing in it is executed: Python objects are refused.

    Parameters
    ----------
    path : path
        The file.
    axes : str, optional
        A letter for each axis; needed for more than two axes.
    in_memory : int
        Bytes up to which the array is read at once; a larger one is a memory map.

    Raises
    ------
    InputError
        If the file is missing, damaged or not an NPY, does not contain real numbers, or its axes
        are not given.
    """
    path = Path(path)
    data = _array(path)
    if data.dtype.kind not in _NUMBERS:
        raise InputError(
            f'{path}: is an array of {data.dtype}; an array of integer or real numbers is needed'
        )
    if data.ndim < 2:
        raise InputError(
            f'{path}: is an array of shape {data.shape}; at least two axes, Y and X, are needed'
        )
    if axes is None and data.ndim > 2:
        raise InputError(
            f'{path}: shape {data.shape}, and an NPY file does not say what its axes are; give '
            f'them with --axes, such as {guess_axes(data.shape)}'
        )
    try:
        chosen = check_axes(axes or 'YX', data.shape)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    if data.nbytes <= in_memory:
        data = np.array(data, data.dtype.newbyteorder('='))
    return NpyImage(data, chosen)


def _array(path: Path) -> NDArray[Any]:
    """The array as a memory map.

    Raises
    ------
    InputError
        If it cannot be read, whatever NumPy raises.
    """
    try:
        with path.open('rb') as stream:
            np.lib.format.read_magic(stream)
        found = np.load(path, mmap_mode='r', allow_pickle=False)
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise InputError(f'{path}: {reason}; an NPY file is needed') from error
    # A damaged header is parsed as a Python literal: SyntaxError, TypeError, UnicodeDecodeError,
    # OverflowError and others come out of it.
    except Exception as error:
        text = one_line(error) or type(error).__name__
        if 'Python objects' in text or 'pickle' in text.lower():
            text = 'it contains Python objects, which are not loaded; numbers are needed'
        raise InputError(f'{path}: not a readable NPY file ({text})') from error
    return np.asarray(found) if found.ndim == 0 else found
