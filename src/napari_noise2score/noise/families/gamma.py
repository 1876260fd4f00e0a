"""Multiplicative speckle: Gamma noise, and exponential noise as its special case."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.noise import formulas as tweedie
from napari_noise2score.noise.coordinates import PowerLaw, UnitNoise
from napari_noise2score.noise.families.base import (
    Array,
    FloatArray,
    NoiseFamily,
    parameter,
    reject_negative,
    weighted_median,
)
from napari_noise2score.noise.local_score import Correction, LocalScore
from napari_noise2score.noise.photon_transfer import PhotonTransfer, PhotonTransferLine

RANGE = 1e-3
"""Darkest level that is different from black, relative to the brightest one."""

_NODES = 401


def gamma_outcomes(shape: float) -> tuple[Array, Array]:
    """Values (K,) of mean one and probabilities (K,) of a Gamma distribution; any shape > 0."""
    spread = 1 / shape**0.5
    log = np.linspace(-(12 * spread + 36 / shape), np.log1p(12 * spread + 40 / shape), _NODES)
    weight = np.exp(shape * (log - np.expm1(log)))
    return np.exp(log), weight / weight.sum()


def bright_levels(top: float) -> Array:
    """Clean grey levels from black to ``top``, geometric."""
    return np.geomspace(RANGE * top / 10, 1.1 * top, 120)


class _Speckle(NoiseFamily):
    """Noise ``y = x G(k, 1/k)`` of shape ``k``."""

    __slots__ = ()

    @property
    @abstractmethod
    def _shape(self) -> float:
        """``k``."""

    def variance(self, x: ArrayLike) -> FloatArray:
        """``x^2 / k``, any shape, in squared grey levels."""
        return np.asarray(np.asarray(x, dtype=np.float64) ** 2 / self._shape)

    def response(self, x: ArrayLike) -> FloatArray:
        """The value itself: speckle has only a scale."""
        return np.maximum(np.asarray(x, dtype=np.float64), 0)

    @property
    def without_light(self) -> float | None:
        """Zero."""
        return 0.0

    def sample(self, x: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Noisy values for clean values ``x >= 0``; same shape, float64."""
        x = np.asarray(x, dtype=np.float64)
        reject_negative(x, self.label)
        return x * rng.gamma(self._shape, 1 / self._shape, x.shape)

    def outcomes(self, x: float) -> tuple[Array, Array]:
        values, probability = gamma_outcomes(self._shape)
        return x * values, probability

    def clean_levels(self, top: float) -> Array:
        return bright_levels(top)

    def coordinate(self, top: float, base: float = 0.0) -> UnitNoise:
        """The logarithm; ``Var[log y | x]`` is the trigamma function of ``k`` at every level."""
        return PowerLaw(2.0, float(scipy.special.polygamma(1, self._shape)), 0.0, RANGE * top)

    def check_values(self, values: NDArray[Any]) -> None:
        reject_negative(values, self.label)


@dataclass(frozen=True, slots=True)
class Gamma(_Speckle):
    """Multiplicative Gamma noise (speckle of ``shape`` looks), ``y = x G(shape, 1 / shape)``.

    Parameters
    ----------
    shape : float
        ``k`` > 0; the variance is ``x^2 / k``.

    Raises
    ------
    InputError
        If ``shape`` is out of its range.

    Notes
    -----
    Tweedie's formula ``k y / ((k - 1) - y s(y))`` is ``1 / E[1/x | y]``, the clean value of the
    posterior mean of the natural parameter, not ``E[x | y]`` ([1]_, Table 1).

    References
    ----------
    .. [1] Kim and Ye, Noise2Score: Tweedie's approach to self-supervised image denoising without
       clean images, NeurIPS (2021).

    Examples
    --------
    >>> from napari_noise2score import Gamma
    >>> Gamma(shape=4.0).variance([10.0, 20.0])
    array([ 25., 100.])
    """

    name: ClassVar[str] = 'gamma'
    label: ClassVar[str] = 'Gamma'

    shape: float = parameter(
        'Shape', 'Number of looks k; the noise variance is intensity^2 / k.', 'K', above=0.0
    )

    @property
    def _shape(self) -> float:
        return self.shape

    def from_score(self, y: Array, score: LocalScore, form: Correction) -> Array:
        """``k y / ((k - 1) - y s(y))``."""
        return np.asarray(tweedie.gamma(y, score.at(y), shape=self.shape))

    @classmethod
    def fitted(
        cls, points: PhotonTransfer, line: PhotonTransferLine, given: Mapping[str, float]
    ) -> dict[str, float]:
        """Median of ``level^2 / variance``."""
        lit = (points.level > 0) & (points.variance > 0)
        if not lit.any():
            raise InputError('no level is above 0, so no Gamma noise can be estimated')
        looks = points.level[lit] ** 2 / points.variance[lit]
        return {'shape': weighted_median(looks, points.count[lit])}


@dataclass(frozen=True, slots=True)
class Exponential(_Speckle):
    """Fully developed speckle, ``y = x Exp(1)``: `Gamma` of shape 1. No parameter.

    Notes
    -----
    Tweedie's formula ``-1 / s(y)`` is ``1 / E[1/x | y]``, not ``E[x | y]`` ([1]_, Table 1).

    References
    ----------
    .. [1] Kim and Ye, Noise2Score: Tweedie's approach to self-supervised image denoising without
       clean images, NeurIPS (2021).

    Examples
    --------
    >>> from napari_noise2score import Exponential
    >>> Exponential().variance([10.0, 20.0])
    array([100., 400.])
    """

    name: ClassVar[str] = 'exponential'
    label: ClassVar[str] = 'Exponential'

    @property
    def _shape(self) -> float:
        return 1.0

    def from_score(self, y: Array, score: LocalScore, form: Correction) -> Array:
        """``-1 / s(y)``."""
        return np.asarray(tweedie.exponential(y, score.at(y)))
