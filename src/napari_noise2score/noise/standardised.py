"""What was removed from an image, in standard deviations of its noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LEAST = 1e-3
"""Least noise variance that is expected anywhere, as a share of the mean one."""


def standardised(removed: Array, variance: Array) -> Array:
    """``removed / sqrt(variance)``, 0 where no noise is expected at all; NaN stays NaN.

    Parameters
    ----------
    removed : (Y, X) float64
        Noisy minus clean, grey levels.
    variance : (Y, X) float64
        Noise variance at the clean values, squared grey levels, >= 0; no value counts for less
        than a thousandth of their mean.
    """
    known = np.isfinite(variance) & np.isfinite(removed)
    least = _LEAST * float(variance[known].mean()) if known.any() else 0.0
    if not least > 0:
        return np.where(known, 0.0, np.nan)
    unit = np.full(removed.shape, np.nan)
    unit[known] = removed[known] / np.sqrt(np.maximum(variance[known], least))
    return unit
