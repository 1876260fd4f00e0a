"""Where the planes of a channel hold no noise, and how that is said."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.source import Channel
from napari_noise2score.noise.blank import blank
from napari_noise2score.noise.digits import digits

Mask = NDArray[np.bool_]

_KEPT_BYTES = 1 << 27
_LISTED, _VALUES = 12, 3
"""Planes, and values, that are named one by one."""


class BlankPlaces:
    """Blank places of planes that are looked at more than once."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, NDArray[np.uint8] | None] = OrderedDict()
        self._bytes = 0

    def of(self, index: int, raw: NDArray[Any]) -> Mask | None:
        """Where plane number ``index``, (Y, X), is blank; None if nowhere."""
        if index not in self._known:
            found = blank(raw)
            packed = None if found is None else np.packbits(found)
            self._known[index] = packed
            self._bytes += 0 if packed is None else packed.nbytes
            while self._bytes > _KEPT_BYTES:
                _, gone = self._known.popitem(last=False)
                self._bytes -= 0 if gone is None else gone.nbytes
            return found
        bits = self._known[index]
        if bits is None:
            return None
        return np.unpackbits(bits, count=raw.size).view(bool).reshape(raw.shape)


class HandedThrough:
    """What of a channel is returned as it is, gathered plane by plane.

    Parameters
    ----------
    channel : Channel
        The channel.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._planes: list[int] = []
        self._of_planes: set[float] = set()
        self._pixels = 0
        self._of_pixels: set[float] = set()

    def add(self, index: int, raw: NDArray[Any], none: Mask | None) -> None:
        """Plane number ``index``, (Y, X), and where it is blank."""
        if none is None:
            return
        if none.all():
            self._planes.append(index)
            self._of_planes |= _values(raw)
        else:
            self._pixels += int(none.sum())
            self._of_pixels |= _values(raw[none])

    @property
    def share(self) -> float:
        """Share of the pixels of the channel."""
        count, rows, columns = self._channel.shape
        return len(self._planes) / count + self._pixels / (count * rows * columns)

    def sentences(self) -> list[str]:
        """What a user should know of it."""
        where = f'{self._channel.words}: ' if self._channel.place else ''
        found = []
        if self._planes:
            one = len(self._planes) == 1
            found.append(
                f'{where}{_planes(self._channel, self._planes)} {"holds" if one else "hold"} no '
                f'noise ({_value_words(self._of_planes)}) and {"is" if one else "are"} returned '
                f'as {"it is" if one else "they are"}.'
            )
        if self._pixels:
            count, rows, columns = self._channel.shape
            share = self._pixels / ((count - len(self._planes)) * rows * columns)
            found.append(
                f'{where}{100 * share:.2g} % of the pixels hold no noise (padding, a mask: '
                f'{_value_words(self._of_pixels)}); they are returned unchanged and are not '
                'used.'
            )
        return found


def constant_words(channel: Channel) -> str:
    """A sentence for a channel of which each plane has a single value, or none."""
    what = _value_words(_values_of(channel), 'constant ({})')
    return f'{channel.words or "The image"} is {what} and is returned as it is.'


def nothing_but_constants(channels: Sequence[Channel]) -> str:
    """Why an image of nothing but such channels is refused."""
    several = len(channels) > 1
    each = ', '.join(f'{c.words}: {_value_words(_values_of(c))}' for c in channels[:_LISTED])
    one = _value_words(_values_of(channels[0]), 'constant ({})')
    what = f'constant in every channel ({each})' if several else one
    return f'no noise was found: the image is {what}; a noisy, unprocessed image is needed'


def _values_of(channel: Channel) -> set[float]:
    count = min(channel.shape[0], _VALUES + 1)
    found = (_values(channel.raw_plane(index)) for index in range(count))
    return set().union(*found)


def _values(pixels: NDArray[Any]) -> set[float]:
    """The values of some pixels; NaN stands for all that are no numbers."""
    finite = np.isfinite(pixels)
    few = np.unique(pixels[finite])[: _VALUES + 1]
    found = {float(value) for value in few}
    return found if finite.all() else found | {np.nan}


def _value_words(values: set[float], form: str = 'constant {}') -> str:
    finite = sorted(value for value in values if np.isfinite(value))
    words = []
    if finite:
        listed = ', '.join(digits(value, least=6) for value in finite[:_VALUES])
        words.append(form.format(f'{listed}{", ..." if len(finite) > _VALUES else ""}'))
    if len(finite) < len(values):
        words.append('NaN or infinite')
    return ' or '.join(words)


def _planes(channel: Channel, planes: Sequence[int]) -> str:
    """Planes by their places on the axes: ``T 2, 3``, or ``T 0 Z 1, T 0 Z 2``."""
    places = [channel.position(plane) for plane in planes[:_LISTED]]
    more = f' and {len(planes) - _LISTED} more' if len(planes) > _LISTED else ''
    letters = list(places[0])
    if not letters:
        return 'the plane'
    if len(letters) == 1:
        return f'{letters[0]} {", ".join(str(place[letters[0]]) for place in places)}{more}'
    each = (' '.join(f'{letter} {at}' for letter, at in place.items()) for place in places)
    return ', '.join(each) + more
