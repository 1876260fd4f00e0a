"""Arrays of other libraries, read part by part as NumPy arrays of real numbers."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError

_REAL = 'buif'
"""Kinds of dtype that are real numbers: booleans (0 and 1), integers and floating-point
numbers."""


def check_array(data: Any, name: str) -> None:
    """Raise if a path is given, or an image that was read, where an array is needed.

    Parameters
    ----------
    data : object
        What is given.
    name : str
        For messages.

    Raises
    ------
    InputError
        With what to write instead.
    """
    first = data[0] if isinstance(data, list | tuple) and data else data
    if isinstance(first, str | os.PathLike):
        path = os.fspath(first)
        raise InputError(
            f'{name}: a path was got, {path!r}; an array is needed: image = read_image({path!r}) '
            'reads the file; give image.data, and image.axes as the axes'
        )
    if not hasattr(first, 'dtype') and hasattr(first, 'data') and hasattr(first, 'axes'):
        raise InputError(
            f'{name}: {type(first).__name__} was got, which is an image with its axes; an array '
            'is needed: give image.data, and image.axes as the axes'
        )


def readable(data: Any, name: str) -> Any:
    """``data`` itself if it has a NumPy dtype of real numbers, else a view that converts its
    values.

    Parameters
    ----------
    data : array-like
        With ``shape``, ``dtype`` and slicing: NumPy, dask, zarr, torch, JAX, CuPy.
    name : str
        For messages.

    Raises
    ------
    InputError
        If it is no array, or the values are not real numbers.
    """
    check_array(data, name)
    try:
        dtype = np.dtype(data.dtype)
    except TypeError:  # a dtype of another library, such as torch.float32
        return _Converted(data, name)
    if dtype.kind in _REAL:
        return data
    if dtype.kind == 'V' and dtype.names is None and np.can_cast(dtype, np.float64):
        return _Converted(data, name)  # a number format that was added to NumPy: bfloat16
    raise InputError(f'{name}: values are {data.dtype}; {_advice(dtype.kind)}')


def _advice(kind: str) -> str:
    if kind == 'c':
        return 'real numbers are needed, such as the magnitude or the real part'
    if kind == 'O':
        return 'integer or real numbers are needed; if they are numbers, convert them to float64'
    return 'integer or real numbers are needed'


def as_numpy(part: Any) -> NDArray[Any]:
    """A part of any array as a NumPy array of numbers; booleans become 0 and 1 in ``uint8``."""
    if hasattr(part, 'compute'):  # dask
        part = part.compute(scheduler='synchronous') if _in_task() else part.compute()
    if hasattr(part, 'detach'):  # torch: no gradient, in the memory of the processor
        part = part.detach().cpu()
        if str(part.dtype) == 'torch.bfloat16':
            part = part.float()
    elif hasattr(part, '__cuda_array_interface__') and hasattr(part, 'get'):  # CuPy
        part = part.get()
    values = np.asarray(part)
    if values.dtype.kind == 'V':
        return values.astype(np.float32)
    return values.view(np.uint8) if values.dtype.kind == 'b' else values


def _in_task() -> bool:
    """Whether a worker of a dask cluster computes this: it must not wait for other workers."""
    if 'distributed' not in sys.modules:
        return False
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


class _Converted:
    """An array of another library with the dtype that its values have in NumPy."""

    def __init__(self, data: Any, name: str) -> None:
        self._data = data
        self.shape = tuple(int(side) for side in data.shape)
        self.ndim = len(self.shape)
        try:
            first = as_numpy(data[(slice(0, 1),) * self.ndim])
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f'{name}: values of {type(data).__name__} ({data.dtype}) cannot be read as a '
                f'NumPy array ({error}); convert them first'
            ) from error
        self.dtype = first.dtype
        if self.dtype.kind not in _REAL:
            raise InputError(f'{name}: values are {data.dtype}; {_advice(self.dtype.kind)}')

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return as_numpy(self._data[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        values = as_numpy(self._data)
        return np.array(values, dtype) if copy else np.asarray(values, dtype)


def central(side: int, most: int) -> slice:
    """The central part of an axis of ``side`` values; not more than ``most`` values."""
    first = max(0, (side - most) // 2)
    return slice(first, first + min(side, most))
