"""Places of an image that hold no noise: missing, filled in, painted over, cut off.

A stitched, turned or registered image is padded, a mask or a scale bar is painted into it, a frame
was dropped, a value cut at the end of the range. All pixels of such a place have one and the same
value, or none (NaN). It says nothing of the noise, and nothing can be taken out of it.

Noise gives equal values too: of few photons a pixel most are 0, and noise below a grey level is
lost in the rounding. What chance gives is told by the pixels around: if beyond the edge of a place
a share ``q`` of the pixels has its value, ``n`` such pixels side by side have a probability of
``q ** n``. Where single pixels of another value are strewn in, as by single photons, their rate
says the same. A place counts as blank if chance would hardly give one like it anywhere in the
plane.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]

_SIDE = 5
_LEAST = _SIDE**2
"""Fewest pixels of one value that are looked at: a square, or a part of a row or a column."""
_SURE = math.log(1e6)
"""Chance gives such a place in one of so many planes (logarithm)."""
_BEYOND = (2, 3, 4)
"""How far beyond the edge of a place pixels are looked at; the next one differs by definition."""
_MORE = 8
"""Rows and columns beyond a place that are looked at."""
_SIDES = ((0, 1), (0, -1), (1, 0), (-1, 0))
_SPECKS = 3
"""Strewn-in pixels from which they have a rate."""
_ROUND_A_SPECK = 7
_MOST_VALUES, _ROUNDS = 32, 12
_JUMP, _NEAR = 4.0, 0.1
"""Noise standard deviations that tell a jump from a saturation, and the share of the pixels around
that must be nearer in one."""
_ALIEN = 0.01
"""Share of pixels around with the value of a place below which each that touches it belongs."""


def blank(plane: NDArray[np.generic]) -> Mask | None:
    """Where a plane holds no noise; None if it does everywhere.

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
    found: Mask | None = ~np.isfinite(plane) if plane.dtype.kind == 'f' else None
    if found is not None and not found.any():
        found = None
    even = _even(plane)
    if even is None:
        return found
    top = plane.max() if found is None else plane[~found].max()
    for value, size in _likely(plane, even):
        place = _large(even & (plane == value), size)
        if not place.any():
            continue
        near = _box(place)
        own = _of_value(plane[near] == value, place[near], size, plane.size)
        if own is not None and value == top:
            own = _unsaturated(plane[near], own)
        if own is not None:
            found = np.zeros(plane.shape, bool) if found is None else found
            found[near] |= own
    return found if found is not None and found.any() else None


def _box(mask: Mask) -> tuple[slice, ...]:
    """Rows and columns of a mask, and some more."""
    found = []
    for axis in (0, 1):
        inside = np.flatnonzero(mask.any(axis=1 - axis))
        found.append(slice(max(0, inside[0] - _MORE), inside[-1] + 1 + _MORE))
    return tuple(found)


def single_valued(plane: NDArray[np.generic]) -> bool:
    """Whether all pixels of a plane that are numbers at all have one value, or none is one."""
    if plane.dtype.kind == 'f':
        finite = np.isfinite(plane)
        plane = plane if finite.all() else plane[finite]
    return not plane.size or bool((plane == plane.flat[0]).all())


def _even(plane: NDArray[np.generic]) -> Mask | None:
    """Pixels of squares, or parts of rows or columns, of `_LEAST` pixels of one value."""
    along, down = plane[:, 1:] == plane[:, :-1], plane[1:] == plane[:-1]
    five, column = _all(along, _SIDE - 1, 1), _all(down, _SIDE - 1, 0)
    square = _all(five, _SIDE, 0) & column[:, : five.shape[1]]
    found = _covered(_covered(square, _SIDE, 0), _SIDE, 1) if square.any() else None
    for same, axis, start in ((along, 1, five), (down, 0, column)):
        if start.any():
            line = _all(same, _LEAST - 1, axis)
            if line.any():
                place = _covered(line, _LEAST, axis)
                found = place if found is None else found | place
    return found


def _likely(plane: NDArray[np.generic], even: Mask) -> list[tuple[Any, int]]:
    """Values of even places that chance does not explain at once, and how large they must be."""
    values, code = np.unique(plane[even], return_inverse=True)
    number = np.zeros(plane.shape, np.int32)
    number[even] = code + 1
    share = _share_beyond(plane, number, len(values))
    needed = np.ceil((math.log(plane.size) + _SURE) / -np.log(share))
    areas = np.bincount(code, minlength=len(values))
    order = [index for index in np.argsort(-areas) if areas[index] >= needed[index]]
    return [(values[index], max(_LEAST, int(needed[index]))) for index in order[:_MOST_VALUES]]


