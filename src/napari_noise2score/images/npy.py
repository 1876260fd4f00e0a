"""NPY: an array of NumPy, whose axes have to be given if there are more than two."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError, one_line
from napari_noise2score.images.acquisition import NOTHING_STATED, Acquisition
from napari_noise2score.images.axes import check_axes, suggested_axes
from napari_noise2score.images.foreign import not_of_format
from napari_noise2score.images.indexing import IndexedArray
from napari_noise2score.images.unchanged import Unchanged

SUFFIX = '.npy'
_MAGIC = b'\x93NUMPY'
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
        The values; a `StoredNpy` for a large array.
    axes : str
        One letter for each axis, see `images.axes`.
    acquisition : Acquisition
        Empty: the format has no metadata.
    notes : tuple of str
        Empty.
    """

    data: NDArray[Any] | StoredNpy
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
        Bytes up to which the array is read at once; the values of a larger one are read when they
        are indexed.

    Raises
    ------
    InputError
        If the file is missing, damaged or not an NPY, is changed while it is read, does not
        contain real numbers, or its axes are not given.
    """
    path = Path(path)
    data = _stored(path)
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
            f'them with --axes, such as {suggested_axes(data.shape)}'
        )
    try:
        chosen = check_axes(axes or 'YX', data.shape)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    return NpyImage(np.asarray(data) if data.nbytes <= in_memory else data, chosen)


class StoredNpy(IndexedArray):
    """An array in an NPY file; indexing reads only the requested rows.

    It is no memory map: if the file became shorter, reading one would end the process.

    Parameters
    ----------
    path : Path
        The file.
    found : memmap
        The array as NumPy finds it in the file; its values are not read.
    """

    def __init__(self, path: Path, found: np.memmap[Any, Any]) -> None:
        super().__init__(found.shape, found.dtype.newbyteorder('='))
        self._path, self._offset, self._stored = path, int(found.offset), found.dtype
        self._turned = not found.flags.c_contiguous  # the first axis changes fastest
        self._unchanged = Unchanged(path)
        self._unchanged.check([path])

    def values_at(self, wanted: Sequence[range]) -> NDArray[Any]:
        """Values at places along every axis.

        Raises
        ------
        InputError
            If the file cannot be read, or is not as it was before.
        """
        order = -1 if self._turned else 1
        *leading, rows, columns = list(wanted)[::order]
        *lengths, _, row = self.shape[::order]
        values = np.empty([len(at) for at in (*leading, rows, columns)], self.dtype)
        if values.size:
            first = min(rows[0], rows[-1])
            count = max(rows[0], rows[-1]) + 1 - first
            picked = np.ix_(np.subtract(rows, first), np.asarray(columns))
            with self._unchanged.during([self._path]), self._opened() as file:
                for place in product(*(range(len(at)) for at in leading)):
                    at = [axis[i] for axis, i in zip(leading, place, strict=True)]
                    plane = int(np.ravel_multi_index(at, lengths)) if at else 0
                    start = (plane * self.shape[::order][-2] + first) * row
                    file.seek(self._offset + start * self._stored.itemsize)
                    near = np.fromfile(file, self._stored, count * row)
                    if near.size < count * row:
                        raise InputError(f'{self._path}: it is cut short; values are missing')
                    values[place] = near.reshape(count, row)[picked]
        return values.T if self._turned else values

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        try:
            with self._path.open('rb') as file:
                yield file
        except OSError as error:
            raise InputError(f'{self._path}: {error.strerror or one_line(error)}') from error


def _stored(path: Path) -> StoredNpy:
    """The array, whose values are not read yet.

    Raises
    ------
    InputError
        If it cannot be read, whatever NumPy raises.
    """
    try:
        with path.open('rb') as stream:
            if stream.read(len(_MAGIC)) != _MAGIC:
                raise not_of_format(path, 'NPY')
            stream.seek(0)
            np.lib.format.read_magic(stream)
        with np.errstate(over='raise'):  # of a damaged shape, which NumPy multiplies
            found = np.load(path, mmap_mode='r', allow_pickle=False)
    except InputError:
        raise
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
    return StoredNpy(path, found)
