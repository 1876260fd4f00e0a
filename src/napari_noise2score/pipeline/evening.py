"""Planes of a camera whose pixels differ, brought to the noise of the median pixel.

A noisier pixel is resampled, given its value and the clean image
(`noise/pixels/even_noise.py`); the pretrained weights make the clean image from such samples. The
two are estimated in turn, as in `napari_noise2score.pipeline.levelling`, and the clean images of
the last turns are averaged.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.storage import allocate
from napari_noise2score.noise.pixels.even_noise import local_mean
from napari_noise2score.noise.pixels.even_planes import EvenPlanes, even_noise
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress, predict_clean
from napari_noise2score.score.pretraining.weights import warm_start
from napari_noise2score.score.sampler import HeldPlanes
from napari_noise2score.steps import finish, relay

Array = NDArray[np.float64]

_ROUNDS = 5
"""Times that a plane is looked at."""
_SETTLING = 2
"""Of these, how many are not part of the mean."""
_DRAWS = 4
"""Least number of draws that a result is the mean over."""


def evened(prepared: Prepared, device: str = 'auto') -> Prepared:
    """An image whose pixels have the noise of the median one, where maps of them are known.

    A plane is brought to it when it is first looked at, by the weights that ship, whatever the
    model that is applied to it: five times a single view. What it is without noise is kept, four
    bytes a pixel, in a temporary file where that is much.

    Parameters
    ----------
    prepared : Prepared
        The image with its noise models.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    """
    if not any(_concerned(channel) for channel in prepared.channels):
        return prepared
    channels = (_evened(c, device) if _concerned(c) else c for c in prepared.channels)
    return replace(prepared, channels=tuple(channels))


def clean_levels(
    model: ScoreModel,
    channel: PreparedChannel,
    *,
    device: str = 'auto',
    orientations: int = 8,
    sigma_a: float = 0.0,
) -> Generator[PredictProgress, None, NDArray[np.float32]]:
    """Clean level of every plane of a channel, as `predict_clean` finds it.

    Where its planes were brought to even noise, each of the views sees another draw, and there
    are at least four: the mean over what noisy pixels may be is what is sought.
    """
    if channel.even is None:
        return (
            yield from predict_clean(
                model, channel, device=device, orientations=orientations, sigma_a=sigma_a
            )
        )
    draws, total = max(orientations, _DRAWS), None
    for number in range(draws):
        seen = replace(channel, even=channel.even.drawn(number))
        steps = predict_clean(
            model, seen, device=device, orientations=1, first_view=number, sigma_a=sigma_a
        )

        def of_all(tile: PredictProgress, number: int = number) -> PredictProgress:
            return PredictProgress(number * tile.total + tile.done, draws * tile.total)

        level = yield from relay(steps, of_all)
        level /= draws
        if total is None:
            total = level
        else:
            total += level
    assert total is not None  # there is a draw
    return total


def level_by_warm_start(
    channel: PreparedChannel, plane: NDArray[np.float32], device: str
) -> NDArray[np.float32]:
    """Clean level (Y, X) that the pretrained weights give one plane (Y, X), seen once.

    Both are in the unit-noise coordinate of the channel; NaN where the plane is NaN.
    """
    held = HeldPlanes.like(channel, plane[None, None])
    (level,) = finish(predict_clean(warm_start(), held, device=device, orientations=1))
    return np.asarray(level)


def clean_by_warm_start(
    channel: PreparedChannel, plane: NDArray[np.float32], device: str
) -> Array:
    """What the weights that ship make of one plane, seen once.

    Parameters
    ----------
    channel : PreparedChannel
        The channel that it is of.
    plane : (Y, X) float32
        The plane in the unit-noise coordinate of the channel; NaN where it is blank.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.

    Returns
    -------
    (Y, X) float64
        Grey levels; a usual one where the plane is blank.
    """
    clean = channel.table.clean_value(level_by_warm_start(channel, plane, device))
    return np.where(np.isnan(clean), channel.table.base, clean)


def _concerned(channel: PreparedChannel) -> bool:
    return channel.maps is not None and channel.even is None


def _evened(channel: PreparedChannel, device: str) -> PreparedChannel:
    assert channel.maps is not None  # only such channels are concerned
    even = EvenPlanes(channel.maps, channel.family, _CleanPlanes(channel, device))
    return replace(channel, even=even)


class _CleanPlanes:
    """What planes are without noise, (Y, X) float32 grey levels, each found once."""

    def __init__(self, channel: PreparedChannel, device: str) -> None:
        self._channel, self._device = channel, device
        self._found: NDArray[np.float32] | None = None
        self._known: set[int] = set()

    def __call__(self, index: int) -> NDArray[np.float32]:
        if self._found is None:
            self._found = allocate(self._channel.shape, np.float32)
        if index not in self._known:
            self._found[index] = _clean(self._channel, self._device, index)
            self._known.add(index)
        plane: NDArray[np.float32] = self._found[index]
        return plane


def _clean(channel: PreparedChannel, device: str, index: int) -> Array:
    """Clean estimate of one plane, (Y, X) grey levels."""
    maps, family = channel.maps, channel.family
    assert maps is not None  # only such channels are concerned
    raw = channel.channel.raw_plane(index)
    values, blank = channel.measured(raw), channel.blanks.of(index, raw)
    seen = np.isfinite(values) if blank is None else ~blank
    if not seen.any():
        return np.full(values.shape, channel.table.base)
    values = np.where(seen, values, np.nan)
    usual = np.asarray(family.variance(np.nanmedian(values)), np.float64)
    excess = maps.excess(family.parameters()['read_noise'])
    clean = local_mean(values, np.maximum(usual + excess, 1e-3 * usual))
    found: list[Array] = []
    for turn in range(_ROUNDS):
        even = even_noise(values, clean, maps, family, (index, turn, 1))
        even = np.where(raw < channel.rail, even, values)
        plane = channel.coordinate.forward(even).astype(np.float32)
        now = clean_by_warm_start(channel, plane, device)
        if turn >= _SETTLING:
            found.append(now)
        clean = np.mean(found, axis=0) if found else now
    return clean
