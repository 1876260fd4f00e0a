"""A unit of intensity in which an estimate can compute: near 0, with steps near 1.

Grey levels may be heights in metres, or counts upon an offset of 2^31. A sum of their squares is
then far from 1, or loses the noise in the rounding. So an offset is taken off first, exactly, and
what is left is scaled by a power of two; what was found is brought back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.pairs import FramePair
from napari_noise2score.noise.photon_transfer import PhotonTransfer, PhotonTransferLine

Array = NDArray[np.float64]

_EXACT = 1 << 53
"""Whole numbers up to this are exact in double precision."""
_STEPS = 8
"""Binary logarithm of the range of the values in the unit."""


@dataclass(frozen=True, slots=True)
class IntensityUnit:
    """``y = base + step v`` for a value ``v`` in the unit.

    Attributes
    ----------
    base : int or float
        Grey level that becomes 0; a whole number for whole numbers.
    step : float
        Grey levels of one, a power of two.
    """

    base: int | float = 0
    step: float = 1.0

    @classmethod
    def of(cls, stacks: Sequence[NDArray[Any]]) -> IntensityUnit:
        """The unit for these arrays of one kind, each with a number in it."""
        finite = [s if s.dtype.kind != 'f' else s[np.isfinite(s)] for s in stacks]
        low = min(_number(values.min()) for values in finite)
        high = max(_number(values.max()) for values in finite)
        spread = float(high - low)
        if not spread > 0:
            return cls(low)
        return cls(low, 2.0 ** (math.frexp(spread)[1] - _STEPS))

    def within(self, values: NDArray[Any]) -> Array:
        """Grey levels of any real dtype in the unit, float64."""
        if values.dtype.kind in 'iu' and isinstance(self.base, int):
            # exact also where a float64 is not: differences modulo 2^64 are those of the numbers
            above = values.astype(np.uint64) - np.uint64(self.base % (1 << 64))
            return np.asarray(above.astype(np.float64) / self.step)
        return np.asarray((values.astype(np.float64) - self.base) / self.step)

    def last(self, dtype: np.dtype[Any]) -> float:
        """The largest whole number of a dtype in the unit; infinite for a floating one."""
        if dtype.kind not in 'iu':
            return float('inf')
        return float(np.iinfo(dtype).max - self.base) / self.step

    def line(self, fitted: PhotonTransferLine) -> PhotonTransferLine:
        """A photon-transfer line in grey levels."""
        offset = float(self.base) + fitted.offset * self.step if fitted.rises else 0.0
        return PhotonTransferLine(
            fitted.slope * self.step,
            offset,
            fitted.read_noise * self.step,
            fitted.slope_error * self.step,
            fitted.offset_error * self.step,
            fitted.read_noise_error * self.step,
        )

    def pair(self, found: FramePair) -> FramePair:
        """Two frames, and what changed between them in grey levels."""
        if found.alike:
            return found
        offset = float(self.base) * (1 - found.light) + found.offset * self.step
        return replace(found, offset=offset)

    def evidence(self, found: PhotonTransfer) -> PhotonTransfer:
        """What was measured, in grey levels."""
        by = self.step
        disturbances = found.disturbances
        return replace(
            found,
            level=float(self.base) + found.level * by,
            variance=found.variance * by**2,
            third=found.third * by**3,
            rows=found.rows.scaled(by),
            disturbances=replace(disturbances, offset_range=disturbances.offset_range * by),
        )


def _number(value: Any) -> int | float:
    return int(value) if isinstance(value, np.integer) else float(value)


def lost_in_double(dtype: np.dtype[Any], most: float) -> float:
    """Step of double precision at numbers up to ``most``; 0 if those of a dtype are exact."""
    return float(np.spacing(most)) if dtype.kind in 'iu' and most > _EXACT else 0.0
