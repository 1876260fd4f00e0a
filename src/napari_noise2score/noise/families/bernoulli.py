"""Bernoulli noise of binary frames, from single-photon detectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.noise import formulas as tweedie
from napari_noise2score.noise.coordinates import Anscombe, UnitNoise
from napari_noise2score.noise.families.base import Array, FloatArray, NoiseFamily
from napari_noise2score.noise.local_score import Correction, LocalScore


@dataclass(frozen=True, slots=True)
class Bernoulli(NoiseFamily):
    """Binary values, ``y = 1`` with probability ``x``, else 0. No parameter.

    Notes
    -----
    The clean image is the probability of a count. The paper's form ``1 / (1 + exp(-s(y)))`` uses
    the score as the mean of the natural parameter, ``log(x / (1 - x))`` ([1]_, Table 1). Two
    values have no density, so this is valid only in the mean. The chained form uses the step
    between the values, ``log p(1) - log p(0)``, instead of the slope.

    References
    ----------
    .. [1] Kim and Ye, Noise2Score: Tweedie's approach to self-supervised image denoising without
       clean images, NeurIPS (2021).

    Examples
    --------
    >>> from napari_noise2score import Bernoulli
    >>> Bernoulli().variance([0.0, 0.5])
    array([0.  , 0.25])
    """

    name: ClassVar[str] = 'bernoulli'
    label: ClassVar[str] = 'Bernoulli'
    recorruptible: ClassVar[bool] = False

    def variance(self, x: ArrayLike) -> FloatArray:
        """``x (1 - x)``, any shape; 0 outside 0 to 1."""
        x = np.clip(np.asarray(x, dtype=np.float64), 0, 1)
        return np.asarray(x * (1 - x))

    @property
    def without_light(self) -> float | None:
        """Zero."""
        return 0.0

    def sample(self, x: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """0 or 1 for probabilities ``x`` of 0 to 1; same shape, float64."""
        x = np.asarray(x, dtype=np.float64)
        if x.size and not (x.min() >= 0 and x.max() <= 1):
            raise InputError(
                f'clean values are {x.min():g} to {x.max():g}; '
                'Bernoulli noise needs probabilities, 0 to 1'
            )
        return (rng.random(x.shape) < x).astype(np.float64)

    def outcomes(self, x: float) -> tuple[Array, Array]:
        return np.array([0.0, 1.0]), np.array([1 - x, x])

    def clean_levels(self, top: float) -> Array:
        return np.linspace(0, 1, 65)

    def coordinate(self, top: float, base: float = 0.0) -> UnitNoise:
        """``2 y``: the variance is at most one."""
        return Anscombe(0.0, 0.25)

    def from_score(self, y: Array, score: LocalScore, form: Correction) -> Array:
        """The logistic function of the slope, or of the step, of the log density."""
        if form is Correction.PAPER:
            return np.asarray(tweedie.bernoulli(score.at(y)))
        return np.asarray(tweedie.bernoulli(score.log_ratio(np.zeros_like(y), 1.0)))

    def check_values(self, values: NDArray[Any]) -> None:
        if not np.isin(values, (0, 1)).all():
            raise InputError(
                f'values are {values.min():g} to {values.max():g}; '
                'Bernoulli noise needs binary frames of 0 and 1'
            )
