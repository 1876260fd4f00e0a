"""Equalisation of the noise of a camera whose pixels differ, to that of the median pixel.

A noisier pixel is resampled, given its value and the clean image (`noise/pixels/even_noise.py`);
the pretrained weights estimate the clean image from such samples. The two are estimated in
alternation, as in `napari_noise2score.pipeline.levelling`, and the clean images of the last
iterations are averaged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.storage import allocate
from napari_noise2score.noise.pixels.even_noise import local_mean
from napari_noise2score.noise.pixels.even_planes import EvenPlanes, even_noise
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel
from napari_noise2score.pipeline.pretrained import clean_by_pretrained

Array = NDArray[np.float64]

_ROUNDS = 5
"""Number of iterations for a plane."""
_SETTLING = 2
"""Number of first iterations that are not part of the mean."""


def equalised(prepared: Prepared, device: str = 'auto') -> Prepared:
    """An image whose pixels all have the noise of the median pixel, if there are maps of the
    pixels.

    A plane is equalised when it is first read, always with the pretrained weights: five
    predictions of a single view. Its clean estimate is stored with four bytes per pixel, in a
    temporary file if it is large.

    Parameters
    ----------
    prepared : Prepared
        The image with its noise models.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    """
    if not any(_concerned(channel) for channel in prepared.channels):
        return prepared
    channels = (_equalised(c, device) if _concerned(c) else c for c in prepared.channels)
    return replace(prepared, channels=tuple(channels))


def _concerned(channel: PreparedChannel) -> bool:
    return channel.maps is not None and channel.even is None


def _equalised(channel: PreparedChannel, device: str) -> PreparedChannel:
    assert channel.maps is not None  # only such channels are concerned
    even = EvenPlanes(channel.maps, channel.family, _CleanPlanes(channel, device))
    return replace(channel, even=even)


class _CleanPlanes:
    """Clean planes, (Y, X) float32 grey levels; each is computed once."""

    def __init__(self, channel: PreparedChannel, device: str) -> None:
        self._channel, self._device = channel, device
        self._planes: NDArray[np.float32] | None = None
        self._known: set[int] = set()

    def __getstate__(self) -> tuple[PreparedChannel, str]:
        return self._channel, self._device

    def __setstate__(self, state: tuple[PreparedChannel, str]) -> None:
        """Begin without planes: another process computes those that it needs."""
        self._channel, self._device = state
        self._planes, self._known = None, set()

    def __call__(self, index: int) -> NDArray[np.float32]:
        if self._planes is None:
            self._planes = allocate(self._channel.shape, np.float32)
        if index not in self._known:
            self._planes[index] = _clean(self._channel, self._device, index)
            self._known.add(index)
        plane: NDArray[np.float32] = self._planes[index]
        return plane


def _clean(channel: PreparedChannel, device: str, index: int) -> Array:
    """Clean estimate of one plane, (Y, X) grey levels."""
    maps, family = channel.maps, channel.family
    assert maps is not None  # only such channels are concerned
    raw = channel.channel.raw_plane(index)
    values, blank = channel.measured(raw), channel.blanks.of(index, raw)
    there = np.isfinite(values) if blank is None else ~blank
    if not there.any():
        return np.full(values.shape, channel.table.base)
    values = np.where(there, values, np.nan)
    reference = np.asarray(family.variance(np.nanmedian(values)), np.float64)
    excess = maps.excess(family.parameters()['read_noise'])
    clean = local_mean(values, np.maximum(reference + excess, 1e-3 * reference))
    estimates: list[Array] = []
    for turn in range(_ROUNDS):
        even = even_noise(values, clean, maps, family, (index, turn, 1))
        even = np.where(raw < channel.rail, even, values)
        plane = channel.coordinate.forward(even).astype(np.float32)
        estimate = clean_by_pretrained(channel, plane, device)
        if turn >= _SETTLING:
            estimates.append(estimate)
        clean = np.mean(estimates, axis=0) if estimates else estimate
    return clean
