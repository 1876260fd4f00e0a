"""An image as channels of planes that are read one at a time.

Works over anything with ``shape``, ``dtype`` and slicing: NumPy, dask, zarr, memory maps, torch.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.axes import CHANNEL, check_axes, place_words
from napari_noise2score.images.blocks import Window, blocks_of
from napari_noise2score.images.region import WHOLE, Part, Region
from napari_noise2score.noise.arrays import as_numpy, readable

_CHECKED_BYTES = 1 << 26


@dataclass(frozen=True, slots=True, eq=False)
class ImageSource:
    """An image with named axes.

    Parameters
    ----------
    data : array-like
        Real numbers (booleans count as 0 and 1), any number of axes.
    axes : str
        One letter of ``TCZYXS`` for each axis.
    name : str
        Name for messages and reports.
    region : Region
        Region of the larger image that this is; `WHOLE` if it is not a part.

    Raises
    ------
    InputError
        If axes and shape do not match, or the values are not real numbers.
    """

    data: Any
    axes: str
    name: str = 'image'
    region: Region = WHOLE

    def __post_init__(self) -> None:
        object.__setattr__(self, 'data', readable(self.data, self.name))
        object.__setattr__(self, 'axes', check_axes(self.axes, self.data.shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return tuple(int(side) for side in self.data.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def channels(self, separate: str = '') -> list[Channel]:
        """The channels, in the order of the array; one if there is no channel axis.

        Axes in ``separate``, such as ``'T'``, are treated as channel axes too.
        """
        axes = [letter for letter in self.axes if letter in CHANNEL + separate]
        places = product(*(range(self.shape[self.axes.index(letter)]) for letter in axes))
        return [Channel(self, dict(zip(axes, place, strict=True))) for place in places]

    @property
    def frame(self) -> tuple[int, int]:
        """Numbers of rows and columns of the whole image, of which this may be a region."""
        whole = self.data.whole if isinstance(self.data, Part) else self.shape
        rows, columns = (int(whole[self.axes.index(letter)]) for letter in 'YX')
        return rows, columns

    @property
    def rows_and_columns(self) -> tuple[slice, slice]:
        """Rows and columns of the whole image that this image shows."""
        rows, columns = (slice(*self.region.ranges.get(letter, (None,))) for letter in 'YX')
        return rows, columns

    def part(self, region: Region) -> ImageSource:
        """A part of the image, with the same axes; nothing is read or copied.

        Raises
        ------
        InputError
            If the region is not inside the image.
        """
        if not region.ranges:
            return self
        slices = region.slices(self.axes, self.shape, self.name)
        return ImageSource(Part(self.data, slices), self.axes, self.name, region)

    def checksum(self) -> int:
        """CRC-32 of the grey levels; of evenly spaced planes if the image is large."""
        checksum = 0
        for channel in self.channels():
            count, rows, columns = channel.shape
            size = max(1, rows * columns * np.dtype(self.data.dtype).itemsize)
            step = max(1, count * size // _CHECKED_BYTES)
            for plane in range(0, count, step):
                for strip in channel.strips(plane):
                    checksum = zlib.crc32(strip.tobytes(), checksum)
        return checksum

    def read(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        """A part of the data as a NumPy array, with the axes in the order of the data."""
        return as_numpy(self.data[index])


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One channel of an image: (N, Y, X) planes; N counts over T and Z.

    Attributes
    ----------
    source : ImageSource
        The image.
    place : dict
        Position on the channel axes, by letter.
    """

    source: ImageSource
    place: dict[str, int]

    @property
    def words(self) -> str:
        """Position of the channel, such as ``C 1``; empty if the image has no other channels."""
        return place_words(self.place)

    @property
    def name(self) -> str:
        """Name of the image and position of the channel, for messages."""
        return f'{self.source.name} ({self.words})' if self.place else self.source.name

    def _others(self) -> list[str]:
        """Axes that N counts over; the last one, T, changes fastest."""
        letters = [a for a in self.source.axes if a not in 'YX' and a not in self.place]
        return sorted(letters, key=lambda letter: letter == 'T')

    def _lengths(self) -> list[int]:
        return [self.source.shape[self.source.axes.index(a)] for a in self._others()]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, Y, X)."""
        rows, columns = (self.source.shape[self.source.axes.index(a)] for a in 'YX')
        return int(np.prod(self._lengths(), dtype=int)), rows, columns

    @property
    def frames(self) -> int:
        """Number of consecutive planes in time (1 without a T axis)."""
        return self._lengths()[-1] if 'T' in self._others() else 1

    def plane_at(self, position: Mapping[str, int]) -> int | None:
        """Number of the plane at a position on the axes; None if the position is in another
        channel.

        Axes without a ``position`` are at that of this channel, or at 0.
        """
        if any(position.get(letter, index) != index for letter, index in self.place.items()):
            return None
        number = 0
        for letter, length in zip(self._others(), self._lengths(), strict=True):
            number = number * length + min(max(position.get(letter, 0), 0), length - 1)
        return number

    def series(self, plane: int, axis: str) -> range:
        """Numbers of the planes along an axis that have the same position on the others."""
        letters, lengths = self._others(), self._lengths()
        if axis not in letters:
            return range(plane, plane + 1)
        number = letters.index(axis)
        apart, length = math.prod(lengths[number + 1 :]), lengths[number]
        first = plane - plane // apart % length * apart
        return range(first, first + length * apart, apart)

    def position(self, plane: int) -> dict[str, int]:
        """Position of a plane on the axes T, Z and so on, by letter."""
        lengths = self._lengths()
        place = np.unravel_index(plane, lengths) if lengths else ()
        return {a: int(i) for a, i in zip(self._others(), place, strict=True)}

    def index(self, plane: int) -> tuple[int | slice, ...]:
        """Index of a plane in the data."""
        where = {**self.place, **self.position(plane)}
        return tuple(where.get(a, slice(None)) for a in self.source.axes)

    def plane(self, plane: int) -> NDArray[np.float64]:
        """Plane number ``plane``, (Y, X) float64, grey levels.

        In double precision, because an offset may be much larger than the noise.
        """
        return self.raw_plane(plane).astype(np.float64)

    def raw_plane(self, plane: int) -> NDArray[Any]:
        """Plane number ``plane``, (Y, X), in the dtype of the data; booleans as 0 and 1."""
        values = self.source.read(self.index(plane))
        return values if self.source.axes.index('Y') < self.source.axes.index('X') else values.T

    def window(self, plane: int, window: Window) -> NDArray[Any]:
        """A window of plane number ``plane``, (Y, X), in the dtype of the data."""
        return Channel(self.source.part(Region(window.ranges)), self.place).raw_plane(plane)

    def strips(self, plane: int) -> Iterator[NDArray[Any]]:
        """The rows of plane number ``plane``, (Y, X): those of a large plane some at a time."""
        every = slice(0, self.shape[2])
        for rows in dict.fromkeys((at.rows.start, at.rows.stop) for at in blocks_of(self.shape)):
            yield self.window(plane, Window(slice(*rows), every))

    def write(self, plane: int, values: NDArray[Any], into: NDArray[Any]) -> None:
        """Write (Y, X) ``values`` to the place of plane number ``plane`` in an array like the
        data.
        """
        index, oriented = self.laid(plane, values)
        into[index] = oriented

    def laid(
        self, plane: int, values: NDArray[Any], window: Region = WHOLE
    ) -> tuple[tuple[int | slice, ...], NDArray[Any]]:
        """Index of plane number ``plane`` in the data, and its (Y, X) ``values`` in the order of
        the data.

        The values are those of a ``window`` of its rows and columns.
        """
        upright = self.source.axes.index('Y') < self.source.axes.index('X')
        index = tuple(
            slice(*window.ranges[letter]) if letter in window.ranges else at
            for letter, at in zip(self.source.axes, self.index(plane), strict=True)
        )
        return index, values if upright else values.T
