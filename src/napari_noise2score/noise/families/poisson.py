"""Photon counting noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from napari_noise2score.noise import formulas as tweedie
from napari_noise2score.noise.families import photons
from napari_noise2score.noise.families.base import (
    AffineVarianceFamily,
    Array,
    FloatArray,
    NoiseFamily,
)
from napari_noise2score.noise.local_score import LARGEST_EXPONENT, Correction, LocalScore
from napari_noise2score.noise.photon_transfer import PhotonTransfer, PhotonTransferLine


@dataclass(frozen=True, slots=True)
class Poisson(AffineVarianceFamily):
    """Photon counting noise, ``y = offset + gain Pois((x - offset) / gain)``.

    Parameters
    ----------
    gain : float
        Grey levels for one photon, > 0.
    offset : float
        Grey level of a pixel without light.

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Notes
    -----
    The exact correction is the chain of `PoissonGaussian` without read noise. The first-order form
    is ``offset + (y - offset + gain / 2) exp(gain s(y))`` ([1]_, Table 1).

    References
    ----------
    .. [1] Kim and Ye, Noise2Score: Tweedie's approach to self-supervised image denoising without
       clean images, NeurIPS (2021).

    Examples
    --------
    >>> from napari_noise2score import Poisson
    >>> Poisson(gain=2.0, offset=100.0).variance([100.0, 150.0])
    array([  0., 100.])
    """

    name: ClassVar[str] = 'poisson'
    label: ClassVar[str] = 'Poisson'

    gain: float = photons.gain()
    offset: float = photons.offset()

    @property
    def slope(self) -> float:
        return self.gain

    @property
    def origin(self) -> float:
        return self.offset

    @property
    def dark(self) -> float:
        return 0.0

    def zero(self, base: float) -> float:
        """The offset."""
        return self.offset

    def lowered(self, by: float) -> NoiseFamily:
        """The same noise with a lower offset."""
        return replace(self, offset=self.offset - by)

    def _relevant_difference(self, name: str) -> float:
        return photons.FINE * self.gain if name == 'offset' else 0.0

    def sample(self, x: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Noisy values for clean values ``x >= offset``; same shape, float64."""
        return photons.sample_photons(x, self.gain, self.offset, rng)

    def outcomes(self, x: float) -> tuple[Array, Array]:
        rate = (x - self.offset) / self.gain
        values, probability = photons.photon_outcomes(rate, self.gain, 0.0)
        return self.offset + values, probability

    def clean_levels(self, top: float) -> Array:
        return photons.photon_levels(top, self.gain, self.offset)

    def from_score(self, y: Array, score: LocalScore, form: Correction) -> Array:
        """The exact form with the step of one photon, or its first-order approximation."""
        if form is Correction.PAPER:
            at = np.minimum(score.at(y), LARGEST_EXPONENT / self.gain)
            clean = tweedie.poisson(y, at, gain=self.gain, offset=self.offset)
        else:
            shifted, ratio = score.at(y + self.gain), score.log_ratio(y, self.gain)
            clean = tweedie.poisson_gaussian_chained(
                y, shifted, ratio, gain=self.gain, offset=self.offset, read_noise=0.0
            )
        return score.clipped(clean)

    @classmethod
    def fitted(
        cls, points: PhotonTransfer, line: PhotonTransferLine, given: Mapping[str, float]
    ) -> dict[str, float]:
        """Slope and zero of the photon-transfer line."""
        slope, zero = photons.photon_line(points, line, given.get('gain'))
        return {'gain': slope, 'offset': zero}
