"""Weights by which outliers lose their influence on a fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BIWEIGHT = 4.685
"""Limit of the biweight, standard deviations, at which 95 % of the precision is left on Gaussian
values."""


def huber(away: Array, limit: float) -> Array:
    """1 for distances up to ``limit``, beyond it ``limit / away``; both have the same unit.

    Parameters
    ----------
    away : array
        Distances, >= 0, any shape.
    limit : float
        Distance from which a point loses weight, >= 0.

    References
    ----------
    Huber, "Robust Statistics", 1981.
    """
    return np.divide(limit, away, out=np.ones_like(away), where=away > limit)


def biweight(away: Array) -> Array:
    """Tukey's biweight: 1 at distance 0, 0 from `BIWEIGHT` standard deviations on.

    Parameters
    ----------
    away : array
        Distances of either sign, standard deviations, any shape.

    References
    ----------
    Beaton & Tukey, Technometrics 16, 1974.
    """
    return np.asarray(np.maximum(1 - (away / BIWEIGHT) ** 2, 0.0) ** 2)


def biweight_slope(away: Array) -> Array:
    """Derivative of ``away * biweight(away)``, which has the mean 0.76 on Gaussian values. The
    errors of a fit follow from it, and would be a fifth too small with the weight in its place
    (Huber, "Robust Statistics", 1981, section 7.6); any shape.
    """
    square = (away / BIWEIGHT) ** 2
    return np.where(square < 1, (1 - square) * (1 - 5 * square), 0.0)


def biweight_loss(away: Array) -> Array:
    """Loss that `biweight` minimises, 0 at distance 0 and 1 from `BIWEIGHT` on; any shape."""
    return np.asarray(1 - np.maximum(1 - (away / BIWEIGHT) ** 2, 0.0) ** 3)


def absolute(away: Array, least: float) -> Array:
    """Weights of a fit of least absolute deviations, ``1 / away``.

    Parameters
    ----------
    away : array
        Distances, >= 0, any shape.
    least : float
        Distance below which the weight no longer grows, > 0.
    """
    return np.asarray(1 / np.maximum(away, least))
