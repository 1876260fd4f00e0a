"""Planes without the offsets that their whole rows, columns or waves have in common.

The offsets and the clean image are estimated in turn: a network says what a plane is without
noise, and what is left of each row has a mean, of which the part that is no chance is taken off
before the network looks again. The network keeps part of an offset, as it keeps what is large in
an image, and the less of it the less there is left. Of a wave it may keep all: so the search
begins with what the image itself shows of waves where there is no structure.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.estimate.binning import neighbour_mean
from napari_noise2score.noise.fill import filled
from napari_noise2score.noise.patterns.offsets import first_offsets, offsets_of, unknown_of
from napari_noise2score.noise.patterns.shared import Offsets, PlaneOffsets
from napari_noise2score.pipeline.evening import clean_by_warm_start, evened
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel

_ROUNDS = 12
"""Most times that a plane is looked at."""
_FURTHER = 0.7
"""Share of a step that the next one goes further: what the network keeps comes off slowly."""
_SETTLED = 0.3
"""Change of the offsets that ends the search, as a share of what chance leaves unknown of them."""
_FAR = 6.0
"""Noise standard deviations that a residual is cut off at: hot pixels."""
_NEAR_THE_RAIL = 4.0
"""Noise standard deviations below the rail of the detector where values begin to be clipped."""


def levelled(prepared: Prepared, device: str = 'auto') -> Prepared:
    """An image whose pixels are alike: brought to even noise, and rid of offsets in common.

    Where maps of the pixels are known, and where the estimate has found offsets of rows.

    The offsets of a plane are estimated when it is first looked at, by the weights that ship,
    whatever the model that is applied to it: up to twelve times a single view.

    Parameters
    ----------
    prepared : Prepared
        The image with its noise models.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    """
    prepared = evened(prepared, device)
    if not any(_concerned(channel) for channel in prepared.channels):
        return prepared
    channels = (
        replace(channel, offsets=PlaneOffsets(partial(_offsets, channel, device)))
        if _concerned(channel)
        else channel
        for channel in prepared.channels
    )
    return replace(prepared, channels=tuple(channels))


def _concerned(channel: PreparedChannel) -> bool:
    return channel.rows.detected and not channel.offsets.any


def _offsets(channel: PreparedChannel, device: str, index: int) -> Offsets:
    """Offsets of one plane of a channel."""
    raw = channel.channel.raw_plane(index)
    values, blank = channel.measured(raw).astype(np.float64), channel.blanks.of(index, raw)
    there = np.isfinite(values) if blank is None else ~blank
    if not there.any():
        return Offsets(np.zeros(raw.shape[0]), np.zeros(raw.shape[1]))
    rows, kernel = channel.rows, channel.correlation.kernel
    height, width = raw.shape
    settled = _SETTLED * unknown_of(rows, kernel, (height, width)) ** 0.5
    image = filled(np.where(there, values, np.nan))
    variance = _variance(channel, neighbour_mean(image))
    start = found = first_offsets(image, there * (image < channel.rail) / variance, rows)
    for turn in range(_ROUNDS):
        clean = _clean(channel, index, start, device)
        variance = _variance(channel, clean)
        noise = np.sqrt(variance)
        counted = there & (clean + _NEAR_THE_RAIL * noise < channel.rail)
        residual = np.clip(np.where(counted, values - clean, 0.0), -_FAR * noise, _FAR * noise)
        found = offsets_of(residual, counted / variance, rows, kernel)
        if _apart(found, start) < settled:
            break
        start = found.beyond(start, _FURTHER if turn else 0.0)
    return found


def _variance(channel: PreparedChannel, clean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Noise variance of every pixel of a plane, (Y, X) grey levels squared."""
    excess = channel.excess
    variance = channel.family.variance(clean) + (0.0 if excess is None else excess)
    return np.asarray(np.maximum(variance, channel.rows.noise * 1e-3))


def _clean(
    channel: PreparedChannel, index: int, offsets: Offsets, device: str
) -> NDArray[np.float64]:
    """What a plane is without noise and with these offsets taken off, (Y, X) grey levels."""
    seen = replace(channel, offsets=PlaneOffsets(lambda _: offsets))
    return clean_by_warm_start(channel, seen.plane(index), device)


def _apart(one: Offsets, other: Offsets) -> float:
    """Root mean square by which the offsets of pixels differ."""
    return float(((one.plane - other.plane) ** 2).mean() ** 0.5)
