"""Removed noise in units of the noise standard deviation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LEAST = 1e-3
"""Minimum of the expected noise variance, relative to its mean."""


def standardised(removed: Array, variance: Array, mean: float | None = None) -> Array:
    """``removed / sqrt(variance)``, 0 if the expected noise is 0 everywhere; NaN stays NaN.

    Parameters
    ----------
    removed : (Y, X) float64
        Noisy minus clean, grey levels.
    variance : (Y, X) float64
        Noise variance at the clean values, squared grey levels, >= 0; values below a thousandth of
        their mean are raised to it.
    mean : float, optional
        The mean of the variance, if this is a part of an image.
    """
    known = np.isfinite(variance) & np.isfinite(removed)
    if mean is None:
        mean = float(variance[known].mean()) if known.any() else 0.0
    least = _LEAST * mean
    if not least > 0:
        return np.where(known, 0.0, np.nan)
    unit = np.full(removed.shape, np.nan)
    unit[known] = removed[known] / np.sqrt(np.maximum(variance[known], least))
    return unit
