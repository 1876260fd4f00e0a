"""Places without noise in the planes of a channel, and their description for the user."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.blocks import Window, grid, is_large
from napari_noise2score.images.source import Channel
from napari_noise2score.noise.blank import blank, single_valued
from napari_noise2score.noise.digits import digits

Mask = NDArray[np.bool_]

_STORED_BYTES = 1 << 27
_CELL, _AROUND = 2048, 128
"""Rows and columns of a cell in which places of a large plane are detected, and the margin."""
_LISTED, _VALUES = 12, 3
"""Maximum numbers of planes, and of values, that a message lists."""


class BlankPlaces:
    """Blank places of planes, stored for repeated use.

    In a large plane they are detected cell by cell, each with a margin around it, so that a window
    of the plane has the same blank places as the whole plane.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int], NDArray[np.uint8] | None] = OrderedDict()
        self._bytes = 0

    def of(self, index: int, raw: NDArray[Any]) -> Mask | None:
        """Blank places of plane number ``index``, (Y, X); None if there are none."""
        whole = Window.whole(raw.shape)
        return self.at(index, whole, raw.shape, lambda window: raw[window])

    def at(
        self,
        index: int,
        window: Window,
        shape: Sequence[int],
        read: Callable[[Window], NDArray[Any]],
    ) -> Mask | None:
        """Blank places of a window of a plane, (Y, X); None if there are none.

        Parameters
        ----------
        index : int
            Number of the plane.
        window : Window
            Rows and columns.
        shape : (..., Y, X)
            Shape of the plane.
        read : callable
            Reads the values of a window of the plane.
        """
        mask: Mask | None = None
        cells = grid(shape, _CELL) if is_large(shape) else [Window.whole(shape)]
        for number, cell in enumerate(cells):
            part = cell.common(window)
            own = None if part is None else self._of_cell((index, number), cell, shape, read)
            if part is None or own is None:
                continue
            mask = np.zeros(window.shape, bool) if mask is None else mask
            mask[part.within(window)] = own[part.within(cell)]
        return mask if mask is not None and mask.any() else None

    def _of_cell(
        self,
        key: tuple[int, int],
        cell: Window,
        shape: Sequence[int],
        read: Callable[[Window], NDArray[Any]],
    ) -> Mask | None:
        if key not in self._known:
            near = cell.wider(_AROUND, shape)
            found = blank(read(near))
            mask = None if found is None else found[cell.within(near)]
            packed = None if mask is None else np.packbits(mask)
            self._known[key] = packed
            self._bytes += 0 if packed is None else packed.nbytes
            while self._bytes > _STORED_BYTES:
                _, gone = self._known.popitem(last=False)
                self._bytes -= 0 if gone is None else gone.nbytes
            return mask
        bits = self._known[key]
        if bits is None:
            return None
        return np.unpackbits(bits, count=math.prod(cell.shape)).view(bool).reshape(cell.shape)


class BlankPlacesOfPart(BlankPlaces):
    """Blank places of a window of planes, as they are in the whole planes.

    Parameters
    ----------
    whole : BlankPlaces
        Those of the whole planes.
    channel : Channel
        The whole planes.
    window : Window
        Rows and columns.
    """

    def __init__(self, whole: BlankPlaces, channel: Channel, window: Window) -> None:
        super().__init__()
        self._whole, self._channel, self._window = whole, channel, window

    def of(self, index: int, raw: NDArray[Any]) -> Mask | None:
        """Blank places of the window of plane number ``index``; None if there are none."""
        read = partial(self._channel.window, index)
        return self._whole.at(index, self._window, self._channel.shape, read)


class Unchanged(NamedTuple):
    """What of a plane is without noise: how many ``pixels``, whether the ``whole`` plane, and
    some of their ``values``.
    """

    whole: bool
    pixels: int
    values: tuple[float, ...]

    @classmethod
    def of(cls, raw: NDArray[Any], none: Mask | None) -> Unchanged | None:
        """Of a plane (Y, X) with its blank places; None if there are none."""
        if none is None:
            return None
        whole = bool(none.all())
        return cls(whole, int(none.sum()), tuple(_values(raw if whole else raw[none])))

    @classmethod
    def of_parts(cls, parts: Sequence[Unchanged | None]) -> Unchanged | None:
        """Of a plane whose parts are known; None if there are no blank places."""
        found = [part for part in parts if part is not None]
        if not found:
            return None
        numbers = {value for part in found for value in part.values}
        finite = sorted(value for value in numbers if np.isfinite(value))[: _VALUES + 1]
        values = [*finite, *([np.nan] if any(map(np.isnan, numbers)) else [])]
        whole = all(part is not None and part.whole for part in parts)
        return cls(whole, sum(part.pixels for part in found), tuple(values))


