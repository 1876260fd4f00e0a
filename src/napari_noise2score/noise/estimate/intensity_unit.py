"""A unit of intensity for accurate computations: values near 0, with steps near 1.

Grey levels may be heights in metres, or counts with an offset of 2^31. A sum of their squares is
then far from 1, or loses the noise in the rounding. So an offset is subtracted first, exactly, and
the difference is scaled by a power of two. Results are converted back.
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
"""Integers up to this are exact in double precision."""
_STEPS = 8
"""Binary logarithm of the range of the values in the unit."""


@dataclass(frozen=True, slots=True)
class IntensityUnit:
    """``y = base + step v`` for a value ``v`` in the unit.

    Attributes
    ----------
    base : int or float
        Grey level that becomes 0; an integer for integer data.
    step : float
        Grey levels per unit, a power of two.
    """

    base: int | float = 0
    step: float = 1.0

    @classmethod
    def of(cls, stacks: Sequence[NDArray[Any]]) -> IntensityUnit:
        """The unit for arrays of one dtype, each with at least one finite value."""
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
            # exact also for numbers that float64 cannot represent: differences are computed modulo
            # 2^64
            above = values.astype(np.uint64) - np.uint64(self.base % (1 << 64))
            return np.asarray(above.astype(np.float64) / self.step)
        return np.asarray((values.astype(np.float64) - self.base) / self.step)

    def last(self, dtype: np.dtype[Any]) -> float:
        """The largest value of an integer dtype in the unit; infinite for a floating-point
        dtype.
        """
        if dtype.kind not in 'iu':
            return float('inf')
        return float(np.iinfo(dtype).max - self.base) / self.step

    def line(self, fitted: PhotonTransferLine) -> PhotonTransferLine:
        """A photon-transfer line, converted to grey levels."""
        offset = float(self.base) + fitted.offset * self.step if fitted.rises else 0.0
        return PhotonTransferLine(
            fitted.slope * self.step,
            offset,
            fitted.read_noise * self.step,
            fitted.slope_error * self.step,
            fitted.offset_error * self.step,
            fitted.read_noise_error * self.step,
            fitted.zero_error * self.step,
        )

    def pair(self, pair: FramePair) -> FramePair:
        """A pair of frames, converted to grey levels."""
        if pair.same_light:
            return pair
        offset = float(self.base) * (1 - pair.light) + pair.offset * self.step
        return replace(pair, offset=offset)

    def evidence(self, points: PhotonTransfer) -> PhotonTransfer:
        """The measured points, converted to grey levels."""
        by = self.step
        disturbances = points.disturbances
        return replace(
            points,
            level=float(self.base) + points.level * by,
            variance=points.variance * by**2,
            third=points.third * by**3,
            rows=points.rows.scaled(by),
            disturbances=replace(disturbances, offset_range=disturbances.offset_range * by),
        )


def _number(value: Any) -> int | float:
    return int(value) if isinstance(value, np.integer) else float(value)


def lost_in_double(dtype: np.dtype[Any], most: float) -> float:
    """Step of double precision at values up to ``most``; 0 if the values of the dtype are
    exact.
    """
    return float(np.spacing(most)) if dtype.kind in 'iu' and most > _EXACT else 0.0
