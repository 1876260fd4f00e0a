"""Frames of something even: as numbers, and means over them with honest errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.noise.arrays import central

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FAR = 6.0
"""Noise standard deviations that noise alone never reaches."""

LEAST_SIDE = 16
"""Smallest height and width of a calibration frame, pixels."""

MOST_FRAMES = 512
"""Frames of one calibration that are used."""

_MOST_VALUES = 8_000_000
_BLOCK = 16


def captures(values: ArrayLike, what: str) -> NDArray[Any]:
    """Frames (T, Y, X) in their own dtype, none repeated; of large ones the middle.

    Parameters
    ----------
    values : (Y, X) or (T, Y, X) array
        Grey levels, real dtype.
    what : str
        What they are, for messages.

    Raises
    ------
    InputError
        If the shape is another, values are no finite numbers, or frames are below 16 x 16 pixels.
    """
    frames = np.asarray(values)
    if frames.dtype.kind not in 'uif':
        raise InputError(f'{what}: values are {frames.dtype}; real numbers are needed')
    if frames.ndim == 2:
        frames = frames[None]
    if frames.ndim != 3 or len(frames) == 0 or min(frames.shape[1:]) < LEAST_SIDE:
        raise InputError(
            f'{what}: shape is {np.shape(values)}; (Y, X) or (T, Y, X) with at least '
            f'{LEAST_SIDE} x {LEAST_SIDE} pixels is needed'
        )
    frames = frames[:MOST_FRAMES]
    frames = frames[(slice(None), *central_window(len(frames), frames.shape[1], frames.shape[2]))]
    if not np.isfinite(frames).all():
        raise InputError(f'{what}: NaN or infinite values; finite grey levels are needed')
    seen: dict[bytes, int] = {}
    for index, frame in enumerate(frames):
        seen.setdefault(frame.tobytes(), index)
    return np.asarray(frames[sorted(seen.values())])


def central_window(count: int, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns in the middle of frames, as many as there is room for."""
    most = max(64, int((_MOST_VALUES / max(count, 1)) ** 0.5))
    return central(height, most), central(width, most)


def usual(values: Array) -> Mask:
    """Which values, any shape, are within `FAR` standard deviations of the rest."""
    centre = float(np.median(values))
    away = np.abs(values - centre)
    sigma = 1.4826 * float(np.median(away)) or float(values.std())
    kept = np.ones(values.shape, dtype=bool)
    for _ in range(10):
        found = away <= FAR * sigma
        if np.array_equal(found, kept):
            break
        kept, sigma = found, float(values[found].std())
    return kept


def blocks(image: NDArray[Any]) -> NDArray[Any]:
    """(B, N) values of the square blocks of (Y, X); a rest at the edges is left out."""
    side = int(np.clip(min(image.shape) // 4, 1, _BLOCK))
    rows, columns = (length // side for length in image.shape)
    cut = image[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return cut.swapaxes(1, 2).reshape(rows * columns, side**2)


def block_means(kept: Mask, *images: Array) -> tuple[Array, ...]:
    """Mean of each image (Y, X) over the kept pixels of its blocks, and their number, (B,) each.

    Blocks of which more than half was left out are no part of it.
    """
    weight = blocks(kept)
    count = weight.sum(axis=1).astype(np.float64)
    whole = count > weight.shape[1] / 2
    means = ((blocks(image) * weight).sum(axis=1)[whole] / count[whole] for image in images)
    return *means, count[whole]


def mean_and_error(kept: Mask, image: Array) -> tuple[float, float]:
    """Mean of (Y, X) over the kept pixels and its standard error.

    The error comes from the scatter of blocks, so that it holds where pixels are not independent.
    """
    means, _ = block_means(kept, image)
    if len(means) < 2:
        return float(image.mean()), float('inf')
    return float(means.mean()), float(means.std(ddof=1) / len(means) ** 0.5)
