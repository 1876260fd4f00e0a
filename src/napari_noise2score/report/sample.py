"""The planes that a report looks at: some of them, of the central part of large ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.blocks import Window
from napari_noise2score.images.source import Channel
from napari_noise2score.noise.arrays import central
from napari_noise2score.noise.blank import blank
from napari_noise2score.noise.patterns.offsets import offsets_of
from napari_noise2score.pipeline.prepared import PreparedChannel

Array = NDArray[np.float64]

Conversion: TypeAlias = tuple[float, float]
"""Scale and offset: ``clean = scale * noisy + offset``."""

AS_IT_IS: Conversion = 1.0, 0.0

PLANES = 12
"""Planes that are looked at, evenly spaced."""
SIDE = 1024
"""Height and width of the part of each, pixels."""
_LEAST_VARIANCE = 1e-3
"""Minimum noise variance, relative to the usual one."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A noisy plane and the clean one, (Y, X) float64, grey levels; NaN where there is no noise.

    Attributes
    ----------
    number : int
        Number of the plane.
    noisy, clean : array
        Grey levels.
    variance : array
        Noise variance at the clean level.
    """

    number: int
    noisy: Array
    clean: Array
    variance: Array

    @property
    def residual(self) -> Array:
        """What was removed, noise standard deviations."""
        return (self.noisy - self.clean) / np.sqrt(self.variance)


def pairs_of(
    model: PreparedChannel, clean: Channel, conversion: Conversion | None = AS_IT_IS
) -> Iterator[Pair]:
    """The planes to look at; see `pair_of`."""
    for number in numbers_of(model.channel):
        yield pair_of(model, clean, number, conversion)


def pair_of(
    model: PreparedChannel, clean: Channel, number: int, conversion: Conversion | None = AS_IT_IS
) -> Pair:
    """A plane of a noisy channel and of a clean one, whose grey levels are converted.

    What pixels, rows, columns and waves of the camera add is no part of the image: it is
    subtracted from the noisy plane, as far as it is not in the clean one too. If the conversion is
    not known yet, None, this cannot be told, and nothing is subtracted.
    """
    window, (scale, offset) = window_of(model.channel), conversion or AS_IT_IS
    part = model.part(window)
    raw = part.channel.raw_plane(number)
    plane = raw.astype(np.float64)
    result = (clean.window(number, window).astype(np.float64) - offset) / scale
    places = blank(raw)
    if places is not None:
        plane[places] = np.nan
    result[~np.isfinite(plane)] = np.nan
    if part.maps is not None and conversion is not None:
        even = np.where(np.isfinite(plane), part.measured(raw), np.nan)
        if np.nansum((even - result) ** 2) < np.nansum((plane - result) ** 2):
            plane = even
    excess = part.excess
    variance = model.family.variance(result) + (0.0 if excess is None else excess)
    usual = float(np.nanmedian(variance)) if np.isfinite(variance).any() else 1.0
    variance = np.maximum(variance, _LEAST_VARIANCE * max(usual, 1e-30))
    if model.rows.detected and conversion is not None:
        there = np.isfinite(plane) & np.isfinite(result)
        residual = np.where(there, plane - result, 0.0)
        weight = np.where(there, 1 / variance, 0.0)
        plane = plane - offsets_of(residual, weight, model.rows, model.correlation.kernel).plane
    return Pair(number, plane, result, variance)


def numbers_of(channel: Channel) -> list[int]:
    """Numbers of the planes that are looked at."""
    count = channel.shape[0]
    return sorted({int(n) for n in np.linspace(0, count - 1, min(count, PLANES)).round()})


def window_of(channel: Channel, side: int = SIDE) -> Window:
    """The part of each plane that is looked at."""
    rows, columns = (central(length, min(length, side)) for length in channel.shape[1:])
    return Window(rows, columns)
