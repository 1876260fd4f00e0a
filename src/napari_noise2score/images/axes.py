"""Which axis is what: T (time), C (channel), Z (depth), Y, X (rows, columns), S (colour)."""

from __future__ import annotations

from collections.abc import Sequence

from napari_noise2score.errors import InputError

KNOWN = 'TCZYXS'
CHANNEL = 'CS'
"""Axes whose planes come from different detectors and have a noise model each."""


def check_axes(axes: str, shape: Sequence[int]) -> str:
    """``axes`` in capitals, if it names every axis of ``shape`` once and has Y and X.

    Raises
    ------
    InputError
        Saying what was got and what would be accepted.
    """
    axes = axes.upper()
    unknown = sorted(set(axes) - set(KNOWN))
    if unknown:
        raise InputError(f'axes {axes!r}: {"".join(unknown)} is unknown; use letters of {KNOWN}')
    if len(set(axes)) != len(axes):
        raise InputError(f'axes {axes!r}: a letter stands twice; each axis needs its own')
    if len(axes) != len(shape):
        raise InputError(
            f'axes {axes!r} name {len(axes)} axes; the image has {len(shape)}, '
            f'shape {tuple(shape)}; one letter for each is needed, such as {guess_axes(shape)!r}'
        )
    if not {'Y', 'X'} <= set(axes):
        raise InputError(f'axes {axes!r} lack Y or X; both are needed')
    if 0 in shape:
        raise InputError(f'image shape {tuple(shape)} is empty; at least one pixel is needed')
    return axes


def guess_axes(shape: Sequence[int], rgb: bool = False) -> str:
    """A likely reading of a shape, to be confirmed by the user: ``YX``, ``TYX``, ``TZYX``, ..."""
    tail = 'YXS' if rgb else 'YX'
    leading = max(0, len(shape) - len(tail))
    return ('TCZ'[-leading:] if leading > 2 else ('', 'T', 'TZ')[leading]) + tail