def _unsaturated(plane: NDArray[np.generic], places: Mask) -> Mask:
    """Places of the highest value without those that are a saturation of the detector."""
    labels, _ = ndimage.label(places)
    kept = places.copy()
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        rows, columns = (slice(max(0, s.start - _MORE), s.stop + _MORE) for s in box)
        own = labels[rows, columns] == number
        if _is_saturation(plane[rows, columns], own):
            kept[rows, columns] &= ~own
    return kept


def _is_saturation(plane: NDArray[np.generic], place: Mask) -> bool:
    """Whether what is around a place of the highest value rises up to it, as light does.

    Two pixels beyond its edge are prolonged to it; near is within some of the noise there, by
    second differences. What was painted in or around an image begins with a jump.
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
    """Pixels of a place whose neighbour in a direction is in the plane, and not in the place."""
    found = np.zeros(place.shape, bool)
    inner, outer = _shifted(down, right)
    found[inner] = place[inner] & ~place[outer]
    return found


def _share_beyond(
    plane: NDArray[np.generic], labels: NDArray[np.int32], count: int
) -> NDArray[np.float64]:
    """Share of pixels beyond the edges of labelled places of one value that have it too."""
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

    What is around a place says how large a square, a row or a column of it must be. The parts
    that are large enough are places again, with surroundings of their own.

    Parameters
    ----------
    same : (Y, X) bool
        Pixels of the value.
    even : (Y, X) bool
        Those in places of ``size`` pixels.
    size, pixels : int
        Of these places, and of the plane.
    """
    found, alien = np.zeros((2, *same.shape), bool)
    specks = _specks(same)
    pending = np.where(even, size, 0)
    for _ in range(_ROUNDS):
        labels, count = ndimage.label(pending)
        if not count:
            break
        areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        share = _share_beyond(same, labels, count)
        strewn = _at_edges(specks, labels, count)
        rate = np.minimum(-np.log(share), np.where(strewn < _SPECKS, np.inf, strewn / areas))
        needed = np.ceil((math.log(pixels) + _SURE) / rate)
        places, smaller = ndimage.find_objects(labels), np.zeros_like(pending)
        for number in np.flatnonzero(areas >= needed):
            where = places[number]
            own = labels[where] == number + 1
            if needed[number] <= pending[where][own].min():
                found[where] |= own
                alien[where] |= own & (share[number] < _ALIEN)
            else:
                size = int(needed[number])
                smaller[where] = np.where(_large(own, size), size, smaller[where])
        pending = smaller
    if not found.any():
        return None
    grown = ndimage.binary_propagation(alien, np.ones((3, 3)), same) if alien.any() else alien
    return np.asarray(found | grown)


def _specks(same: Mask) -> Mask:
    """Single pixels of another value that are strewn in."""
    around = ndimage.convolve(same.astype(np.uint8), np.ones((3, 3), np.uint8), mode='nearest')
    return np.asarray(~same & (around >= _ROUND_A_SPECK))


def _at_edges(specks: Mask, labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """How many specks touch each of the labelled places."""
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
    """Where pixels lie that have a neighbour there, and where these neighbours lie."""
    pairs = {0: (slice(None), slice(None)), 1: (slice(-1), slice(1, None))}
    pairs[-1] = pairs[1][::-1]
    both = pairs[down], pairs[right]
    return tuple(pair[0] for pair in both), tuple(pair[1] for pair in both)


def _large(place: Mask, area: int) -> Mask:
    """The part of a place that squares, rows and columns of so many pixels cover."""
    side = max(_SIDE, math.ceil(area**0.5))
    found = np.zeros(place.shape, bool)
    for rows, columns in ((side, side), (1, max(_LEAST, area)), (max(_LEAST, area), 1)):
        if rows <= place.shape[0] and columns <= place.shape[1]:
            starts = _all(_all(place, rows, 0), columns, 1)
            found |= _covered(_covered(starts, rows, 0), columns, 1)
    return found


def _all(mask: Mask, count: int, axis: int) -> Mask:
    """Whether a pixel and those after it along an axis, ``count`` together, all are."""
    have, found = 1, np.moveaxis(mask, axis, 0)
    while have < count and len(found):
        step = min(have, count - have)
        found = found[:-step] & found[step:]
        have += step
    return np.moveaxis(found, 0, axis)


def _covered(starts: Mask, count: int, axis: int) -> Mask:
    """The pixels of all windows of ``count`` pixels along an axis that begin at ``starts``."""
    gaps = [(0, 0), (0, 0)]
    gaps[axis] = (count - 1, count - 1)
    return ~_all(~np.pad(starts, gaps), count, axis)


def marked(plane: NDArray[np.generic]) -> NDArray[np.float64]:
    """A plane (Y, X) in double precision, NaN where it is blank."""
    none = blank(plane)
    values = plane.astype(np.float64)
    return values if none is None else np.where(none, np.nan, values)
