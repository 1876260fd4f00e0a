"""Significant isolated peaks in the spectrum of noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, special

Array = NDArray[np.float64]
Frequency = tuple[float, float]

MOST = 8
"""Maximum number of peaks that are tested."""
_CHANCE = 1e-4
"""Probability that noise alone gives a peak in an image."""
_SLOWEST = 4
"""Lowest frequency of a peak, cycles per plane: lower ones are structure or illumination."""
_AROUND, _ALONG, _CORE = 15, 31, 5
"""Sides of the squares and lines of frequencies that a peak is compared with, and of their core,
which is excluded."""
_ALONE = 1 / 3
"""Maximum power next to a peak, relative to that of the peak."""


class Peak(NamedTuple):
    """A peak of the spectrum and the power around it, which is one for white noise."""

    frequency: Frequency
    around: float


class Spectrum(NamedTuple):
    """Power (K_y, K_x) of each frequency relative to the frequencies around it."""

    ratio: Array
    around: Array
    sides: tuple[int, int]
    shape: tuple[int, int]
    fields: int

    @classmethod
    def of(cls, fields: Sequence[Array], weights: Sequence[Array]) -> Spectrum:
        """Mean over the fields; white noise has a power of 1 if the weights are correct."""
        rows, columns = fields[0].shape
        sides = fft.next_fast_len(rows, real=True), fft.next_fast_len(columns, real=True)
        down, across = (np.sin(np.pi * (np.arange(side) + 0.5) / side) for side in fields[0].shape)
        power = np.zeros((sides[0], sides[1] // 2 + 1), np.float32)
        for field, weight in zip(fields, weights, strict=True):
            total = float((down**2) @ weight @ across**2) * len(fields)
            tapered = field * weight * down[:, None] * across / total**0.5
            wave = fft.rfft2(tapered.astype(np.float32), s=sides)
            power += wave.real**2 + wave.imag**2
        around = _around(power, _shape(len(fields)))
        ratio = power / around
        slow = _SLOWEST * sides[0] // rows
        ratio[: slow + 1, : slow + 1] = ratio[-slow:, : slow + 1] = 0.0
        return cls(ratio, around, sides, (rows, columns), len(fields))

    def peak(self, refused: Sequence[Frequency], sure: float) -> Peak | None:
        """The largest peak that is significant and isolated."""
        shape = _shape(self.fields)
        chance = float(special.gammainccinv(shape, _CHANCE / self.ratio.size)) / shape
        limit = max(chance, sure / self.fields)
        ratio = self.ratio
        places = [self._place(each) for each in refused]
        for place in np.argsort(-ratio, axis=None)[: 64 * MOST]:
            row, column = divmod(int(place), ratio.shape[1])
            height = float(ratio[row, column])
            if height < limit:
                return None
            if any(self._near((row, column), each) for each in places):
                continue
            around = _square(ratio, row, column)
            around[6:11, 6:11] = 0.0
            if around.max() > max(_ALONE * height, chance * 0.75):
                places.append((row, column))
                continue
            turn = row if row <= self.sides[0] // 2 else row - self.sides[0]
            frequency = turn / self.sides[0], column / self.sides[1]
            return Peak(frequency, float(self.around[row, column]))
        return None

    def _place(self, frequency: Frequency) -> tuple[int, int]:
        row, column = (round(f * side) for f, side in zip(frequency, self.sides, strict=True))
        return row % self.sides[0], column

    def _near(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        down = abs(one[0] - other[0])
        return min(down, self.sides[0] - down) <= 2 and abs(one[1] - other[1]) <= 2


def _square(ratio: Array, row: int, column: int) -> Array:
    """The 17 x 17 places around one, of a spectrum of which one half is stored."""
    away = np.arange(-8, 9)
    rows, columns = np.meshgrid(row + away, column + away, indexing='ij')
    last = ratio.shape[1] - 1
    beyond = (columns < 0) | (columns > last)  # a place there has the opposite frequency
    columns = last - np.abs(last - np.abs(columns))
    return np.array(ratio[np.where(beyond, -rows, rows) % len(ratio), columns])


def _shape(fields: int) -> float:
    """Shape of the distribution of the mean power; differences of frames share frames."""
    return max(fields / 2, 1.0)


def _around(power: Array, shape: float) -> Array:
    """Power around each frequency: the largest of the means in a square and along two lines."""
    log = np.log(np.maximum(power, np.float32(1e-30)))
    modes = 'wrap', 'mirror'

    def mean(sides: tuple[int, int], core: tuple[int, int]) -> Array:
        outer = ndimage.uniform_filter(log, sides, mode=modes) * (sides[0] * sides[1])
        inner = ndimage.uniform_filter(log, core, mode=modes) * (core[0] * core[1])
        return np.asarray((outer - inner) / (sides[0] * sides[1] - core[0] * core[1]))

    square = mean((_AROUND, _AROUND), (_CORE, _CORE))
    down, across = mean((_ALONG, 1), (_CORE, 1)), mean((1, _ALONG), (1, _CORE))
    below = float(special.digamma(shape) - np.log(shape))  # mean of the logarithm of a power of 1
    return np.asarray(np.exp(np.maximum(np.maximum(square, down), across) - below))
