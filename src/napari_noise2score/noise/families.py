"""Noise families: how a noisy value ``y`` is drawn given the clean value ``x``.

A family is one frozen dataclass. It knows its variance and how to sample; the correction that
undoes it is registered in :mod:`~napari_noise2score.noise.tweedie`, its unit-noise coordinate in
:mod:`~napari_noise2score.noise.stabilise`. Adding a family means one class here and one
registered function there; nothing looks a family up by comparing names.

All values are in the intensity units of the image (grey levels), unless said otherwise.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.errors import InputError

FloatArray = NDArray[np.floating[Any]]


def _parameter(label: str, tooltip: str, **constraints: float) -> Any:
    """A dataclass field with what a form needs to show it and a check needs to test it."""
    return field(metadata={'label': label, 'tooltip': tooltip, **constraints})


def _gain() -> Any:
    return _parameter('Gain', 'Grey levels for one detected photon.', above=0.0)


def _offset() -> Any:
    return _parameter('Offset', 'Grey level of a pixel that received no light.')


@dataclass(frozen=True, slots=True)
class NoiseFamily(ABC):
    """Distribution of a noisy value given the clean one.

    Raises
    ------
    InputError
        On construction, when a parameter is not finite or out of its range.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            value = getattr(self, spec.name)
            low, strict = spec.metadata.get('least'), spec.metadata.get('above')
            number = isinstance(value, (int, float, np.integer, np.floating))
            if not number or isinstance(value, bool) or not math.isfinite(value):
                raise InputError(
                    f'{self.label} noise: {spec.name} is {value!r}; a finite number is needed'
                )
            if strict is not None and value <= strict:
                raise InputError(
                    f'{self.label} noise: {spec.name} is {value:g}; '
                    f'it must be greater than {strict:g}'
                )
            if low is not None and value < low:
                raise InputError(
                    f'{self.label} noise: {spec.name} is {value:g}; it must be {low:g} or greater'
                )

    @abstractmethod
    def variance(self, x: ArrayLike) -> FloatArray:
        """Variance of ``y`` at the clean value ``x``, any shape, in squared grey levels."""

    @abstractmethod
    def sample(self, x: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Noisy values for clean values ``x``; same shape, float64, grey levels."""

    def parameters(self) -> dict[str, float]:
        """Parameter values by name, in the order of the constructor."""
        return {spec.name: float(getattr(self, spec.name)) for spec in dataclasses.fields(self)}

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON; :func:`family_from_dict` reads it back."""
        return {'family': self.name, **self.parameters()}

    def __str__(self) -> str:
        values = ', '.join(f'{k.replace("_", " ")} {v:.4g}' for k, v in self.parameters().items())
        return f'{self.label} ({values})'


@dataclass(frozen=True, slots=True)
class AffineVarianceFamily(NoiseFamily):
    """A family whose variance is a straight line of the clean value (photon transfer line)."""

    @property
    @abstractmethod
    def slope(self) -> float:
        """Increase of the variance for one grey level."""

    @property
    @abstractmethod
    def intercept(self) -> float:
        """Variance that the line reaches at grey level 0 (may be negative)."""

    @property
    @abstractmethod
    def dark(self) -> float:
        """Variance of a pixel without light."""

    def variance(self, x: ArrayLike) -> FloatArray:
        """``max(slope x + intercept, 0)``, any shape, in squared grey levels."""
        return np.maximum(self.slope * np.asarray(x, dtype=np.float64) + self.intercept, 0.0)


@dataclass(frozen=True, slots=True)
class Gaussian(AffineVarianceFamily):
    """Additive Gaussian noise, ``y = x + N(0, sigma^2)``.

    Parameters
    ----------
    sigma : float
        Standard deviation, grey levels, > 0.
    """

    name: ClassVar[str] = 'gaussian'
    label: ClassVar[str] = 'Gaussian'

    sigma: float = _parameter('Sigma', 'Standard deviation of the noise, grey levels.', above=0.0)

    @property
    def slope(self) -> float:
        return 0.0

    @property
    def intercept(self) -> float:
        return self.sigma**2

    @property
    def dark(self) -> float:
        return self.sigma**2

    def sample(self, x: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Noisy values for clean values ``x`` of any range; same shape, float64."""
        x = np.asarray(x, dtype=np.float64)
        return x + rng.normal(0.0, self.sigma, x.shape)


@dataclass(frozen=True, slots=True)
class Poisson(AffineVarianceFamily):
    """Photon counting noise, ``y = offset + gain Pois((x - offset) / gain)``.

    Parameters
    ----------
    gain : float
        Grey levels for one photon, > 0.
    offset : float
        Grey level of a pixel without light.
    """

    name: ClassVar[str] = 'poisson'
    label: ClassVar[str] = 'Poisson'

    gain: float = _gain()
    offset: float = _offset()

    @property
    def slope(self) -> float:
        return self.gain

    @property
    def intercept(self) -> float:
        return -self.gain * self.offset

    @property
    def dark(self) -> float:
        return 0.0

    def sample(self, x: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Noisy values for clean values ``x >= offset``; same shape, float64."""
        return _sample_photons(x, self.gain, self.offset, rng)


@dataclass(frozen=True, slots=True)
class PoissonGaussian(AffineVarianceFamily):
    """Photon counting and read noise.

    ``y = offset + gain Pois((x - offset) / gain) + N(0, read_noise^2)``

    Parameters
    ----------
    gain : float
        Grey levels for one photon, > 0.
    offset : float
        Grey level of a pixel without light.
    read_noise : float
        Standard deviation of the read noise, grey levels (not photons), >= 0.
    """

    name: ClassVar[str] = 'poisson-gaussian'
    label: ClassVar[str] = 'Poisson-Gaussian'

    gain: float = _gain()
    offset: float = _offset()
    read_noise: float = _parameter(
        'Read noise', 'Standard deviation of the read noise, grey levels.', least=0.0
    )

    @property
    def slope(self) -> float:
        return self.gain

    @property
    def intercept(self) -> float:
        return self.read_noise**2 - self.gain * self.offset

    @property
    def dark(self) -> float:
        return self.read_noise**2

    def sample(self, x: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Noisy values for clean values ``x >= offset``; same shape, float64."""
        photons = _sample_photons(x, self.gain, self.offset, rng)
        return photons + rng.normal(0.0, self.read_noise, photons.shape)


def _sample_photons(
    x: ArrayLike, gain: float, offset: float, rng: np.random.Generator
) -> FloatArray:
    rate = (np.asarray(x, dtype=np.float64) - offset) / gain
    if rate.size and not rate.min() >= 0:
        raise InputError(
            f'clean values go down to {np.min(x):g}, below the offset {offset:g}; '
            'photon noise needs clean values at or above the offset'
        )
    return offset + gain * rng.poisson(rate)


FAMILIES: Mapping[str, type[NoiseFamily]] = {
    family.name: family for family in (Gaussian, Poisson, PoissonGaussian)
}
"""Every family by its name, in the order in which a menu lists them."""


def family_from_dict(record: Mapping[str, Any]) -> NoiseFamily:
    """The family that :meth:`NoiseFamily.to_dict` described.

    Raises
    ------
    InputError
        If the family is unknown or its parameters do not fit.
    """
    values = dict(record)
    name = values.pop('family', None)
    if name not in FAMILIES:
        raise InputError(f'noise family {name!r} is unknown; known are {", ".join(FAMILIES)}')
    try:
        return FAMILIES[name](**values)
    except TypeError as error:
        wanted = ', '.join(spec.name for spec in dataclasses.fields(FAMILIES[name]))
        raise InputError(f'{name} noise takes {wanted}; got {", ".join(values)}') from error
