"""Blank places of an image, without noise: missing, filled, painted or clipped.

A stitched, rotated or registered image is padded; a mask or a scale bar is painted into it; a
frame is missing; values are clipped at the end of the range. All pixels of such a place have the
same value, or none (NaN). The noise cannot be measured there, and there is no noise to remove.

Noise gives equal values too: with few photons per pixel most values are 0, and noise below one
grey level disappears in the rounding. The surrounding pixels give the probability: if a share
``q`` of the pixels beyond the edge of a place has its value, ``n`` adjacent pixels of this value
have a probability of ``q ** n``. Where there are single pixels of another value, such as single
photons, their rate gives another estimate. A place counts as blank if it is improbable that noise
gives such a place anywhere in the plane.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_SIDE = 5
_LEAST = _SIDE**2
"""Minimum number of pixels of one value in a candidate: a square, or a part of a row or a
column."""
_SURE = math.log(1e6)
"""Noise gives a place that counts as blank in one of 1e6 planes (logarithm)."""
_BEYOND = (2, 3, 4)
"""Distances from the edge of a place of the pixels that are tested; the adjacent pixel differs by
definition."""
_MORE = 8
"""Rows and columns around a place that are tested."""
_SIDES = ((0, 1), (0, -1), (1, 0), (-1, 0))
_SPECKS = 3
"""Minimum number of single pixels of another value to measure their rate."""
_ROUND_A_SPECK = 7
_MOST_VALUES, _ROUNDS = 32, 12
_LOOKED_AT = 4096
"""Pixels of a plane whose values are counted first, about."""
_LABELS_LOOKED_AT = 1 << 16
"""Pixels of a plane of which it is asked whether they are labels, about."""
_JUMP, _NEAR = 4.0, 0.1
"""Noise standard deviations that separate a jump from a saturation, and the minimum share of the
surrounding pixels below that distance in a saturation."""
_ALIKE, _OWN, _JUMPS = 0.8, 0.8, 0.5
"""Least shares in a plane of labels: of pixels that are equal to the next one (of an image whose
pixels were repeated 4 times in each direction, 0.75 are); of the pixels of a value that have a
neighbour of the same value; and of steps between neighbours that are more than one."""
_PADDING = 0.05
"""Share of the pixels from which a value may be that of padding, or the background of labels."""
_ALIEN = 0.01
"""Share of surrounding pixels with the value of a place, below which those that touch it belong to
it."""


def blank(plane: NDArray[np.generic]) -> Mask | None:
    """Places of a plane without noise; None if there are none.

    Parameters
    ----------
    plane : (Y, X) array
        Grey levels, any real dtype; NaN and infinities are blank.

    Returns
    -------
    (Y, X) bool or None
    """
    if single_valued(plane):
        return np.ones(plane.shape, bool)
    mask: Mask | None = ~np.isfinite(plane) if plane.dtype.kind == 'f' else None
    if mask is not None and not mask.any():
        mask = None
    alike = plane[:, 1:] == plane[:, :-1], plane[1:] == plane[:-1]
    even = _even(*alike)
    if even is None:
        return mask
    if _has_labels(plane, *alike):
        return np.ones(plane.shape, bool)
    top = plane.max() if mask is None else plane[~mask].max()
    found = []
    for value, size in _likely(plane, even):
        place = _large(even & (plane == value), size)
        if not place.any():
            continue
        near = _box(place)
        own = _of_value(plane[near] == value, place[near], size, plane.size)
        if own is not None and value == top:
            own = _unsaturated(plane[near], own)
        if own is not None:
            mask = np.zeros(plane.shape, bool) if mask is None else mask
            mask[near] |= own
            if own.any():
                found.append(value)
    if mask is None or not mask.any():
        return None
    if found and np.isin(plane[~mask], found).all():  # a mask or a drawing: all of it is even
        mask[:] = True
    return mask


def _box(mask: Mask) -> tuple[slice, ...]:
    """Bounding box of a mask with a margin."""
    box = []
    for axis in (0, 1):
        inside = np.flatnonzero(mask.any(axis=1 - axis))
        box.append(slice(max(0, inside[0] - _MORE), inside[-1] + 1 + _MORE))
    return tuple(box)


def blank_everywhere(plane: NDArray[np.generic]) -> bool:
    """Whether a plane has no place with noise: a single value, a mask, a drawing."""
    some = plane.reshape(-1)[:: max(1, plane.size // _LOOKED_AT)]
    many = len(np.unique(some[np.isfinite(some)])) > _MOST_VALUES
    if many and np.mean(plane[:, 1:] == plane[:, :-1]) < _ALIKE:
        return False  # of so many values only labels are everywhere
    mask = blank(plane)
    return mask is not None and bool(mask.all())


def single_valued(plane: NDArray[np.generic]) -> bool:
    """Whether all finite pixels of a plane have one value, or no pixel is finite."""
    if plane.dtype.kind == 'f':
        finite = np.isfinite(plane)
        plane = plane if finite.all() else plane[finite]
    return not plane.size or bool((plane == plane.flat[0]).all())


def _even(along: Mask, down: Mask) -> Mask | None:
    """Pixels of squares, or parts of rows or columns, of `_LEAST` pixels of one value.

    ``along`` and ``down`` mark the pixels that are equal to the next one along a row and a column.
    """
    five, column = _all(along, _SIDE - 1, 1), _all(down, _SIDE - 1, 0)
    square = _all(five, _SIDE, 0) & column[:, : five.shape[1]]
    mask = _covered(_covered(square, _SIDE, 0), _SIDE, 1) if square.any() else None
    for same, axis, start in ((along, 1, five), (down, 0, column)):
        if start.any():
            line = _all(same, _LEAST - 1, axis)
            if line.any():
                place = _covered(line, _LEAST, axis)
                mask = place if mask is None else mask | place
    return mask


def _has_labels(plane: NDArray[np.generic], along: Mask, down: Mask) -> bool:
    """Whether a plane has the numbers of objects: many values, each with neighbours of its own.

    Padding does not count: an enlarged image has equal neighbours too, but not as many.

    An image that is rounded to whole numbers, with hardly any noise, has these too; but there the
    steps between neighbours are single ones.
    """
    if along.mean() < _ALIKE or down.mean() < _ALIKE:
        return False
    step = max(1, plane.size // _LABELS_LOOKED_AT)
    values, code = np.unique(plane.ravel()[::step], return_inverse=True)
    if len(values) <= _MOST_VALUES:
        return False
    count = np.bincount(code)
    other = ~np.isin(plane, values[count > _PADDING * count.sum()])
    with_own = np.zeros(plane.shape, bool)
    for same, (before, after) in ((along, _shifted(0, 1)), (down, _shifted(1, 0))):
        if not same[other[before] & other[after]].mean() >= _ALIKE:  # nor if there are none
            return False
        with_own[before] |= same
        with_own[after] |= same
    share = np.bincount(code, with_own.ravel()[::step]) / count
    levels = plane.astype(np.float64)
    steps = np.abs(np.concatenate([np.diff(levels, axis=axis).ravel() for axis in (0, 1)]))
    return bool(share.mean() > _OWN and np.mean(steps[steps > 0] > 1) > _JUMPS)


def _likely(plane: NDArray[np.generic], even: Mask) -> list[tuple[Any, int]]:
    """Values of uniform places that may be blank, and the minimum size of these places."""
    values, code = np.unique(plane[even], return_inverse=True)
    number = np.zeros(plane.shape, np.int32)
    number[even] = code + 1
    share = _share_beyond(plane, number, len(values))
    needed = np.ceil((math.log(plane.size) + _SURE) / -np.log(share))
    areas = np.bincount(code, minlength=len(values))
    order = [index for index in np.argsort(-areas) if areas[index] >= needed[index]]
    return [(values[index], max(_LEAST, int(needed[index]))) for index in order[:_MOST_VALUES]]


def _unsaturated(plane: NDArray[np.generic], places: Mask) -> Mask:
    """Places of the highest value, without those in which the detector is saturated."""
    labels, _ = scipy.ndimage.label(places)
    remaining = places.copy()
    for number, box in enumerate(scipy.ndimage.find_objects(labels), 1):
        rows, columns = (slice(max(0, s.start - _MORE), s.stop + _MORE) for s in box)
        own = labels[rows, columns] == number
        if _is_saturation(plane[rows, columns], own):
            remaining[rows, columns] &= ~own
    return remaining


def _is_saturation(plane: NDArray[np.generic], place: Mask) -> bool:
    """Whether the intensity around a place of the highest value rises up to that value.

    Two pixels beyond its edge are extrapolated to the place, and compared with its value in units
    of the noise, which second differences give. A painted place begins with a jump.
    """
    top = float(plane[place][0])
    beyond = [np.empty((3, 0))]
    for down, right in _SIDES:
        rows, columns = np.nonzero(_edge(place, down, right))
        last = _BEYOND[-1]
        y, x = rows + last * down, columns + last * right
        there = (y >= 0) & (y < plane.shape[0]) & (x >= 0) & (x < plane.shape[1])
        rows, columns = rows[there], columns[there]
        beyond.append(
            np.stack([plane[rows + far * down, columns + far * right] for far in _BEYOND])
        )
    seen = np.concatenate(beyond, axis=1).astype(np.float64)
    one, two, three = seen[:, np.isfinite(seen).all(axis=0)]
    if not one.size:
        return False
    noise = 1.4826 * float(np.median(np.abs(one - 2 * two + three))) / 6**0.5
    return bool(np.mean(top - (3 * one - 2 * two) <= _JUMP * noise) > _NEAR)


def _edge(place: Mask, down: int, right: int) -> Mask:
    """Pixels of a place whose neighbour in a direction is in the plane, but not in the place."""
    edge = np.zeros(place.shape, bool)
    inner, outer = _shifted(down, right)
    edge[inner] = place[inner] & ~place[outer]
    return edge


def _share_beyond(
    plane: NDArray[np.generic], labels: NDArray[np.int32], count: int
) -> NDArray[np.float64]:
    """Share of the pixels beyond the edges of labelled places that have the value of the place."""
    alike, seen = np.zeros((2, count))
    for down, right in _SIDES:
        inner, outer = _shifted(down, right)
        at_edge = np.zeros(plane.shape, bool)
        at_edge[inner] = (labels[inner] > 0) & (labels[outer] != labels[inner])
        rows, columns = np.nonzero(at_edge)
        own, value = labels[at_edge] - 1, plane[at_edge]
        for far in _BEYOND:
            y, x = rows + far * down, columns + far * right
            there = (y >= 0) & (y < plane.shape[0]) & (x >= 0) & (x < plane.shape[1])
            same = plane[y[there], x[there]] == value[there]
            alike += np.bincount(own[there], same, count)
            seen += np.bincount(own[there], minlength=count)
    return (alike + 1) / (seen + 2)


def _of_value(same: Mask, even: Mask, size: int, pixels: int) -> Mask | None:
    """The blank places of one value.

    The surroundings of a place give the minimum size of a square, row or column in it. Parts that
    are large enough are tested again as places with their own surroundings.

    Parameters
    ----------
    same : (Y, X) bool
        Pixels of the value.
    even : (Y, X) bool
        Pixels in places of ``size`` pixels.
    size, pixels : int
        Number of pixels of these places, and of the plane.
    """
    mask, alien = np.zeros((2, *same.shape), bool)
    specks = _specks(same)
    pending = np.where(even, size, 0)
    for _ in range(_ROUNDS):
        labels, count = scipy.ndimage.label(pending)
        if not count:
            break
        areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        share = _share_beyond(same, labels, count)
        strewn = _at_edges(specks, labels, count)
        rate = np.minimum(-np.log(share), np.where(strewn < _SPECKS, np.inf, strewn / areas))
        needed = np.ceil((math.log(pixels) + _SURE) / rate)
        places, smaller = scipy.ndimage.find_objects(labels), np.zeros_like(pending)
        for number in np.flatnonzero(areas >= needed):
            where = places[number]
            own = labels[where] == number + 1
            if needed[number] <= pending[where][own].min():
                mask[where] |= own
                alien[where] |= own & (share[number] < _ALIEN)
            else:
                size = int(needed[number])
                smaller[where] = np.where(_large(own, size), size, smaller[where])
        pending = smaller
    if not mask.any():
        return None
    grown = (
        scipy.ndimage.binary_propagation(alien, np.ones((3, 3)), same) if alien.any() else alien
    )
    return np.asarray(mask | grown)


def _specks(same: Mask) -> Mask:
    """Single pixels of another value in a uniform place."""
    around = scipy.ndimage.convolve(
        same.astype(np.uint8), np.ones((3, 3), np.uint8), mode='nearest'
    )
    return np.asarray(~same & (around >= _ROUND_A_SPECK))


def _at_edges(specks: Mask, labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Number of specks that touch each of the labelled places."""
    rows, columns = np.nonzero(specks)
    number, met = np.arange(len(rows)), [np.empty(0, int)]
    for down, right in _SIDES:
        y, x = rows + down, columns + right
        there = (y >= 0) & (y < specks.shape[0]) & (x >= 0) & (x < specks.shape[1])
        own = labels[y[there], x[there]].astype(np.int64)
        met.append((number[there] * (count + 1) + own)[own > 0])
    touched = np.unique(np.concatenate(met)) % (count + 1) - 1
    return np.bincount(touched, minlength=count)


