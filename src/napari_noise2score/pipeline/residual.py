"""The residual: the noise that was removed from an image, in its standard deviations."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.storage import allocate
from napari_noise2score.noise.digits import counted
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.standardised import standardised


def residual_steps(
    noisy: ImageSource, clean: ImageSource, families: Sequence[NoiseFamily | None]
) -> Generator[float, None, NDArray[np.float32]]:
    r"""Standardised residual ``(y - x) / sqrt(Var[y | x])``, plane by plane.

    If the clean image and the noise model are correct, the residual is white, of mean 0 and
    variance 1. Structure in it was removed from the image. It is 0 where a value is not finite.

    Parameters
    ----------
    noisy, clean : ImageSource
        Images of the same shape and axes, grey levels.
    families : sequence of NoiseFamily or None
        The noise of each channel; None for a channel that was returned unchanged.

    Yields
    ------
    float
        Completed share of the planes, after each plane.

    Returns
    -------
    array, float32
        Shape and axes of the images, noise standard deviations.

    Raises
    ------
    InputError
        If the shapes or axes differ, or the number of noise models is not that of the channels.
    """
    if noisy.shape != clean.shape or noisy.axes != clean.axes:
        raise InputError(
            f'{noisy.name} has the shape {noisy.shape} ({noisy.axes}), {clean.name} '
            f'{clean.shape} ({clean.axes}); a residual needs two images of the same shape and '
            'axes'
        )
    channels = list(zip(noisy.channels(), clean.channels(), strict=True))
    if len(families) != len(channels):
        raise InputError(
            f'{noisy.name} has {counted(len(channels), "channel")}, but '
            f'{counted(len(families), "noise model")} for them; one for each is needed'
        )
    result = allocate(noisy.shape, np.float32)
    total = sum(channel.shape[0] for channel, _ in channels)
    done = 0
    for (channel, other), family in zip(channels, families, strict=True):
        for plane in range(channel.shape[0]):
            x, y = other.plane(plane), channel.plane(plane)
            unit = np.zeros(x.shape)
            if family is not None:
                x, y = (np.where(np.isfinite(a), a, np.nan) for a in (x, y))
                variance = np.asarray(family.variance(x), np.float64)
                unit = np.nan_to_num(standardised(y - x, variance))
            channel.write(plane, unit.astype(np.float32), result)
            done += 1
            yield done / total
    return result
