"""Removed noise in units of the noise standard deviation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LEAST = 1e-3
"""Minimum of the expected noise variance, relative to its mean."""


def standardised(removed: Array, variance: Array) -> Array:
    """``removed / sqrt(variance)``, 0 if the expected noise is 0 everywhere; NaN stays NaN.

    Parameters
    ----------
    removed : (Y, X) float64
        Noisy minus clean, grey levels.
    variance : (Y, X) float64
        Noise variance at the clean values, squared grey levels, >= 0; values below a thousandth of
        their mean are raised to it.
    """
    known = np.isfinite(variance) & np.isfinite(removed)
    least = _LEAST * float(variance[known].mean()) if known.any() else 0.0
    if not least > 0:
        return np.where(known, 0.0, np.nan)
    unit = np.full(removed.shape, np.nan)
    unit[known] = removed[known] / np.sqrt(np.maximum(variance[known], least))
    return unit
