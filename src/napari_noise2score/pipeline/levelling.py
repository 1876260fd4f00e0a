"""Subtraction of the offsets that whole rows, columns or waves of a plane have in common.

The offsets and the clean image are estimated in alternation. A network estimates the clean plane;
the significant part of the mean residual of each row is subtracted before the network is applied
again. The clean plane contains a part of a large offset, and a smaller part of the rest. It may
contain a wave completely: so the iteration begins with the waves of the image itself, in places
without structure.
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
from napari_noise2score.pipeline.equalisation import equalised
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel
from napari_noise2score.pipeline.pretrained import clean_by_pretrained

_ROUNDS = 12
"""Maximum number of iterations for a plane."""
_FURTHER = 0.7
"""Over-relaxation of a step: without it, the part of an offset in the clean plane decreases
slowly."""
_SETTLED = 0.3
"""Change of the offsets that ends the iteration, relative to their standard error."""
_FAR = 6.0
"""Noise standard deviations at which a residual is clipped: hot pixels."""
_NEAR_THE_RAIL = 4.0
"""Distance from the saturation level at which values may be clipped, noise standard deviations."""


def levelled(prepared: Prepared, device: str = 'auto') -> Prepared:
    """An image with even noise in all pixels and without common offsets.

    The noise is made even if there are maps of the pixels. Offsets are subtracted if the noise
    estimate has detected any.

    The offsets of a plane are estimated when it is first read, always with the pretrained weights:
    up to twelve predictions of a single view.

    Parameters
    ----------
    prepared : Prepared
        The image with its noise models.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    """
    prepared = equalised(prepared, device)
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
    start = offsets = first_offsets(image, there * (image < channel.rail) / variance, rows)
    for turn in range(_ROUNDS):
        clean = _clean(channel, index, start, device)
        variance = _variance(channel, clean)
        noise = np.sqrt(variance)
        counted = there & (clean + _NEAR_THE_RAIL * noise < channel.rail)
        residual = np.clip(np.where(counted, values - clean, 0.0), -_FAR * noise, _FAR * noise)
        offsets = offsets_of(residual, counted / variance, rows, kernel)
        if _apart(offsets, start) < settled:
            break
        start = offsets.beyond(start, _FURTHER if turn else 0.0)
    return offsets


def _variance(channel: PreparedChannel, clean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Noise variance of every pixel of a plane, (Y, X) grey levels squared."""
    excess = channel.excess
    variance = channel.family.variance(clean) + (0.0 if excess is None else excess)
    return np.asarray(np.maximum(variance, channel.rows.noise * 1e-3))


def _clean(
    channel: PreparedChannel, index: int, offsets: Offsets, device: str
) -> NDArray[np.float64]:
    """Clean estimate of a plane from which these offsets are subtracted, (Y, X) grey levels."""
    levelled_channel = replace(channel, offsets=PlaneOffsets(lambda _: offsets))
    return clean_by_pretrained(channel, levelled_channel.plane(index), device)


def _apart(one: Offsets, other: Offsets) -> float:
    """Root mean square difference of the offsets of the pixels."""
    return float(((one.plane - other.plane) ** 2).mean() ** 0.5)
