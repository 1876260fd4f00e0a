"""Additive Gaussian noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from napari_noise2score.noise import formulas as tweedie
from napari_noise2score.noise.coordinates import Anscombe, UnitNoise
from napari_noise2score.noise.families.base import (
    GREY_LEVELS,
    AffineVarianceFamily,
    Array,
    FloatArray,
    parameter,
)
from napari_noise2score.noise.local_score import Correction, LocalScore
from napari_noise2score.noise.photon_transfer import PhotonTransfer, PhotonTransferLine

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
"""Gauss-Hermite quadrature of the standard normal distribution."""

FAR = 1e4
"""Level above which 0 is not the zero of the coordinate, noise standard deviations: a network
computes in single precision, which has steps of a thousandth there."""


@dataclass(frozen=True, slots=True)
class Gaussian(AffineVarianceFamily):
    """Additive Gaussian noise, ``y = x + N(0, sigma^2)``.

    Parameters
    ----------
    sigma : float
        Standard deviation, grey levels, > 0.

    Raises
    ------
    InputError
        If ``sigma`` is out of its range.

    Notes
    -----
    The correction is ``y + sigma^2 s(y)``, the posterior mean ([1]_, eq. 6). For noise with the
    correlation ``C`` between pixels, ``N(0, sigma^2 C)``, it is ``y + sigma^2 C s(y)``; the
    network learns the product ``C s``.

    References
    ----------
    .. [1] Kim and Ye, Noise2Score: Tweedie's approach to self-supervised image denoising without
       clean images, NeurIPS (2021).

    Examples
    --------
    >>> import numpy as np
    >>> from napari_noise2score import Gaussian
    >>> Gaussian(5.0).variance([0.0, 100.0])
    array([25., 25.])
    >>> Gaussian(5.0).sample(np.full((64, 64), 100.0), np.random.default_rng(0)).std().round(1)
    np.float64(5.0)
    """

    name: ClassVar[str] = 'gaussian'
    label: ClassVar[str] = 'Gaussian'

    sigma: float = parameter(
        'Sigma', 'Standard deviation of the noise, grey levels.', 'S', GREY_LEVELS, above=0.0
    )

    @property
    def slope(self) -> float:
        return 0.0

    @property
    def dark(self) -> float:
        return self.sigma**2

    def sample(self, x: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Noisy values for clean values ``x`` of any range; same shape, float64."""
        x = np.asarray(x, dtype=np.float64)
        return x + rng.normal(0.0, self.sigma, x.shape)

    def outcomes(self, x: float) -> tuple[Array, Array]:
        return x + self.sigma * NODES, WEIGHTS

    def clean_levels(self, top: float) -> Array:
        return np.array([0.0, max(top, self.sigma)])

    def coordinate(self, top: float, base: float = 0.0) -> UnitNoise:
        """``(y - origin) / sigma``; the origin is 0, or ``base`` if that is far from 0."""
        return Anscombe(0.0, self.sigma**2, self.sigma**2, self.zero(base))

    def zero(self, base: float) -> float:
        """0, or ``base`` if that is far from 0."""
        return base if abs(base) > FAR * self.sigma else 0.0

    def from_score(self, y: Array, score: LocalScore, form: Correction) -> Array:
        """``y + sigma^2 s(y)``."""
        return np.asarray(tweedie.gaussian(y, score.at(y), sigma=self.sigma))

    @classmethod
    def fitted(
        cls, points: PhotonTransfer, line: PhotonTransferLine, given: Mapping[str, float]
    ) -> dict[str, float]:
        """Sigma of the mean variance."""
        return {'sigma': points.mean_variance**0.5}
