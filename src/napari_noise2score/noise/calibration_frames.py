"""Calibration frames: validation, block means and their standard errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.noise.arrays import central, check_array

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FAR = 6.0
"""Noise standard deviations that noise alone never reaches."""

LEAST_SIDE = 16
"""Smallest height and width of a calibration frame, pixels."""

MOST_FRAMES = 512
"""Maximum number of frames of one calibration."""

_MOST_VALUES = 8_000_000
_BLOCK = 16


def checked_frames(values: ArrayLike, what: str) -> NDArray[Any]:
    """Frames (T, Y, X) in their own dtype, without repeated frames; the central part of large
    ones.

    Parameters
    ----------
    values : (Y, X) or (T, Y, X) array
        Grey levels, real dtype.
    what : str
        Name of the frames, for messages.

    Raises
    ------
    InputError
        If the shape is wrong, values are not finite real numbers, or frames are below 16 x 16
        pixels.
    """
    check_array(values, what)
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
    """Rows and columns of the central part of frames, as large as the memory limit allows."""
    most = max(64, int((_MOST_VALUES / max(count, 1)) ** 0.5))
    return central(height, most), central(width, most)


def inliers(values: Array) -> Mask:
    """Mask of the values, any shape, within `FAR` standard deviations of the median."""
    centre = float(np.median(values))
    away = np.abs(values - centre)
    sigma = 1.4826 * float(np.median(away)) or float(values.std())
    mask = np.ones(values.shape, dtype=bool)
    for _ in range(10):
        refined = away <= FAR * sigma
        if np.array_equal(refined, mask):
            break
        mask, sigma = refined, float(values[refined].std())
    return mask


def blocks(image: NDArray[Any]) -> NDArray[Any]:
    """(B, N) values of the square blocks of (Y, X); a remainder at the edges is excluded."""
    side = int(np.clip(min(image.shape) // 4, 1, _BLOCK))
    rows, columns = (length // side for length in image.shape)
    cut = image[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return cut.swapaxes(1, 2).reshape(rows * columns, side**2)


def block_means(valid: Mask, *images: Array) -> tuple[Array, ...]:
    """Mean of each image (Y, X) over the valid pixels of its blocks, and their number, (B,) each.

    Blocks with half of their pixels or more excluded are not returned.
    """
    weight = blocks(valid)
    count = weight.sum(axis=1).astype(np.float64)
    whole = count > weight.shape[1] / 2
    means = ((blocks(image) * weight).sum(axis=1)[whole] / count[whole] for image in images)
    return *means, count[whole]


def mean_and_error(valid: Mask, image: Array) -> tuple[float, float]:
    """Mean of (Y, X) over the valid pixels and its standard error.

    The error comes from the scatter of blocks, so it is correct for correlated pixels too.
    """
    means, _ = block_means(valid, image)
    if len(means) < 2:
        return float(image.mean()), float('inf')
    return float(means.mean()), float(means.std(ddof=1) / len(means) ** 0.5)
