"""A sample of a channel, of limited size: some of its planes, the central part of large ones, or
blocks of a single very large one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.blocks import Window, grid, is_large, overlapping
from napari_noise2score.images.footprint import (
    SAMPLE_BLOCKS,
    SAMPLE_PIXELS,
    SAMPLE_PLANE,
    SAMPLE_SIDE,
)
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import Channel
from napari_noise2score.noise.blank import blank_as_nan, blank_everywhere
from napari_noise2score.noise.estimate.blind import SMALLEST

_PLANES = 24
"""Maximum number of planes of a sample."""
_STEPS = 0.8191725, 0.6710436, 0.5497005
"""Steps from one block to the next along planes, rows and columns, as shares of their lengths."""
_TRIED = 64
"""Number of blocks that are spread over the planes, and tried first."""
_TOP_PLANES = 4
"""Maximum number of complete planes in which the highest level is searched."""
_TOP_SIDE = 2048
"""Rows and columns of a part of them that is searched at once."""


def sample_planes(
    channel: Channel, *, in_place: bool = False
) -> tuple[list[list[int]], list[NDArray[Any]]]:
    """Some planes of a channel, grouped into consecutive frames.

    Planes that are blank everywhere are skipped. Of large planes only the central part is read,
    so that a sample has about 2^25 pixels at most, and 2^22 of each plane. If planes are very
    large, and there are no frames to compare, the sample is blocks that are spread over the
    planes.

    Parameters
    ----------
    channel : Channel
        The channel.
    in_place : bool
        Whether the sample has to be from the centre of the planes, where maps of the pixels are
        known to fit.

    Returns
    -------
    numbers : list of list of int
        Numbers of the planes; those in one list are consecutive frames.
    stacks : list of array, (T, Y, X)
        Their grey levels. Both are empty if every plane is blank everywhere.
    """
    count, frames = channel.shape[0], channel.frames
    if frames == 1 and not in_place and is_large(channel.shape):
        return _spread_blocks(channel)
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
        varied = ((i, plane) for i in group if not blank_everywhere(plane := centre.raw_plane(i)))
        chosen = list(islice(varied, share))
        if chosen:
            places.append([index for index, _ in chosen])
            stacks.append(np.stack([plane for _, plane in chosen]))
    return places, stacks


def _spread_blocks(channel: Channel) -> tuple[list[list[int]], list[NDArray[Any]]]:
    """Blocks of large planes, each a group of one frame; the first is from the middle."""
    numbers: list[list[int]] = []
    stacks: list[NDArray[Any]] = []
    for plane, block in _spread_places(channel.shape):
        values = channel.window(plane, block)
        if not blank_everywhere(values):
            numbers.append([plane])
            stacks.append(values[None])
            if len(stacks) == SAMPLE_BLOCKS:
                break
    return numbers, stacks


def _spread_places(shape: tuple[int, int, int]) -> Iterator[tuple[int, Window]]:
    """All blocks of planes (N, Y, X): at first some that are spread over them, then the others.

    The fractions are multiples of irrational numbers, which fill a volume evenly.
    """
    blocks = overlapping(shape, SAMPLE_SIDE)
    rows = len({block.rows.start for block in blocks})
    sides = shape[0], rows, len(blocks) // rows
    first = dict.fromkeys(
        tuple(
            int((0.5 + number * step) % 1 * side) for step, side in zip(_STEPS, sides, strict=True)
        )
        for number in range(_TRIED)
    )
    others = (place for place in product(*map(range, sides)) if place not in first)
    for plane, row, column in chain(first, others):
        yield plane, blocks[row * sides[2] + column]


def _central_part(channel: Channel, count: int) -> Channel:
    """The channel, or the centre of its planes if ``count`` of them have too many pixels."""
    rows, columns = channel.shape[1:]
    share = (min(SAMPLE_PLANE, SAMPLE_PIXELS / count) / (rows * columns)) ** 0.5
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
    parts = grid(channel.shape, _TOP_SIDE)
    windows = product(range(0, channel.shape[0], step), parts)
    complete = (blank_as_nan(channel.window(plane, window)) for plane, window in windows)
    return max(top, *(float(np.nanmax(part)) for part in complete if not np.isnan(part).all()))
