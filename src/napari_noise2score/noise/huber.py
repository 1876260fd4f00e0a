"""Huber's weights for robust fits (Huber, "Robust Statistics", 1981)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def huber(away: Array, limit: float) -> Array:
    """1 for distances up to ``limit``, beyond it ``limit / away``; in whatever unit both are.

    Parameters
    ----------
    away : array
        Distances, >= 0, any shape.
    limit : float
        Distance from which a point loses weight, >= 0.
    """
    return np.divide(limit, away, out=np.ones_like(away), where=away > limit)
