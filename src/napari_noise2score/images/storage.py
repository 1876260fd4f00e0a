"""Arrays for results, in memory or in a temporary file, and conversion to their dtype."""

from __future__ import annotations

import math
import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_noise2score.errors import InputError

IN_MEMORY = 1 << 31
"""Size of the largest array in memory, bytes; larger ones are in temporary files."""


def allocate(
    shape: tuple[int, ...], dtype: DTypeLike, in_memory: int | None = None
) -> NDArray[Any]:
    """An array with undefined values.

    One of more than ``in_memory`` bytes, `IN_MEMORY` if not given, is a memory map of a temporary
    file, which is deleted with it.

    Raises
    ------
    InputError
        If there is not enough disk space for temporary files.
    """
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if size <= (IN_MEMORY if in_memory is None else in_memory):
        return np.empty(shape, kind)
    try:
        with tempfile.TemporaryFile(prefix='noise2score-') as file:  # the map keeps it open
            _reserve(file.fileno(), size)
            return np.memmap(file, dtype=kind, mode='r+', shape=shape)
    except OSError as error:
        raise InputError(
            f'a result of {shape} needs {size / 2**30:.1f} GiB in {tempfile.gettempdir()}, but '
            f'that much disk space is not available ({error.strerror}); choose a region or fewer '
            'frames, or set TMPDIR to a larger disk'
        ) from error


def _reserve(file: int, size: int) -> None:
    """Reserve the disk space now: a full disk would end the program later."""
    if hasattr(os, 'posix_fallocate'):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)


def as_dtype(values: NDArray[np.floating], dtype: DTypeLike) -> tuple[NDArray[Any], int]:
    """Values in another dtype, and the number of values that were clipped.

    For integers and booleans, values are rounded to the nearest. Finite values beyond the range of
    the dtype are clipped to it. NaN and infinities do not change in a floating-point dtype.
    """
    kind = np.dtype(dtype)
    if kind.kind == 'f':
        most = np.finfo(kind).max
        beyond = np.isfinite(values) & (np.abs(values) > most)
        clipped = int(np.count_nonzero(beyond))
        inside = np.where(beyond, np.clip(values, -most, most), values) if clipped else values
        return inside.astype(kind), clipped
    least, highest = (0, 1) if kind.kind == 'b' else (np.iinfo(kind).min, np.iinfo(kind).max)
    whole = np.rint(values.astype(np.float64))
    clipped = int(np.count_nonzero((whole < least) | (whole > highest)))
    top = float(highest)
    if int(top) > highest:  # the largest 64-bit integer is not exact in float64
        top = float(np.nextafter(top, 0))
    return np.clip(whole, least, top).astype(kind), clipped
