"""From a learned score to clean grey levels: which formula serves which family and form.

The network gives, for every pixel, a clean level ``D`` in the unit-noise coordinate it was trained
in. `LocalScore` turns that into the score of the image at any value of the pixel; `correct` puts
the score into the formula of the family asked for, which may be another one than in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise import tweedie
from napari_noise2score.noise.families import Gaussian, NoiseFamily, Poisson, PoissonGaussian
from napari_noise2score.noise.stabilise import LevelTable, UnitNoise, level_table, unit_noise

Array = NDArray[np.float64]

SMALLEST_VARIANCE = 0.05
"""Noise variance in the unit-noise coordinate below which a level is taken for noise-free."""

_LARGEST_EXPONENT = 30.0


class Correction(StrEnum):
    """Form of the correction.

    ``AUTO`` is the stabilised form: of the three it was the closest to the truth on every stack
    measured (docs/quality.md). Families without photons have one formula, whatever the form.
    """

    AUTO = 'auto'
    CHAINED = 'chained'
    """Gaussian, then Poisson, exact (`tweedie.poisson_gaussian_chained`)."""
    PAPER = 'paper'
    """The first-order forms of Noise2Score."""
    STABILISED = 'stabilised'
    """Gaussian Tweedie in the unit-noise coordinate, then the exact unbiased inverse."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalScore:
    """Score of an image as a function of each pixel's own value, its surroundings fixed.

    ``s_t(t) = (D - t) / v`` in the unit-noise coordinate, with the noise variance ``v`` at the
    level ``D``; moved to grey levels by the exact change of variables.

    Attributes
    ----------
    coordinate : UnitNoise
        Coordinate of the training.
    table : LevelTable
        Noise there, level by level.
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

    def log_ratio(self, y: Array, gain: float) -> Array:
        """``log p(y + gain) - log p(y)``, the integral of `at` in closed form."""
        shifted = y + gain
        t = self.coordinate.forward(y)
        step = self.coordinate.forward(shifted) - t
        exponent = ((self.clean - t) * step - step**2 / 2) / self.variance
        slopes = self.coordinate.derivative(shifted) / self.coordinate.derivative(y)
        return np.minimum(np.log(slopes) + exponent, _LARGEST_EXPONENT)


@singledispatch
def correct(family: NoiseFamily, y: Array, score: LocalScore, form: Correction) -> Array:
    """Clean estimate, (Y, X) float64 grey levels.

    Parameters
    ----------
    family : NoiseFamily
        The noise to correct for.
    y : (Y, X) float64
        Noisy values, grey levels.
    score : LocalScore
        The learned score.
    form : Correction
        Which form of the formula.
    """
    raise TypeError(f'no correction for {type(family).__name__}')


@correct.register
def _(family: Gaussian, y: Array, score: LocalScore, form: Correction) -> Array:
    return np.asarray(tweedie.gaussian(y, score.at(y), sigma=family.sigma))


@correct.register
def _(family: Poisson, y: Array, score: LocalScore, form: Correction) -> Array:
    if form is Correction.PAPER:
        at = _bounded(score.at(y), family.gain)
        return np.asarray(tweedie.poisson(y, at, **family.parameters()))
    mixed = PoissonGaussian(family.gain, family.offset, 0.0)
    return correct(mixed, y, score, form)


@correct.register
def _(family: PoissonGaussian, y: Array, score: LocalScore, form: Correction) -> Array:
    if form is Correction.PAPER:
        at = _bounded(score.at(y), family.gain)
        return np.asarray(tweedie.poisson_gaussian_paper(y, at, **family.parameters()))
    if form is Correction.CHAINED:
        shifted, ratio = score.at(y + family.gain), score.log_ratio(y, family.gain)
        return np.asarray(
            tweedie.poisson_gaussian_chained(y, shifted, ratio, **family.parameters())
        )
    coordinate, table = unit_noise(family), score.table
    if coordinate == score.coordinate:
        return table.clean_value(score.clean)
    table = level_table(family, float(score.table.clean[-1]))
    t = coordinate.forward(y)
    tangent = coordinate.score_from_image(y, score.at(y))
    variance = table.variance_at(t + tangent)
    return table.clean_value(t + variance * tangent)


def _bounded(score: Array, gain: float) -> Array:
    """The score where ``exp(gain score)`` is still a number."""
    return np.minimum(score, _LARGEST_EXPONENT / gain)
