"""Photon counting and read noise: the noise of a microscope's detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from napari_noise2score.noise import formulas as tweedie
from napari_noise2score.noise.families import photons
from napari_noise2score.noise.families.base import (
    GREY_LEVELS,
    AffineVarianceFamily,
    Array,
    FloatArray,
    NoiseFamily,
    parameter,
)
from napari_noise2score.noise.local_score import LARGEST_EXPONENT, Correction, LocalScore
from napari_noise2score.noise.photon_transfer import PhotonTransfer, PhotonTransferLine


@dataclass(frozen=True, slots=True)
class PoissonGaussian(AffineVarianceFamily):
    """Photon counting and read noise.

    ``y = offset + gain Pois((x - offset) / gain) + N(0, read_noise^2)``.

    Parameters
    ----------
    gain : float
        Grey levels for one photon, > 0.
    offset : float
        Grey level of a pixel without light.
    read_noise : float
        Standard deviation of the read noise, grey levels (not photons), >= 0.

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Notes
    -----
    The exact correction is the chain Gaussian, then Poisson, with the step of one photon
    ``p(y + gain) / p(y)``:
    ``offset + (y - offset + gain + read_noise^2 s(y + gain)) p(y + gain) / p(y)``
    (`napari_noise2score.noise.formulas.poisson_gaussian_chained`; docs/method.md). It combines the
    Gaussian and the Poisson row of Table 1 in [1]_, without the approximation of the latter.

    References
    ----------
    .. [1] Kim and Ye, Noise2Score: Tweedie's approach to self-supervised image denoising without
       clean images, NeurIPS (2021).

    Examples
    --------
    >>> from napari_noise2score import PoissonGaussian
    >>> camera = PoissonGaussian(gain=2.0, offset=100.0, read_noise=3.0)
    >>> camera.variance([100.0, 150.0])
    array([  9., 109.])
    """

    name: ClassVar[str] = 'poisson-gaussian'
    label: ClassVar[str] = 'Poisson-Gaussian'

    gain: float = photons.gain()
    offset: float = photons.offset()
    read_noise: float = parameter(
        'Read noise',
        'Standard deviation of the read noise, grey levels.',
        'R',
        GREY_LEVELS,
        least=0.0,
    )

    @property
    def slope(self) -> float:
        return self.gain

    @property
    def origin(self) -> float:
        return self.offset

    @property
    def dark(self) -> float:
        return self.read_noise**2

    def zero(self, base: float) -> float:
        """The offset."""
        return self.offset

    def lowered(self, by: float) -> NoiseFamily:
        """The same noise with a lower offset."""
        return replace(self, offset=self.offset - by)

    def _relevant_difference(self, name: str) -> float:
        noise = float(np.hypot(self.gain, self.read_noise))
        return photons.FINE * noise if name == 'offset' else 0.0

    def sample(self, x: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Noisy values for clean values ``x >= offset``; same shape, float64."""
        values = photons.sample_photons(x, self.gain, self.offset, rng)
        return values + rng.normal(0.0, self.read_noise, values.shape)

    def outcomes(self, x: float) -> tuple[Array, Array]:
        rate = (x - self.offset) / self.gain
        values, probability = photons.photon_outcomes(rate, self.gain, self.read_noise)
        return self.offset + values, probability

    def clean_levels(self, top: float) -> Array:
        return photons.photon_levels(top, self.gain, self.offset)

    def from_score(self, y: Array, score: LocalScore, form: Correction) -> Array:
        """The exact chain, or its first-order approximation."""
        gain, offset, read_noise = self.gain, self.offset, self.read_noise
        if form is Correction.PAPER:
            at = np.minimum(score.at(y), LARGEST_EXPONENT / gain)
            clean = tweedie.poisson_gaussian_paper(
                y, at, gain=gain, offset=offset, read_noise=read_noise
            )
        else:
            shifted, ratio = score.at(y + gain), score.log_ratio(y, gain)
            clean = tweedie.poisson_gaussian_chained(
                y, shifted, ratio, gain=gain, offset=offset, read_noise=read_noise
            )
        return score.clipped(clean)

    @classmethod
    def fitted(
        cls, points: PhotonTransfer, line: PhotonTransferLine, given: Mapping[str, float]
    ) -> dict[str, float]:
        """Parameters of the fitted line, or of a line with the given gain or the given dark
        point.
        """
        gain = given.get('gain')
        if gain is None and {'offset', 'read_noise'} <= set(given):
            gain = photons.gain_through(points, given['offset'], given['read_noise'])
            return {'gain': gain, **given}
        if line.rises and gain is None:
            return {'gain': line.slope, 'offset': line.offset, 'read_noise': line.read_noise}
        slope, zero = photons.photon_line(points, line, gain)
        offset = given.get('offset', max(zero, min(0.0, float(points.level.min()))))
        return {
            'gain': slope,
            'offset': offset,
            'read_noise': max(slope * (offset - zero), 0.0) ** 0.5,
        }
