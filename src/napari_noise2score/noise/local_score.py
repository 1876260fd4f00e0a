"""The learned score as a function of the value of a pixel, in grey levels.

The network gives, for every pixel, a clean level ``D`` in the unit-noise coordinate of its
training. `LocalScore` converts it to the score of the image; every family of noise uses this score
in its own formula (:meth:`~napari_noise2score.noise.families.NoiseFamily.correct`), also a family
that was not used in the training.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.coordinates import UnitNoise
from napari_noise2score.noise.level_table import SMALLEST_VARIANCE, LevelTable

Array = NDArray[np.float64]

REACH = 3.0
"""Maximum distance of a clean value from the clean level ``D``, noise standard deviations. The
posterior distribution of a clean value is not wider than the noise of its pixel, so a posterior
mean, in any formula, is near ``D``. Formulas that multiply by an exponential of the score leave
this range where the noise model does not explain a value: dead and hot pixels, wrong
parameters."""

LARGEST_EXPONENT = 30.0
"""Maximum exponent of a correction, so that the result is finite."""


class Correction(StrEnum):
    """Form of the correction. Families without photons have the last two only."""

    AUTO = 'auto'
    """The form with the lowest estimated risk (`napari_noise2score.pipeline.selection`)."""
    CHAINED = 'chained'
    """Gaussian, then Poisson, exact (`tweedie.poisson_gaussian_chained`)."""
    PAPER = 'paper'
    """The formulas of Noise2Score (Kim & Ye 2021, Table 1); for photons of first order."""
    STABILISED = 'stabilised'
    """Gaussian Tweedie in the unit-noise coordinate, then the exact unbiased inverse."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalScore:
    """Score of an image as a function of each pixel's own value, for fixed surroundings.

    ``s_t(t) = (D - t) / v`` in the unit-noise coordinate, with the noise variance ``v`` at the
    level ``D``; converted to grey levels by the exact change of variables.

    Attributes
    ----------
    coordinate : UnitNoise
        Coordinate of the training.
    table : LevelTable
        Mean and variance of the noise in that coordinate, by level.
    clean : (Y, X) float64
        ``D``.
    variance : (Y, X) float64
        ``v``, at least `SMALLEST_VARIANCE`.
    """

    coordinate: UnitNoise
    table: LevelTable
    clean: Array
    variance: Array

    @classmethod
    def from_clean(cls, coordinate: UnitNoise, table: LevelTable, clean: Any) -> LocalScore:
        """Local score for clean levels ``clean``, any shape."""
        clean = np.asarray(clean, dtype=np.float64)
        variance = np.maximum(table.variance_at(clean), SMALLEST_VARIANCE)
        return cls(coordinate, table, clean, variance)

    def at(self, y: Array) -> Array:
        """Score ``d log p / dy`` at pixel values ``y``, per grey level."""
        t = self.coordinate.forward(y)
        return self.coordinate.score_to_image(y, (self.clean - t) / self.variance)

    def clipped(self, clean: Array) -> Array:
        """Clean values ``clean``, grey levels, clipped to the possible range."""
        reach = REACH * np.sqrt(self.variance)
        low, high = (self.table.clean_value(self.clean + by) for by in (-reach, reach))
        return np.clip(clean, low, high)

    def log_ratio(self, y: Array, step: float) -> Array:
        """``log p(y + step) - log p(y)``, the integral of `at` in closed form."""
        shifted = y + step
        t = self.coordinate.forward(y)
        distance = self.coordinate.forward(shifted) - t
        exponent = ((self.clean - t) * distance - distance**2 / 2) / self.variance
        slopes = self.coordinate.derivative(shifted) / self.coordinate.derivative(y)
        return np.minimum(np.log(slopes) + exponent, LARGEST_EXPONENT)
