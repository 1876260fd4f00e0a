"""The Tweedie family: a variance that is a power of the intensity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.noise import formulas as tweedie
from napari_noise2score.noise.coordinates import ANSCOMBE, PowerLaw, UnitNoise
from napari_noise2score.noise.families.base import (
    Array,
    FloatArray,
    NoiseFamily,
    parameter,
    reject_negative,
    weighted_median,
)
from napari_noise2score.noise.families.gamma import RANGE, bright_levels, gamma_outcomes
from napari_noise2score.noise.families.gaussian import NODES, WEIGHTS
from napari_noise2score.noise.families.photons import COUNTED, counts
from napari_noise2score.noise.line_fit import fit_line
from napari_noise2score.noise.local_score import Correction, LocalScore
from napari_noise2score.noise.photon_transfer import PhotonTransfer, PhotonTransferLine

_NEGLIGIBLE = 1e-12
"""Probability below which a number of pulses is ignored."""


@dataclass(frozen=True, slots=True)
class Tweedie(NoiseFamily):
    """Noise whose variance is ``dispersion x ** power`` (Tweedie's exponential dispersion models).

    Parameters
    ----------
    power : float
        ``rho``, 1 to 2.
    dispersion : float
        ``phi`` > 0, grey levels to the power ``2 - rho``.

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Notes
    -----
    A power of 1 is scaled Poisson noise, and 2 is Gamma noise of shape ``1 / dispersion``. Between
    them the value is the sum of a Poisson number of Gamma-distributed pulses, such as photons in a
    detector with excess noise [1]_. The correction is the universal form of NoiseAdaptive2Score
    ([2]_, eq. 10). It uses a saddle-point approximation, and returns the clean value of the mean
    natural parameter, not ``E[x | y]``.

    References
    ----------
    .. [1] Jorgensen, Exponential dispersion models, Journal of the Royal Statistical Society B 49
       (1987).
    .. [2] Kim, Kwon, Kwon and Ye, Noise distribution adaptive self-supervised image denoising
       using Tweedie distribution and score matching, CVPR (2022).

    Examples
    --------
    >>> from napari_noise2score import Tweedie
    >>> Tweedie(power=1.5, dispersion=2.0).variance([4.0, 100.0])
    array([  16., 2000.])
    """

    name: ClassVar[str] = 'tweedie'
    label: ClassVar[str] = 'Tweedie'

    power: float = parameter(
        'Power', 'Power of the intensity in the noise variance, 1 to 2.', 'P', least=1.0, most=2.0
    )
    dispersion: float = parameter(
        'Dispersion', 'Noise variance at an intensity of 1.', 'PHI', above=0.0
    )

    def variance(self, x: ArrayLike) -> FloatArray:
        """``dispersion x ** power``, any shape, in squared grey levels; 0 below 0."""
        x = np.maximum(np.asarray(x, dtype=np.float64), 0)
        return np.asarray(self.dispersion * x**self.power)

    def response(self, x: ArrayLike) -> FloatArray:
        """The value itself, any shape: every pulse comes from light."""
        return np.maximum(np.asarray(x, dtype=np.float64), 0)

    @property
    def without_light(self) -> float | None:
        """Zero."""
        return 0.0

    def _pulses(self, x: Array) -> tuple[Array, float, Array]:
        """Mean number of pulses, shape of a pulse, and its mean (grey levels)."""
        power, shape = self.power, (2 - self.power) / (self.power - 1)
        rate = x ** (2 - power) / (self.dispersion * (2 - power))
        return rate, shape, shape * self.dispersion * (power - 1) * x ** (power - 1)

    def sample(self, x: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Noisy values for clean values ``x >= 0``; same shape, float64."""
        x = np.asarray(x, dtype=np.float64)
        reject_negative(x, self.label)
        if self.power == 1:
            return np.asarray(self.dispersion * rng.poisson(x / self.dispersion))
        if self.power == 2:
            return np.asarray(x * rng.gamma(1 / self.dispersion, self.dispersion, x.shape))
        rate, shape, mean = self._pulses(x)
        return np.asarray(rng.gamma(shape * rng.poisson(rate)) * mean / shape)

    def outcomes(self, x: float) -> tuple[Array, Array]:
        if self.power == 2:
            values, probability = gamma_outcomes(1 / self.dispersion)
            return x * values, probability
        many = x ** (2 - self.power) / (self.dispersion * (2 - self.power)) > COUNTED
        if many and self.power == 1:
            return x + float(self.variance(x)) ** 0.5 * NODES, WEIGHTS
        if many:  # a Gamma law of the same variance: near a power of 2 many pulses are skewed too
            values, probability = gamma_outcomes(x ** (2 - self.power) / self.dispersion)
            return x * values, probability
        if self.power == 1:
            number, probability = counts(x / self.dispersion)
            return self.dispersion * number, probability
        rate, shape, mean = self._pulses(np.asarray(x))
        number, probability = counts(float(rate))
        sums, weights = [np.zeros(1)], [probability[:1]]
        for count, weight in zip(number[1:], probability[1:], strict=True):
            if weight > _NEGLIGIBLE:
                size, share = gamma_outcomes(count * shape)
                sums.append(count * mean * size)
                weights.append(weight * share)
        return np.concatenate(sums), np.concatenate(weights)

    def clean_levels(self, top: float) -> Array:
        return bright_levels(top)

    def coordinate(self, top: float, base: float = 0.0) -> UnitNoise:
        """``y ** (1 - power / 2)``, shifted as in Anscombe's transform; the logarithm at 2."""
        if self.power == 2:
            return PowerLaw(2.0, self.dispersion, 0.0, RANGE * top)
        shift = max((ANSCOMBE * self.dispersion) ** (1 / (2 - self.power)), RANGE * top / 100)
        return PowerLaw(self.power, self.dispersion, shift, shift)

    def from_score(self, y: Array, score: LocalScore, form: Correction) -> Array:
        """The universal form."""
        return np.asarray(
            tweedie.tweedie(y, score.at(y), power=self.power, dispersion=self.dispersion)
        )

    @classmethod
    def fitted(
        cls, points: PhotonTransfer, line: PhotonTransferLine, given: Mapping[str, float]
    ) -> dict[str, float]:
        """Straight line through log variance against log level."""
        lit = (points.level > 0) & (points.variance > 0)
        if lit.sum() < 2:
            raise InputError('too few levels are above 0, so no Tweedie noise can be estimated')
        level, variance = np.log(points.level[lit]), np.log(points.variance[lit])
        count = points.count[lit]
        power = given.get('power')
        if power is None:
            power = min(max(fit_line(level, variance, count).slope, 1.0), 2.0)
        return {
            'power': power,
            'dispersion': float(np.exp(weighted_median(variance - power * level, count))),
        }

    def check_values(self, values: NDArray[Any]) -> None:
        reject_negative(values, self.label)
