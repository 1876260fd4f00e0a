"""Letters of axes: T (time), C (channel), Z (depth), Y, X (rows, columns), S (colour)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from napari_noise2score.errors import InputError

MAIN = 'TCZYXS'
FURTHER = 'PRMAVEHLJK'
"""Axes without an order in time or depth: positions, tiles, mosaics, angles, views, ..."""
KNOWN = MAIN + FURTHER
_USUAL = FURTHER[::-1] + 'TCZ'
"""Usual order of the axes before Y and X."""
_COLOURS = 3, 4
"""Lengths of an axis of colours, without and with alpha."""
CHANNEL = 'CS'
"""Axes whose planes come from different detectors, with a noise model for each."""


def check_axes(axes: str, shape: Sequence[int]) -> str:
    """``axes`` in capital letters, checked: one letter for every axis of ``shape``, with Y and X.

    Raises
    ------
    InputError
        If they are not valid, with the accepted letters.
    """
    axes = axes.upper()
    unknown = sorted(set(axes) - set(KNOWN))
    if unknown:
        raise InputError(
            f'axes {axes!r}: {"".join(unknown)} is unknown; use letters of {MAIN}, and of '
            f'{FURTHER} for positions and the like'
        )
    if len(set(axes)) != len(axes):
        raise InputError(f'axes {axes!r}: a letter is repeated; each axis needs its own letter')
    if len(axes) != len(shape):
        raise InputError(
            f'axes {axes!r} name {len(axes)} axes; the image has {len(shape)}, '
            f'shape {tuple(shape)}; {_such_as(shape)}'
        )
    if not {'Y', 'X'} <= set(axes):
        raise InputError(f'axes {axes!r} lack Y or X; both are needed')
    if 0 in shape:
        raise InputError(f'image shape {tuple(shape)} is empty; at least one pixel is needed')
    return axes


def overruled(given: str, stated: str) -> tuple[str, ...]:
    """A note if the given axes are others than those that a file states; empty if not.

    A file whose letters are not all known, or whose colours do not come last, states none: these
    are guesses of the program that wrote or read it.
    """
    known = set(stated) <= set(KNOWN) and 'S' not in stated[:-1]
    if not known or given == stated:
        return ()
    return (f'the file says that its axes are {stated}; they are read as {given}, as given',)


def guess_axes(shape: Sequence[int], rgb: bool = False) -> str:
    """Likely axes for a shape, to be confirmed by the user: ``YX``, ``TYX``, ``TZYX``, ...

    One letter for each axis while there are letters left; P for positions follows T, Z and C.
    """
    tail = 'YXS' if rgb else 'YX'
    return complete_axes('?' * (len(shape) - len(tail)) + tail)


def suggested_axes(shape: Sequence[int], stated: str = '') -> str:
    """Likely axes for a message: ``YXS`` where the last axis has the length of colours, 3 or 4.

    Parameters
    ----------
    shape : sequence of int
        Lengths of the axes.
    stated : str
        A letter for each axis, as of `complete_axes`; empty if nothing is stated.
    """
    colours = len(shape) > 2 and shape[-1] in _COLOURS and 'S' not in stated
    return complete_axes(stated) if stated and not colours else guess_axes(shape, colours)


def complete_axes(stated: str) -> str:
    """Axes with a likely letter for each one that is not known.

    Parameters
    ----------
    stated : str
        A letter for each axis; letters that are not in `KNOWN`, or are repeated, count as not
        known.
    """
    known = [a if a in KNOWN and stated.count(a) == 1 else '' for a in stated]
    missing = [place for place, letter in enumerate(known) if not letter]
    for letter in 'XY':
        if letter not in known and missing:
            known[missing.pop()] = letter
    likely = [letter for letter in 'TZC' + FURTHER if letter not in known][: len(missing)]
    for place, letter in zip(missing, sorted(likely, key=_USUAL.index), strict=False):
        known[place] = letter
    return ''.join(known)


def _such_as(shape: Sequence[int]) -> str:
    likely = suggested_axes(shape)
    if len(likely) == len(shape):
        return f'one letter for each is needed, such as {likely!r}'
    return 'there are not enough letters for so many axes: use one position at a time'


def plane_words(axis: str) -> tuple[str, str]:
    """What a plane along ``T`` or ``Z`` is called, and what several are."""
    return ('frame', 'frames') if axis == 'T' else ('slice', 'slices')


def place_words(place: Mapping[str, int]) -> str:
    """A position on axes, such as ``C 1, T 0``; empty if there is no other position."""
    return ', '.join(f'{letter} {index}' for letter, index in place.items())
