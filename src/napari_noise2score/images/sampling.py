"""A sample of a channel, of limited size: some of its planes, or the central part of large
ones.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.footprint import SAMPLE_PIXELS
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import Channel
from napari_noise2score.noise.blank import blank_as_nan, single_valued
from napari_noise2score.noise.estimate.blind import SMALLEST

_PLANES = 24
"""Maximum number of planes of a sample."""
_TOP_PLANES = 4
"""Maximum number of complete planes in which the highest level is searched."""


def sample_planes(channel: Channel) -> tuple[list[list[int]], list[NDArray[Any]]]:
    """Some planes of a channel, grouped into consecutive frames.

    Planes of a single value are skipped. Of large planes only the central part is read, so that a
    sample has about 2^25 pixels at most.

    Parameters
    ----------
    channel : Channel
        The channel.

    Returns
    -------
    numbers : list of list of int
        Numbers of the planes; those in one list are consecutive frames.
    stacks : list of array, (T, Y, X)
        Their grey levels. Both are empty if every plane has a single value.
    """
    count, frames = channel.shape[0], channel.frames
    groups = [range(start, start + frames) for start in range(0, count, frames)]
    share = max(min(frames, 4), _PLANES // len(groups))
    step = max(1, len(groups) * min(frames, share) // _PLANES)
    most = len(groups[::step])
    centre = _central_part(channel, most * min(frames, share))
    places: list[list[int]] = []
    stacks = []
    for group in (group for start in range(step) for group in groups[start::step]):
        if len(places) == most:
            break
        varied = ((i, plane) for i in group if not single_valued(plane := centre.raw_plane(i)))
        chosen = list(islice(varied, share))
        if chosen:
            places.append([index for index, _ in chosen])
            stacks.append(np.stack([plane for _, plane in chosen]))
    return places, stacks


def _central_part(channel: Channel, count: int) -> Channel:
    """The channel, or the centre of its planes if ``count`` of them have too many pixels."""
    rows, columns = channel.shape[1:]
    share = (SAMPLE_PIXELS / (count * rows * columns)) ** 0.5
    if share >= 1:
        return channel
    window = {}
    for letter, side in (('Y', rows), ('X', columns)):
        width = max(SMALLEST, int(share * side))
        start = (side - width) // 2
        window[letter] = start, start + width
    return Channel(channel.source.part(Region(window)), channel.place)


def highest_level(channel: Channel, sample: list[NDArray[Any]]) -> float:
    """Largest grey level of a sample, and of some complete planes if it has only central parts.

    Parameters
    ----------
    channel : Channel
        The channel.
    sample : list of array, (T, Y, X)
        From `sample_planes`.
    """
    top = max(float(np.nanmax(blank_as_nan(plane))) for stack in sample for plane in stack)
    if sample[0].shape[1:] == channel.shape[1:]:
        return top
    step = -(-channel.shape[0] // _TOP_PLANES)
    planes = range(0, channel.shape[0], step)
    complete = (blank_as_nan(channel.raw_plane(plane)) for plane in planes)
    return max(top, *(float(np.nanmax(plane)) for plane in complete if not np.isnan(plane).all()))
