"""A clean image whose planes are computed when they are read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.blocks import Window
from napari_noise2score.images.indexing import IndexedArray, places_of, without
from napari_noise2score.memory import keeping_freed
from napari_noise2score.pipeline.correct import ImageCorrection
from napari_noise2score.pipeline.results import Corrected
from napari_noise2score.progress import finish, relay
from napari_noise2score.score.predict import PredictProgress

_CACHE_BYTES = 1 << 27
"""Maximum size of the cache of planes, bytes. A plane that is read in parts is computed once."""

_ESTIMATING = 0.95
"""Share of the work on a large plane that its estimation is."""


class CleanImage(IndexedArray):
    """A clean image as an array-like: nothing is computed before it is indexed.

    When a part of a plane is read, the whole plane is computed, by one thread at a time. On a CPU
    its values are identical to those of an image that is corrected at once. A large plane is
    computed block by block, and its estimate is in files; the sum over all of its pixels is
    rounded in another way.

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
        super().__init__(correction.shape, correction.dtype)
        self._correction = correction
        self.axes = correction.source.axes
        self._begin()

    def _begin(self) -> None:
        self._planes: OrderedDict[tuple[int, int], NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """All but the planes that are kept: another process computes its own."""
        own = ('_planes', '_bytes', '_lock')
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()

    @property
    def correction(self) -> ImageCorrection:
        """The correction of the image."""
        return self._correction

    def values_at(self, wanted: Sequence[range]) -> NDArray[Any]:
        """Clean values at places along every axis."""
        with keeping_freed():
            return finish(self._steps(wanted))

    def read_steps(self, index: Any) -> Generator[float, None, NDArray[Any]]:
        """Clean values at ``index``; yields the completed share, plane by plane and tile by tile.

        No other thread can read the image between its steps.
        """
        wanted, single = places_of(index, self.shape)
        return without((yield from self._steps(wanted)), single)

    def done(self, read: float) -> float:
        """Share of the work that is done when a share of the values was ``read``.

        Most of the work on a large plane is done when its first values are read.
        """
        estimated = self._correction.estimated
        return read if estimated is None else _ESTIMATING * estimated + (1 - _ESTIMATING) * read

    def _steps(self, wanted: Sequence[range]) -> Generator[float, None, NDArray[Any]]:
        clean = np.empty([len(at) for at in wanted], self.dtype)
        others = [axis for axis, letter in enumerate(self.axes) if letter not in 'YX']
        rows, columns = (wanted[self.axes.index(letter)] for letter in 'YX')
        every = list(product(*(range(len(wanted[axis])) for axis in others)))
        for done, places in enumerate(every):
            position = {
                self.axes[axis]: wanted[axis][place]
                for axis, place in zip(others, places, strict=True)
            }
            values = yield from self._values(position, rows, columns, (done, len(every)))
            if self.axes.index('Y') > self.axes.index('X'):
                values = values.T
            there: list[int | slice] = [slice(None)] * self.ndim
            for axis, place in zip(others, places, strict=True):
                there[axis] = place
            clean[tuple(there)] = values
            yield (done + 1) / len(every)
        return clean

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

    def _values(
        self, position: dict[str, int], rows: range, columns: range, which: tuple[int, int]
    ) -> Generator[float, None, NDArray[Any]]:
        """Values (Y, X) of a plane, ``which`` of several, at a position on the other axes."""

        def of_all(tile: PredictProgress) -> float:
            return (which[0] + tile.fraction) / which[1]

        if not (rows and columns):
            return np.empty((len(rows), len(columns)), self.dtype)
        number, index = self._correction.place_of(position)
        if not self._correction.in_blocks(number):
            plane = yield from relay(self._computed(number, index), of_all)
            return plane[np.ix_(rows, columns)]
        window = Window(*(slice(min(at), max(at) + 1) for at in (rows, columns)))
        values = yield from relay(self._window(number, index, window), of_all)
        places = (
            np.array(at) - least.start for at, least in zip((rows, columns), window, strict=True)
        )
        return values[np.ix_(*places)]

    def _window(
        self, number: int, index: int, window: Window
    ) -> Generator[PredictProgress, None, NDArray[Any]]:
        with self._lock:
            return (yield from self._correction.window_steps(number, index, window))

    def _computed(self, number: int, index: int) -> Generator[PredictProgress, None, NDArray[Any]]:
        with self._lock:
            values = self._planes.get((number, index))
            if values is None:
                values = yield from self._correction.plane_steps(number, index)
                self._planes[number, index] = values
                self._bytes += values.nbytes
                while self._bytes > _CACHE_BYTES and len(self._planes) > 1:
                    self._bytes -= self._planes.popitem(last=False)[1].nbytes
            else:
                self._planes.move_to_end((number, index))
        return values
