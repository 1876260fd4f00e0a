"""Numbers as text."""

from __future__ import annotations

import math

_MOST = 17
"""Number of significant digits of double precision."""


def digits(value: float, step: float = 0.0, least: int = 4) -> str:
    """A number with ``least`` significant digits, and more where ``step`` would not be visible.

    An offset of 2147483748 with a noise of 5 is not ``2.147e+09``.

    Parameters
    ----------
    value : float
        The number.
    step : float
        Difference that must be visible, in the unit of the number; 0 if ``least`` digits are
        enough.
    least : int
        Significant digits.
    """
    count = least
    if step > 0 and value and math.isfinite(value):
        count = max(least, 1 + math.ceil(math.log10(abs(value)) - math.log10(step)))
    return f'{value:.{min(count, _MOST)}g}'


def counted(number: int, one: str, several: str = '') -> str:
    """A number with its noun, such as ``4 frames``; ``several`` where not only an s is added."""
    return f'{number} {one if number == 1 else several or one + "s"}'


def percent(share: float) -> str:
    """A share as a whole percentage; 0 % if it is negative."""
    return f'{100 * max(0.0, share):.0f} %'
