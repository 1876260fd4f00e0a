"""Context: what the other frames or slices of a stack say about a plane.

For noise that is independent between planes Tweedie's formula is valid for a plane beside any
statistic ``S`` of the *others*: ``E[x | t, S] = t + v d/dt log p(t | S)``. So a network may see,
as further input planes, adjacent planes and means over many of them, in which a place that does
not change has little noise. It must never see a plane in the context of itself.

Slices in depth and frames in time have the same context; only the planes differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.level_table import SMALLEST_VARIANCE

Planes = NDArray[np.float32]

ADJACENT = (-2, -1, 1, 2)
"""Distances of the planes that are seen themselves."""
NEAR, REACH = 3, 12
"""Distances up to which planes are averaged, for the two means."""
NAMES = (
    'before 2',
    'before 1',
    'near mean',
    'mean',
    'unsteadiness',
    'error',
    'after 1',
    'after 2',
)
"""The planes of a context: its first half comes before the plane itself, its second half after."""
PLANES = len(NAMES)
MEAN, UNSTEADINESS, ERROR = (NAMES.index(name) for name in ('mean', 'unsteadiness', 'error'))
LEVELS = tuple(index for index in range(PLANES) if index not in (UNSTEADINESS, ERROR))
"""Planes of a context that are levels."""

LOCAL = 5
"""Width in pixels of the squares in which the unsteadiness is averaged."""

_LEAST, _MOST = 0.02, 1e4
"""Range of the unsteadiness before the logarithm."""


def context_of(
    index: int,
    count: int,
    read: Callable[[int], Planes | None],
    variance: Callable[[Planes], Planes] | None = None,
) -> Planes:
    """The context of a plane, of other planes only.

    Parameters
    ----------
    index : int
        Number of the plane.
    count : int
        Number of planes of the stack.
    read : callable
        Gives another plane by its number, (Y, X) in the unit-noise coordinate, NaN where there is
        no image; None if there is no such plane.
    variance : callable, optional
        Noise variance of the planes at a clean level (Y, X); 1 if not given.

    Returns
    -------
    (`PLANES`, Y, X) float32
        In the order of `NAMES`. Adjacent planes and means: unit-noise coordinate, NaN where there
        is none. *Unsteadiness*: natural logarithm of the variance of the other planes relative to
        the noise, averaged over 5 x 5 pixels; 0 if there are less than two. *Error*: that of the
        mean relative to the noise of a plane, ``n ** -0.5`` for n planes; 0 for none.
    """
    first, last = max(0, index - REACH), min(count, index + REACH + 1)
    others = {
        number - index: plane
        for number in range(first, last)
        if number != index and (plane := read(number)) is not None
    }
    if not others:
        raise ValueError('a plane without others has no context')
    shape = next(iter(others.values())).shape
    nothing = np.full(shape, np.nan, np.float32)
    before_2, before_1, after_1, after_2 = (others.get(at, nothing) for at in ADJACENT)
    mean, number = _mean(list(others.values()))
    near, _ = _mean([plane for at, plane in others.items() if abs(at) <= NEAR] or [nothing])
    noise = np.ones_like(mean) if variance is None else variance(mean)
    unsteady = _unsteadiness(list(others.values()), mean, number, noise)
    error = np.where(number > 0, np.maximum(number, 1) ** -0.5, 0).astype(np.float32)
    return np.stack([before_2, before_1, near, mean, unsteady, error, after_1, after_2])


def with_context(plane: Planes, context: Planes | None) -> Planes:
    """A plane (Y, X) in the middle of its context, (1 + `PLANES`, Y, X); NaN without one."""
    half = PLANES // 2
    if context is None:
        context = np.full((PLANES, *plane.shape), np.nan, np.float32)
    return np.concatenate([context[:half], plane[None], context[half:]])


def mirrored(context: Planes | None, shape: tuple[int, int]) -> Planes | None:
    """A context (`PLANES`, Y, X), mirrored up to a larger height and width."""
    if context is None:
        return None
    gaps = [(0, full - side) for full, side in zip(shape, context.shape[1:], strict=True)]
    return np.pad(context, [(0, 0), *gaps], mode='symmetric')


def slab_places(*names: str) -> tuple[int, ...]:
    """Places of planes of a context, by their `NAMES`, in what `with_context` returns."""
    found = (NAMES.index(name) for name in names)
    return tuple(place + (place >= PLANES // 2) for place in found)


def context_in(slab: Planes) -> Planes:
    """The context (`PLANES`, Y, X) in what `with_context` returned."""
    half = PLANES // 2
    return np.concatenate([slab[:half], slab[half + 1 :]])


def _mean(planes: Sequence[Planes]) -> tuple[Planes, Planes]:
    """Mean of planes, NaN where there is none, and their number at each pixel."""
    total, number = np.zeros_like(planes[0]), np.zeros_like(planes[0])
    for plane in planes:
        there = np.isfinite(plane)
        if there.all():
            total += plane
            number += 1
        else:
            total[there] += plane[there]
            number += there
    with np.errstate(invalid='ignore', divide='ignore'):
        mean = total / np.where(number > 0, number, np.nan)
    return mean.astype(np.float32), number


def _unsteadiness(planes: Sequence[Planes], mean: Planes, number: Planes, noise: Planes) -> Planes:
    total = np.zeros_like(mean)
    for plane in planes:
        total += np.nan_to_num(plane - mean) ** 2
    noise = np.maximum(noise, SMALLEST_VARIANCE)
    ratio = np.where(number > 1, total / (np.maximum(number - 1, 1) * noise), 1)
    smooth = ndimage.uniform_filter(ratio.astype(np.float32), LOCAL, mode='mirror')
    return np.asarray(np.log(np.clip(smooth, _LEAST, _MOST)), np.float32)