def _shifted(down: int, right: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the pixels that have a neighbour in a direction, and of these neighbours."""
    pairs = {0: (slice(None), slice(None)), 1: (slice(-1), slice(1, None))}
    pairs[-1] = pairs[1][::-1]
    both = pairs[down], pairs[right]
    return tuple(pair[0] for pair in both), tuple(pair[1] for pair in both)


def _large(place: Mask, area: int) -> Mask:
    """The part of a place that is covered by squares, rows and columns of ``area`` pixels."""
    side = max(_SIDE, math.ceil(area**0.5))
    mask = np.zeros(place.shape, bool)
    for rows, columns in ((side, side), (1, max(_LEAST, area)), (max(_LEAST, area), 1)):
        if rows <= place.shape[0] and columns <= place.shape[1]:
            starts = _all(_all(place, rows, 0), columns, 1)
            mask |= _covered(_covered(starts, rows, 0), columns, 1)
    return mask


def _all(mask: Mask, count: int, axis: int) -> Mask:
    """Whether a pixel and those after it along an axis, ``count`` in all, are all True."""
    have, result = 1, np.moveaxis(mask, axis, 0)
    while have < count and len(result):
        step = min(have, count - have)
        result = result[:-step] & result[step:]
        have += step
    return np.moveaxis(result, 0, axis)


def _covered(starts: Mask, count: int, axis: int) -> Mask:
    """The pixels of all windows of ``count`` pixels along an axis that begin at ``starts``."""
    gaps = [(0, 0), (0, 0)]
    gaps[axis] = (count - 1, count - 1)
    return ~_all(~np.pad(starts, gaps), count, axis)


def blank_as_nan(plane: NDArray[np.generic]) -> NDArray[np.float64]:
    """A plane (Y, X) in double precision, NaN where it is blank."""
    none = blank(plane)
    values = plane.astype(np.float64)
    return values if none is None else np.where(none, np.nan, values)
