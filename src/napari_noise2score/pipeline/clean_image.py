"""A clean image whose planes are computed when they are read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_noise2score.images.indexing import places_of
from napari_noise2score.pipeline.correct import ImageCorrection
from napari_noise2score.pipeline.results import Corrected

_CACHE_BYTES = 1 << 27
"""Maximum size of the cache of planes, bytes. A plane that is read in parts is computed once."""


class CleanImage:
    """A clean image as an array-like: nothing is computed before it is indexed.

    When a part of a plane is read, the whole plane is computed, by one thread at a time. On a CPU
    its values are identical to those of an image that is corrected at once.

    Parameters
    ----------
    correction : ImageCorrection
        The correction of the image.

    Attributes
    ----------
    axes : str
        One letter of ``TCZYXS`` for each axis.
    shape : tuple of int
        Shape of the noisy image.
    dtype : dtype
        Data type of the clean values.
    """

    def __init__(self, correction: ImageCorrection) -> None:
        self._correction = correction
        self._planes: OrderedDict[tuple[int, int], NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self.axes = correction.source.axes
        self.shape = correction.shape
        self.dtype = correction.dtype
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Clean values at an index of whole numbers, slices and ``...``."""
        wanted, single = places_of(index, self.shape)
        clean = np.empty([len(at) for at in wanted], self.dtype)
        others = [axis for axis, letter in enumerate(self.axes) if letter not in 'YX']
        rows, columns = (wanted[self.axes.index(letter)] for letter in 'YX')
        for places in product(*(range(len(wanted[axis])) for axis in others)):
            position = {
                self.axes[axis]: wanted[axis][place]
                for axis, place in zip(others, places, strict=True)
            }
            values = self._plane(position)[np.ix_(rows, columns)]
            if self.axes.index('Y') > self.axes.index('X'):
                values = values.T
            there: list[int | slice] = [slice(None)] * self.ndim
            for axis, place in zip(others, places, strict=True):
                there[axis] = place
            clean[tuple(there)] = values
        return clean[tuple(0 if axis in single else slice(None) for axis in range(self.ndim))]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        values = self[...]
        return values if dtype is None else values.astype(dtype, copy=False)

    def corrected(self) -> Corrected:
        """The image with its checks; they cover the planes that were read so far."""
        with self._lock:
            return self._correction.result(self)

    def new_checks(self) -> list[Any]:
        """Checks of the planes that were computed since the last call, as lists and numbers."""
        with self._lock:
            return self._correction.new_checks()

    def take_checks(self, checks: Sequence[Any]) -> None:
        """Take over checks that `new_checks` gave in an earlier run."""
        with self._lock:
            self._correction.take_checks(checks)

    def _plane(self, position: dict[str, int]) -> NDArray[Any]:
        """The plane (Y, X) at a position on the other axes."""
        for number, channel in enumerate(self._correction.channels):
            index = channel.plane_at(position)
            if index is not None:
                return self._computed(number, index)
        raise IndexError(f'no plane at {position}')  # each position is in one of the channels

    def _computed(self, number: int, index: int) -> NDArray[Any]:
        with self._lock:
            values = self._planes.get((number, index))
            if values is None:
                values = self._correction.plane(number, index)
                self._planes[number, index] = values
                self._bytes += values.nbytes
                while self._bytes > _CACHE_BYTES and len(self._planes) > 1:
                    self._bytes -= self._planes.popitem(last=False)[1].nbytes
            else:
                self._planes.move_to_end((number, index))
        return values
