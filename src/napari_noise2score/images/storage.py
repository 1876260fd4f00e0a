"""Room for results, in memory or in a temporary file, and their dtype."""

from __future__ import annotations

import math
import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_noise2score.errors import InputError

IN_MEMORY = 1 << 31
"""Bytes of the largest array that is kept in memory."""


def room(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array to be filled, values undefined.

    One of more than `IN_MEMORY` bytes is a memory map of a temporary file, which is gone with it.

    Raises
    ------
    InputError
        If there is not enough space on the disk for temporary files.
    """
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, kind)
    try:
        with tempfile.TemporaryFile(prefix='noise2score-') as file:  # the map keeps it
            _reserve(file.fileno(), size)
            return np.memmap(file, dtype=kind, mode='r+', shape=shape)
    except OSError as error:
        raise InputError(
            f'a result of {shape} needs {size / 2**30:.1f} GiB in {tempfile.gettempdir()}, which '
            f'cannot be had ({error.strerror}); choose a region or fewer frames, or set TMPDIR to '
            'a larger disk'
        ) from error


def _reserve(file: int, size: int) -> None:
    """Take the space now: a full disk met later would end the program."""
    if hasattr(os, 'posix_fallocate'):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)


def as_dtype(values: NDArray[np.floating], dtype: DTypeLike) -> tuple[NDArray[Any], int]:
    """Values in a dtype, and how many of them were clipped.

    Whole numbers are rounded to the nearest, and clipped to the range of the dtype.
    """
    kind = np.dtype(dtype)
    if kind.kind not in 'ui':
        return values.astype(kind), 0
    limits = np.iinfo(kind)
    whole = np.rint(values)
    clipped = int(np.count_nonzero((whole < limits.min) | (whole > limits.max)))
    top = float(limits.max)
    if int(top) > limits.max:  # 64 bits have no exact float
        top = float(np.nextafter(top, 0))
    return np.clip(whole.astype(np.float64), limits.min, top).astype(kind), clipped
