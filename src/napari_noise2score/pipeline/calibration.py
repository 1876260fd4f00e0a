"""Noise parameters of a camera from calibration images, for each channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.images.source import Channel, ImageSource
from napari_noise2score.noise.calibration.calibrate import (
    Calibration,
    calibrate,
    combined_calibration,
)
from napari_noise2score.noise.calibration_frames import MOST_FRAMES, central_window


def calibrate_images(
    dark: ImageSource | None = None, flat: ImageSource | None = None
) -> Calibration:
    """Noise of a camera from images of dark frames, of a flat field, or both.

    Parameters
    ----------
    dark, flat : ImageSource, optional
        The planes of a channel, along T and Z, are its frames. An image with one channel is used
        for every channel of the other image.

    Raises
    ------
    InputError
        If the numbers of channels differ, if the channels have different noise, or if the noise
        cannot be measured on the frames; see `calibrate`.
    """
    darks: list[Channel | None] = [None] if dark is None else [*dark.channels()]
    flats: list[Channel | None] = [None] if flat is None else [*flat.channels()]
    count = max(len(darks), len(flats))
    if min(len(darks), len(flats)) not in (1, count):
        raise InputError(
            f'the dark frames have {len(darks)} channels, the flat field {len(flats)}; the same '
            'number, or one of them a single channel, is needed'
        )
    pairs = zip(_spread(darks, count), _spread(flats, count), strict=True)
    return combined_calibration(
        [
            calibrate(_frames(first), _frames(second), whole=_planes(first))
            for first, second in pairs
        ]
    )


def _spread(channels: list[Channel | None], count: int) -> list[Channel | None]:
    return channels * count if len(channels) == 1 else channels


def _frames(channel: Channel | None) -> NDArray[Any] | None:
    """All planes (T, Y, X), or their central window if they are large."""
    if channel is None:
        return None
    planes, height, width = channel.shape
    count = min(planes, MOST_FRAMES)
    place = central_window(count, height, width)
    return np.stack([channel.raw_plane(number)[place] for number in range(count)])


def _planes(channel: Channel | None) -> Iterator[NDArray[Any]] | None:
    """All complete planes (Y, X), one at a time."""
    if channel is None:
        return None
    return (channel.raw_plane(number) for number in range(min(channel.shape[0], MOST_FRAMES)))
