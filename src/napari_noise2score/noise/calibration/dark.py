"""Dark frames: what a camera gives without light, its offset and its read noise."""

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
from napari_noise2score.noise.photon_transfer import PhotonTransfer

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MOST_FIELDS = 8
_MANY_HOT = 0.01
_MANY_CLIPPED = 0.01
_DRIFT = 0.3
"""Range of the offset of frames, in read noises, that is reported as a warning."""


@dataclass(frozen=True, slots=True, eq=False)
class Dark:
    """What dark frames tell.

    Attributes
    ----------
    offset, offset_error : float
        Mean grey level and its standard error.
    read_noise, read_noise_error : float
        Standard deviation of the noise and its standard error, grey levels.
    frames : int
        Frames used.
    correlation : Correlation
        Of the noise between pixels; white if little.
    notes : tuple of str
        What a user should know.
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
        If the shape is another, or values are not finite.

    Notes
    -----
    From two frames on the read noise is what changes from frame to frame at the same pixel, so
    that a fixed pattern of the offset is no part of it (Janesick, "Photon Transfer", 2007, ch. 5;
    EMVA Standard 1288, release 4.0, sec. 6.6). A single frame is looked at by second differences,
    which leave out what is smooth but not what differs from pixel to pixel. Pixels that stand out
    by more than 6 standard deviations, in their mean or once in time, are left out.
    """
    raw = checked_frames(frames, 'dark frames')
    stack = raw.astype(np.float64)
    notes: list[str] = []
    if len(stack) > 1:
        found = _from_several(stack, notes)
    else:
        notes.append(
            'Only one dark frame is given: a fixed pattern of the offset is measured as read '
            'noise; two or more frames separate them.'
        )
        found = _from_one(stack[0], notes)
    offset, read_noise, correlation = found
    if raw.dtype.kind == 'u' and read_noise[0] > 0 and (raw == 0).mean() > _MANY_CLIPPED:
        notes.append(
            f'{100 * float((raw == 0).mean()):.0f} % of the dark values are cut off at 0; offset '
            'and read noise are uncertain.'
        )
    if read_noise[0] == 0:
        notes.append('The dark frames are constant: the read noise is too small to be measured.')
    return Dark(*offset, *read_noise, len(stack), correlation, tuple(notes))


_Found = tuple[tuple[float, float], tuple[float, float], Correlation]


def _from_several(stack: Array, notes: list[str]) -> _Found:
    """From what changes between frames."""
    count = len(stack)
    mean = stack.mean(axis=0)
    kept = inliers(mean)
    level = stack[:, kept].mean(axis=1)
    rest = stack - mean - (level - level.mean())[:, None, None]
    spread = float(rest[:, kept][inliers(rest[:, kept])].std())
    kept &= np.abs(rest).max(axis=0) <= FAR * spread
    _note_hot(1 - float(kept.mean()), notes)
    offset, offset_error = mean_and_error(kept, mean)
    variance, error = mean_and_error(kept, (rest**2).sum(axis=0) / (count - 1))
    read_noise = variance**0.5
    if np.ptp(level) > _DRIFT * read_noise > 0:
        notes.append(
            f'The offset differs by up to {np.ptp(level):.2g} grey levels between dark frames.'
        )
    offset_error = float(np.hypot(offset_error, level.std(ddof=1) / count**0.5))
    fields = list(rest[: min(_MOST_FIELDS, max(1, count - 1))])
    correlation = correlation_of(fields, [kept] * len(fields)) if variance > 0 else None
    return (
        (offset, offset_error),
        (read_noise, error / (2 * read_noise) if read_noise else 0.0),
        Correlation.white() if correlation is None else correlation.noticed,
    )


def _from_one(frame: Array, notes: list[str]) -> _Found:
    """From second differences, which are those of a surface that is straight in y or in x."""
    half = frame[:-2] - 2 * frame[1:-1] + frame[2:]
    rest = (half[:, :-2] - 2 * half[:, 1:-1] + half[:, 2:]) / 6
    inner = frame[1:-1, 1:-1]
    kept = inliers(rest) & inliers(inner)
    _note_hot(1 - float(inliers(inner).mean()), notes)
    offset = mean_and_error(kept, inner)
    variance, error = mean_and_error(kept, rest**2)
    correlation = _of_patches(inner, kept, variance, offset[0]) if variance > 0 else None
    noticed = Correlation.white() if correlation is None else correlation.noticed
    passed = response(noticed)
    read_noise = (variance / passed) ** 0.5
    doubt = error / passed / (2 * read_noise) if read_noise else 0.0
    return offset, (read_noise, doubt), noticed


def _of_patches(frame: Array, kept: Mask, variance: float, level: float) -> Correlation | None:
    flat = PhotonTransfer(
        np.array([level]),
        np.array([variance]),
        np.array([np.nan]),
        1.0,
        np.array([float(kept.sum())]),
        'single frames',
    )
    return from_flat_patches([frame], [kept], flat)


def _note_hot(share: float, notes: list[str]) -> None:
    if share > _MANY_HOT:
        notes.append(
            f'{100 * share:.1f} % of the pixels stand out from the other dark pixels (hot '
            'pixels) and were left out.'
        )
