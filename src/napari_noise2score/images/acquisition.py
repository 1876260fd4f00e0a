"""Acquisition metadata: pixel size, slice distance, frame interval and channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from napari_noise2score.images.region import Region

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

_METRES = {
    'pm': 1e-12,
    'Å': 1e-10,
    'nm': 1e-9,
    'µm': 1e-6,
    'mm': 1e-3,
    'cm': 1e-2,
    'm': 1.0,
    'in': 0.0254,
}
_SECONDS = {'ns': 1e-9, 'µs': 1e-6, 'ms': 1e-3, 's': 1.0, 'min': 60.0, 'h': 3600.0, 'd': 86400.0}
_WORDS = {
    'pm': ('picometer', 'picometre'),
    'Å': ('a', 'angstrom', 'ångström', 'ångstrom'),
    'nm': ('nanometer', 'nanometre', 'nano'),
    'µm': ('um', 'micron', 'micrometer', 'micrometre', 'micro'),
    'mm': ('millimeter', 'millimetre', 'milli'),
    'cm': ('centimeter', 'centimetre', 'centi'),
    'm': ('meter', 'metre'),
    'in': ('inch', 'inche', '"'),
    'ns': ('nanosecond', 'nsec'),
    'µs': ('us', 'usec', 'microsecond'),
    'ms': ('msec', 'millisecond'),
    's': ('sec', 'second'),
    'min': ('minute',),
    'h': ('hr', 'hour'),
    'd': ('day',),
    '': ('pixel', 'px', 'pix', 'voxel', 'none', 'null', 'arbitrary', 'reference frame'),
}
_SYMBOL_OF = {word: symbol for symbol, words in _WORDS.items() for word in words}


def unit_symbol(text: Any) -> str:
    """The symbol of a unit from any of its names: ``'µm'`` for um, micron, micrometers, ...

    ``''`` is returned for pixels and for no unit; an unknown unit does not change.
    """
    symbol = str(text or '').strip().replace('\\u00B5', 'µ').replace('\\u00b5', 'µ')
    symbol = symbol.replace('μ', 'µ').replace('\N{ANGSTROM SIGN}', 'Å')  # Greek mu, micro sign
    if symbol in _METRES or symbol in _SECONDS:
        return symbol
    word = symbol.lower().strip('.')
    for form in (word, word.removesuffix('s')):
        if form in _METRES or form in _SECONDS:
            return form
        if form in _SYMBOL_OF:
            return _SYMBOL_OF[form]
    return symbol


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distance between adjacent samples along an axis, or another length or time.

    Parameters
    ----------
    size : float
        Greater than 0.
    unit : str
        Symbol such as ``'µm'`` or ``'s'``; ``''`` if it is not known.
    """

    size: float
    unit: str = ''

    @classmethod
    def of(cls, size: Any, unit: Any = '') -> Spacing | None:
        """Spacing from the values of a file; None if the size is not a finite number other than
        0.
        """
        try:
            number = abs(float(size))
        except (TypeError, ValueError, OverflowError):
            return None
        return cls(number, unit_symbol(unit)) if 0 < number < math.inf else None

    def within(self, unit: str) -> float | None:
        """The size in another unit; None if the units cannot be converted."""
        if unit == self.unit:
            return self.size
        for table in (_METRES, _SECONDS):
            if unit in table and self.unit in table:
                return float(f'{self.size * table[self.unit] / table[unit]:.12g}')
        return None

    @property
    def is_length(self) -> bool:
        """Whether it has a unit of length."""
        return self.unit in _METRES

    @property
    def is_time(self) -> bool:
        """Whether it has a unit of time."""
        return self.unit in _SECONDS


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """Description of a channel.

    Parameters
    ----------
    name : str
        Name; empty if there is none.
    colour : (int, int, int) or None
        Display colour.
    emission, excitation : Spacing or None
        Wavelengths.
    """

    name: str = ''
    colour: Colour | None = None
    emission: Spacing | None = None
    excitation: Spacing | None = None


@dataclass(frozen=True, slots=True)
class Acquisition:
    """Physical sizes of an image, and its channels; empty if a file does not contain them.

    Parameters
    ----------
    spacing : mapping of str to Spacing
        By axis letter: X, Y, Z in lengths, T in times. It may contain axes that the image does not
        have, such as the thickness Z of a single slice.
    channels : tuple of ChannelInfo
        One for each position along C, or a single one for an image without C.
    """

    spacing: Mapping[str, Spacing] = field(default_factory=dict)
    channels: tuple[ChannelInfo, ...] = ()

    def part(self, region: Region) -> Acquisition:
        """Metadata of a region: sizes do not change, and channels outside of it are dropped."""
        if 'C' not in region.ranges:
            return self
        return replace(self, channels=self.channels[slice(*region.ranges['C'])])

    def renamed(self, stated: str, axes: str) -> Acquisition:
        """Metadata for other axes than those that the file ``stated``.

        The spacing of an axis follows its position in the array if the new letter is compatible.
        """
        if stated == axes or len(stated) != len(axes):
            return self
        spacing = {letter: step for letter, step in self.spacing.items() if letter not in stated}
        for old, new in zip(stated, axes, strict=True):
            step = self.spacing.get(old)
            if step is not None and (old == new or {old, new} <= set('XYZ')):
                spacing[new] = step
        same = stated.find('C') == axes.find('C')
        return Acquisition(spacing, self.channels if same else ())

    def named(self, count: int) -> tuple[ChannelInfo, ...]:
        """Descriptions of ``count`` channels; empty if nothing is known of any."""
        channels = (self.channels + (ChannelInfo(),) * count)[:count]
        return channels if any(channel != ChannelInfo() for channel in channels) else ()


NOTHING_STATED = Acquisition()
"""Acquisition of a file without metadata."""
