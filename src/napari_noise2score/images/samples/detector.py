"""Detectors that give whole grey levels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_noise2score.noise.families import PoissonGaussian

ROUNDING = 1 / 12
"""Variance that rounding to whole numbers adds."""


def detected(
    clean: NDArray[np.float64],
    noise: PoissonGaussian,
    dtype: DTypeLike,
    rng: np.random.Generator,
) -> NDArray[Any]:
    """What a detector with this noise gives for clean grey levels, any shape.

    The rounding is a part of the read noise, which must be 1 grey level or more: the variance is
    then that of ``noise``, and the rounding error is independent of the signal.
    """
    drawn = replace(noise, read_noise=(noise.read_noise**2 - ROUNDING) ** 0.5)
    return in_range(drawn.sample(clean, rng), dtype)


def in_range(values: NDArray[np.floating[Any]], dtype: DTypeLike) -> NDArray[Any]:
    """Values rounded to whole numbers, and clipped to the range of an integer type."""
    limits = np.iinfo(np.dtype(dtype))
    return np.asarray(np.clip(np.rint(values), limits.min, limits.max), dtype)
