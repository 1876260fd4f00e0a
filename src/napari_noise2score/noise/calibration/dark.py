"""Dark frames: offset and read noise of a camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.noise.calibration_frames import (
    FAR,
    checked_frames,
    inliers,
    mean_and_error,
)
from napari_noise2score.noise.correlation import Correlation, correlation_of
from napari_noise2score.noise.estimate.flat_patches import from_flat_patches, response
from napari_noise2score.noise.fill import filled
from napari_noise2score.noise.photon_transfer import PhotonTransfer

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MOST_FIELDS = 8
_MANY_HOT = 0.01
_MANY_CLIPPED = 0.01
_DRIFT = 0.3
"""Range of the offset of frames, relative to the read noise, that is reported as a warning."""


@dataclass(frozen=True, slots=True, eq=False)
class Dark:
    """Measurements on dark frames.

    Attributes
    ----------
    offset, offset_error : float
        Mean grey level and its standard error.
    read_noise, read_noise_error : float
        Standard deviation of the noise and its standard error, grey levels.
    frames : int
        Number of frames used.
    correlation : Correlation
        Correlation of the noise between pixels; white if it is small.
    notes : tuple of str
        Warnings for the user.
    """

    offset: float
    offset_error: float
    read_noise: float
    read_noise_error: float
    frames: int
    correlation: Correlation
    notes: tuple[str, ...]


def measure_dark(frames: ArrayLike) -> Dark:
    """Offset and read noise from frames without light.

    Parameters
    ----------
    frames : (Y, X) or (T, Y, X) array
        Grey levels, any real dtype, at least 16 x 16 pixels.

    Raises
    ------
    InputError
        If the shape is wrong, or values are not finite.

    Notes
    -----
    With two frames or more, the read noise is the temporal variation of each pixel, so it does not
    contain a fixed pattern of the offset (Janesick, "Photon Transfer", 2007, ch. 5; EMVA Standard
    1288, release 4.0, sec. 6.6). A single frame is measured with second differences, which remove
    smooth variations but not differences from pixel to pixel. Pixels that differ by more than 6
    standard deviations, in their mean or in one frame, are excluded.
    """
    raw = checked_frames(frames, 'dark frames')
    stack = raw.astype(np.float64)
    notes: list[str] = []
    if len(stack) > 1:
        measured = _from_several(stack, notes)
    else:
        notes.append(
            'Only one dark frame is given: a fixed pattern of the offset is measured as read '
            'noise; two or more frames separate them.'
        )
        measured = _from_one(stack[0], notes)
    offset, read_noise, correlation = measured
    if raw.dtype.kind == 'u' and read_noise[0] > 0 and (raw == 0).mean() > _MANY_CLIPPED:
        notes.append(
            f'{100 * float((raw == 0).mean()):.0f} % of the dark values are cut off at 0; offset '
            'and read noise are uncertain.'
        )
    if read_noise[0] == 0:
        notes.append('The dark frames are constant: the read noise is too small to be measured.')
    return Dark(*offset, *read_noise, len(stack), correlation, tuple(notes))


_Measured = tuple[tuple[float, float], tuple[float, float], Correlation]


def _from_several(stack: Array, notes: list[str]) -> _Measured:
    """Measurement of the differences between frames."""
    count = len(stack)
    mean = stack.mean(axis=0)
    valid = inliers(mean)
    level = stack[:, valid].mean(axis=1)
    rest = stack - mean - (level - level.mean())[:, None, None]
    spread = float(rest[:, valid][inliers(rest[:, valid])].std())
    valid &= np.abs(rest).max(axis=0) <= FAR * spread
    _note_hot(1 - float(valid.mean()), notes)
    offset, offset_error = mean_and_error(valid, mean)
    variance, error = mean_and_error(valid, (rest**2).sum(axis=0) / (count - 1))
    read_noise = variance**0.5
    if np.ptp(level) > _DRIFT * read_noise > 0:
        notes.append(
            f'The offset differs by up to {np.ptp(level):.2g} grey levels between dark frames.'
        )
    offset_error = float(np.hypot(offset_error, level.std(ddof=1) / count**0.5))
    fields = list(rest[: min(_MOST_FIELDS, max(1, count - 1))])
    correlation = correlation_of(fields, [valid] * len(fields)) if variance > 0 else None
    return (
        (offset, offset_error),
        (read_noise, error / (2 * read_noise) if read_noise else 0.0),
        Correlation.white() if correlation is None else correlation.relevant,
    )


def _from_one(frame: Array, notes: list[str]) -> _Measured:
    """Measurement with second differences, which are 0 for a surface that is linear in y or in
    x.
    """
    half = frame[:-2] - 2 * frame[1:-1] + frame[2:]
    rest = (half[:, :-2] - 2 * half[:, 1:-1] + half[:, 2:]) / 6
    inner = frame[1:-1, 1:-1]
    valid = inliers(rest) & inliers(inner)
    _note_hot(1 - float(inliers(inner).mean()), notes)
    offset = mean_and_error(valid, inner)
    variance, error = mean_and_error(valid, rest**2)
    correlation = _of_patches(inner, valid, variance, offset[0]) if variance > 0 else None
    relevant = Correlation.white() if correlation is None else correlation.relevant
    passed = response(relevant)
    read_noise = (variance / passed) ** 0.5
    doubt = error / passed / (2 * read_noise) if read_noise else 0.0
    return offset, (read_noise, doubt), relevant


def _of_patches(frame: Array, valid: Mask, variance: float, level: float) -> Correlation | None:
    flat = PhotonTransfer(
        np.array([level]),
        np.array([variance]),
        np.array([np.nan]),
        1.0,
        np.array([float(valid.sum())]),
        'single frames',
    )
    return from_flat_patches([filled(np.where(valid, frame, np.nan))], [valid], flat)


def _note_hot(share: float, notes: list[str]) -> None:
    if share > _MANY_HOT:
        notes.append(
            f'{100 * share:.1f} % of the pixels stand out from the other dark pixels (hot '
            'pixels) and were left out.'
        )
