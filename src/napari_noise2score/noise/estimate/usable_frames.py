"""Values of an image from which its noise can be estimated: not blank, and within the range."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.estimate.intensity_unit import IntensityUnit
from napari_noise2score.noise.estimate.outliers import away_from
from napari_noise2score.noise.photon_transfer import PhotonTransferLine

Array = NDArray[np.float64]

_FEWEST = 20
"""Minimum number of values at an end of the range that may be clipped there."""
_NEAR_THE_END = 0.02
"""Width of the neighbourhood of an end, relative to the range: with as many values there as at the
end itself, values are not clipped."""
_ENOUGH = 0.02
"""Minimum share of the pixels to estimate the noise, if the others are clipped."""
_SIGNIFICANT = 2.0


class UsableFrames(Sequence[Array]):
    """Frames of a field, (Y, X) float64 each, in a unit of intensity; NaN where there is no image.

    A frame is converted each time it is read.

    Parameters
    ----------
    stack : (T, Y, X) array
        Grey levels, any real dtype.
    numbers : sequence of int
        Numbers of its frames that are used.
    unit : IntensityUnit
        The unit.
    blanks : sequence of (Y, X) bool or None
        Their blank places, from `blank`.
    lowest : float, optional
        A clipped value in the unit, which does not count as image.
    """

    def __init__(
        self,
        stack: NDArray[Any],
        numbers: Sequence[int],
        unit: IntensityUnit,
        blanks: Sequence[NDArray[np.bool_] | None],
        lowest: float | None = None,
    ) -> None:
        self._stack, self._numbers, self._unit, self._lowest = stack, numbers, unit, lowest
        self._blanks = blanks
        self.shape = (stack.shape[1], stack.shape[2])

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: slice) -> list[Array]: ...

    def __getitem__(self, index: int | slice) -> Array | list[Array]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        raw = self._stack[self._numbers[index]]
        none, values = self._blanks[index], self._unit.within(raw)
        if none is not None:
            values = np.where(none, np.nan, values)
        return values if self._lowest is None else _without(values, self._lowest)

    def without(self, lowest: float) -> UsableFrames:
        """The same frames without the value at which many pixels are clipped."""
        return UsableFrames(self._stack, self._numbers, self._unit, self._blanks, lowest)


def _without(values: Array, lowest: float) -> Array:
    return np.where(values == lowest, np.nan, values)


class ValueRange:
    """Smallest and largest value of some frames, and the number of values there.

    Parameters
    ----------
    frames : iterable of (Y, X) float64
        Frames; NaN does not count. They are read twice.
    last : float
        The largest possible value.
    """

    def __init__(self, frames: Iterable[Array], last: float) -> None:
        every = list(frames)
        self.bottom = min(float(np.nanmin(frame)) for frame in every)
        self.top = max(float(np.nanmax(frame)) for frame in every)
        self._last = last
        self.count = sum(int(np.isfinite(frame).sum()) for frame in every)
        self.at_top = sum(int((frame == self.top).sum()) for frame in every)
        self.at_bottom = sum(int((frame == self.bottom).sum()) for frame in every)
        # at least up to the next value: with few photons there are few different values, far apart
        below = max(_largest(frame, self.bottom, frame < self.top) for frame in every)
        above = -max(_largest(-frame, -self.top, frame > self.bottom) for frame in every)
        near = _NEAR_THE_END * (self.top - self.bottom)
        upper, lower = min(self.top - near, below), max(self.bottom + near, above)
        self._binary = below == self.bottom  # binary frames are not clipped
        self._below = sum(int(((f >= upper) & (f < self.top)).sum()) for f in every)
        self._above = sum(int(((f <= lower) & (f > self.bottom)).sum()) for f in every)

    @property
    def rail(self) -> tuple[float, float]:
        """Value at which the detector clips (``inf`` if it does not), and the share there."""
        piled = self.at_top > max(_FEWEST, self._below) and not self._binary
        if piled or self.top == self._last:
            return self.top, self.at_top / self.count
        return float('inf'), 0.0

    @property
    def may_be_clipped_below(self) -> bool:
        """Whether there are so many values at the lower end that they may be clipped there."""
        return self.at_bottom > max(_FEWEST, self._above) and not self._binary


def _largest(frame: Array, least: float, where: NDArray[np.bool_]) -> float:
    return float(np.max(frame, where=where, initial=least))


def enough_pixels(frames: Iterable[Array]) -> bool:
    """Whether there are enough pixels away from blank places to estimate the noise."""
    left = total = 0
    for frame in frames:
        left += int(away_from(np.isnan(frame)).sum())
        total += frame.size
    return left > _ENOUGH * total


def is_clipped_below(whole: PhotonTransferLine, lit: PhotonTransferLine, bottom: float) -> bool:
    """Whether values below the lowest one were clipped, from the noise of brighter places.

    In this case the line of the brighter places is zero below the lowest value, and has a smaller
    slope than the line of all places, which is zero at the lowest value.

    Parameters
    ----------
    whole, lit : PhotonTransferLine
        Noise of all places, and of those away from the lowest value.
    bottom : float
        The lowest value.
    """
    if not (whole.rises and lit.rises):
        return False
    goes_on = bottom - lit.zero > lit.slope + _SIGNIFICANT * lit.zero_error
    return goes_on and whole.slope - lit.slope > _SIGNIFICANT * lit.slope_error
