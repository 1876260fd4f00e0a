"""The removed noise against the noise model: by level, at edges, and from pixel to pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.correlation import REACH, lagged_products
from napari_noise2score.report.sample import Pair

Array = NDArray[np.float64]

LEVELS = 16
_FLAT, _EDGES = 40, 95
"""Percentiles of the steepness: flat below the first, an edge above the second."""
_STEEP = 1.0
"""Width of the smoothing before the gradient, pixels."""
_FAR = 8.0
"""Noise standard deviations at which the removed noise is clipped for its correlation."""


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """What was removed, in noise standard deviations; mean 0 and variance 1 for noise alone.

    Attributes
    ----------
    level : (B,) float
        Clean grey levels.
    mean, variance, error : (B,) float
        Mean and variance of what was removed there, and the standard error of the variance.
    whole_mean, whole_variance : float
        Of all pixels.
    flat, edges : float
        Variance in flat places and at the steepest 5 %.
    correlation : (17, 17) float
        Autocorrelation of what was removed, by distance in rows and columns.
    pixels : int
        How many there are.
    """

    level: Array
    mean: Array
    variance: Array
    error: Array
    whole_mean: float
    whole_variance: float
    flat: float
    edges: float
    correlation: Array
    pixels: int

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {
            name: value.round(6).tolist() if isinstance(value, np.ndarray) else value
            for name, value in asdict(self).items()
        }


def agreement(pairs: Sequence[Pair]) -> Agreement:
    """Compare what was removed with the noise model."""
    removed, level, steep = [], [], []
    products, counts = np.zeros((2 * REACH + 1,) * 2), np.zeros((2 * REACH + 1,) * 2)
    for pair in pairs:
        there = np.isfinite(pair.residual)
        smooth = ndimage.gaussian_filter(
            np.where(there, pair.clean, np.nanmean(pair.clean)), _STEEP
        )
        gradient = np.hypot(*np.gradient(smooth)) / np.sqrt(pair.variance)
        residual = pair.residual
        removed.append(residual[there])
        level.append(pair.clean[there])
        steep.append(gradient[there])
        field = np.clip(np.where(there, residual - np.nanmean(residual), 0.0), -_FAR, _FAR)
        products += lagged_products(field)
        counts += lagged_products(there.astype(float))
    r, x, g = (np.concatenate(values) for values in (removed, level, steep))
    bins = np.unique(np.quantile(x, np.linspace(0, 1, LEVELS + 1)))
    place = np.clip(np.searchsorted(bins, x, side='right') - 1, 0, max(len(bins) - 2, 0))
    number = np.maximum(np.bincount(place), 1)
    means = [np.bincount(place, values) / number for values in (x, r, r**2, r**4)]
    variance = means[2] - means[1] ** 2
    limits = np.percentile(g, [_FLAT, _EDGES])
    power = products[REACH, REACH] / max(counts[REACH, REACH], 1)
    correlation = products / np.maximum(counts, 1) / (power if power > 0 else 1.0)
    return Agreement(
        level=means[0],
        mean=means[1],
        variance=variance,
        error=np.sqrt(np.maximum(means[3] - means[2] ** 2, 0) / number),
        whole_mean=float(r.mean()),
        whole_variance=float(r.var()),
        flat=float((r[g <= limits[0]] ** 2).mean()),
        edges=float((r[g > limits[1]] ** 2).mean()) if (g > limits[1]).any() else 1.0,
        correlation=correlation,
        pixels=int(r.size),
    )