class UnchangedPlaces:
    """Planes and pixels of a channel that are returned unchanged, collected plane by plane.

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

    def add(self, index: int, unchanged: Unchanged | None) -> None:
        """Add what of plane number ``index`` is without noise."""
        if unchanged is None:
            return
        if unchanged.whole:
            self._planes.append(index)
            self._of_planes |= set(unchanged.values)
        else:
            self._pixels += unchanged.pixels
            self._of_pixels |= set(unchanged.values)

    @property
    def share(self) -> float:
        """Share of the pixels of the channel."""
        count, rows, columns = self._channel.shape
        return len(self._planes) / count + self._pixels / (count * rows * columns)

    def sentences(self) -> list[str]:
        """Notes for the user."""
        where = f'{self._channel.words}: ' if self._channel.place else ''
        sentences = []
        if self._planes:
            one = len(self._planes) == 1
            sentences.append(
                f'{where}{_planes(self._channel, self._planes)} {"holds" if one else "hold"} no '
                f'noise ({_value_words(self._of_planes)}) and {"is" if one else "are"} returned '
                f'as {"it is" if one else "they are"}.'
            )
        if self._pixels:
            count, rows, columns = self._channel.shape
            share = self._pixels / ((count - len(self._planes)) * rows * columns)
            sentences.append(
                f'{where}{100 * share:.2g} % of the pixels hold no noise (padding, a mask: '
                f'{_value_words(self._of_pixels)}); they are returned unchanged and are not '
                'used.'
            )
        return sentences


def constant_channel_message(channel: Channel) -> str:
    """A sentence for a channel whose planes are blank everywhere."""
    what = _nothing_words(channel)
    return f'{channel.words or "The image"} is {what} and is returned as it is.'


def constant_image_message(channels: Sequence[Channel]) -> str:
    """Error message for an image in which all channels are blank everywhere."""
    several = len(channels) > 1
    each = ', '.join(f'{c.words}: {_nothing_words(c)}' for c in channels[:_LISTED])
    what = f'without noise in every channel ({each})' if several else _nothing_words(channels[0])
    return f'no noise was detected: the image is {what}; a noisy, unprocessed image is needed'


def _nothing_words(channel: Channel) -> str:
    """What a channel without noise is: constant, or with planes of a few values, as masks are."""
    planes = (channel.raw_plane(index) for index in range(min(channel.shape[0], _VALUES + 1)))
    form = 'constant ({})' if all(map(single_valued, planes)) else 'without noise ({})'
    return _value_words(_values_of(channel), form)


def _values_of(channel: Channel) -> set[float]:
    count = min(channel.shape[0], _VALUES + 1)
    values = (_values(channel.raw_plane(index)) for index in range(count))
    return set().union(*values)


def _values(pixels: NDArray[Any]) -> set[float]:
    """The values of some pixels; NaN represents all values that are not finite."""
    finite = np.isfinite(pixels)
    few = np.unique(pixels[finite])[: _VALUES + 1]
    numbers = {float(value) for value in few}
    return numbers if finite.all() else numbers | {np.nan}


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
    """Planes by their positions on the axes: ``T 2, 3``, or ``T 0 Z 1, T 0 Z 2``."""
    places = [channel.position(plane) for plane in planes[:_LISTED]]
    more = f' and {len(planes) - _LISTED} more' if len(planes) > _LISTED else ''
    letters = list(places[0])
    if not letters:
        return 'the plane'
    if len(letters) == 1:
        return f'{letters[0]} {", ".join(str(place[letters[0]]) for place in places)}{more}'
    each = (' '.join(f'{letter} {at}' for letter, at in place.items()) for place in places)
    return ', '.join(each) + more
