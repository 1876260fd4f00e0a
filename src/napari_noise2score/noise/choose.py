"""From what a user asks for, and what the data say, to a noise model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_noise2score.errors import InputError
from napari_noise2score.noise.estimate import NoiseFit
from napari_noise2score.noise.families import (
    FAMILIES,
    AffineVarianceFamily,
    Gaussian,
    NoiseFamily,
    Poisson,
    PoissonGaussian,
)

AUTO = 'auto'
CORRELATIONS = (AUTO, 'none')


@dataclass(frozen=True, slots=True)
class NoiseRequest:
    """A noise model, wholly or partly given; the rest is estimated from the data.

    Parameters
    ----------
    family : str
        ``'auto'`` or a name in `FAMILIES`.
    gain, offset, read_noise, sigma : float, optional
        Parameters that are known, grey levels. With ``'auto'``, gain, offset and read noise
        stand for Poisson-Gaussian noise and sigma for Gaussian noise.
    correlation : str
        ``'auto'`` measures the correlation between pixels, ``'none'`` takes them for independent.

    Raises
    ------
    InputError
        If the family is unknown or does not have a parameter that is given.
    """

    family: str = AUTO
    gain: float | None = None
    offset: float | None = None
    read_noise: float | None = None
    sigma: float | None = None
    correlation: str = AUTO

    def __post_init__(self) -> None:
        if self.family not in (AUTO, *FAMILIES):
            raise InputError(
                f'noise {self.family!r} is unknown; known are {AUTO}, {", ".join(FAMILIES)}'
            )
        if self.correlation not in CORRELATIONS:
            raise InputError(
                f'correlation {self.correlation!r} is unknown; known are {", ".join(CORRELATIONS)}'
            )
        if self.sigma is not None and len(self.given()) > 1 and self.family == AUTO:
            raise InputError('sigma goes with Gaussian noise; gain, offset and read noise do not')
        family = self._family()
        if family is not None:
            accepted = _parameters(family)
            for name in self.given():
                if name not in accepted:
                    raise InputError(
                        f'{name} is no parameter of {family.label} noise; '
                        f'it takes {", ".join(accepted)}'
                    )
        for name, value in self.given().items():
            if not np.isfinite(value) or (name in ('gain', 'sigma') and value <= 0):
                raise InputError(f'{name} is {value:g}; it must be finite and greater than 0')
            if name == 'read_noise' and value < 0:
                raise InputError(f'read_noise is {value:g}; it must be 0 or greater')

    def given(self) -> dict[str, float]:
        """The parameters that are known."""
        values = {name: getattr(self, name) for name in ('gain', 'offset', 'read_noise', 'sigma')}
        return {name: float(value) for name, value in values.items() if value is not None}

    @classmethod
    def exactly(cls, family: NoiseFamily) -> NoiseRequest:
        """The request that is answered by ``family``, whatever the data."""
        values: dict[str, Any] = family.parameters()
        return cls(family.name, **values)

    def _family(self) -> type[NoiseFamily] | None:
        if self.family != AUTO:
            return FAMILIES[self.family]
        if self.sigma is not None:
            return Gaussian
        return PoissonGaussian if self.given() else None

    def known(self) -> NoiseFamily | None:
        """The noise model, if no estimate is needed."""
        family = self._family()
        if family is None or set(_parameters(family)) != set(self.given()):
            return None
        return family(**self.given())

    def resolve(self, fit: NoiseFit) -> NoiseFamily:
        """The noise model, with what is not given taken from the fit.

        Raises
        ------
        InputError
            If photon noise is asked for, no gain is given, and the data show none.
        """
        known = self.known()
        if known is not None:
            return known
        family = self._family()
        if family is None:
            return fit.family
        estimated = _CONVERSIONS[family](fit, self.gain)
        return family(**{**estimated, **self.given()})


def _parameters(family: type[NoiseFamily]) -> list[str]:
    return [spec.name for spec in dataclasses.fields(family)]


def _gaussian(fit: NoiseFit, gain: float | None) -> dict[str, float]:
    evidence = fit.evidence
    return {'sigma': float(np.average(evidence.variance, weights=evidence.count)) ** 0.5}


def _line(fit: NoiseFit, gain: float | None) -> tuple[float, float]:
    """Slope and intercept of the photon-transfer line, the slope perhaps given."""
    assert isinstance(fit.family, AffineVarianceFamily)
    slope = fit.family.slope
    if gain is None:
        if slope == 0:
            raise InputError(
                'the noise does not depend on the intensity, so no gain can be estimated; '
                'give the gain, or choose Gaussian noise'
            )
        return slope, fit.family.intercept
    evidence = fit.evidence
    centre = float(np.average(evidence.level, weights=evidence.count))
    return gain, float(fit.family.variance(centre)) - gain * centre


def _poisson(fit: NoiseFit, gain: float | None) -> dict[str, float]:
    slope, intercept = _line(fit, gain)
    return {'gain': slope, 'offset': -intercept / slope}


def _poisson_gaussian(fit: NoiseFit, gain: float | None) -> dict[str, float]:
    if isinstance(fit.family, PoissonGaussian) and gain is None:
        return fit.family.parameters()
    slope, intercept = _line(fit, gain)
    offset = max(-intercept / slope, min(0.0, float(fit.evidence.level.min())))
    return {
        'gain': slope,
        'offset': offset,
        'read_noise': max(slope * offset + intercept, 0.0) ** 0.5,
    }


_CONVERSIONS = {Gaussian: _gaussian, Poisson: _poisson, PoissonGaussian: _poisson_gaussian}
