"""Noise families: distribution of a noisy value ``y`` given the clean value ``x``, and correction.

A family is one frozen dataclass in one file. It has its variance, its sampling, its unit-noise
coordinate and its correction by Tweedie's formula (:mod:`~napari_noise2score.noise.formulas`).
To add a family, write one such class and add it to `FAMILIES`; the command line, the panel and
the reports use the fields of the class.

All values are in the intensity units of the image (grey levels), unless stated otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.noise.families.base import AffineVarianceFamily, NoiseFamily
from napari_noise2score.noise.families.bernoulli import Bernoulli
from napari_noise2score.noise.families.compound import Tweedie
from napari_noise2score.noise.families.gamma import Exponential, Gamma
from napari_noise2score.noise.families.gaussian import Gaussian
from napari_noise2score.noise.families.poisson import Poisson
from napari_noise2score.noise.families.poisson_gaussian import PoissonGaussian

__all__ = [
    'FAMILIES',
    'AffineVarianceFamily',
    'Bernoulli',
    'Exponential',
    'Gamma',
    'Gaussian',
    'NoiseFamily',
    'Poisson',
    'PoissonGaussian',
    'Tweedie',
    'family_from_dict',
    'parameters_of',
]

FAMILIES: Mapping[str, type[NoiseFamily]] = {
    family.name: family
    for family in (Gaussian, Poisson, PoissonGaussian, Gamma, Exponential, Bernoulli, Tweedie)
}
"""Every family by its name, in the order of the menu."""


def parameters_of(family: type[NoiseFamily]) -> dict[str, dataclasses.Field[Any]]:
    """The parameters of a family by name, with label, help and range in their metadata."""
    return {spec.name: spec for spec in dataclasses.fields(family)}


def family_from_dict(record: Mapping[str, Any]) -> NoiseFamily:
    """The family from the result of :meth:`NoiseFamily.to_dict`.

    Raises
    ------
    InputError
        If the family is unknown or its parameters do not fit.
    """
    values = dict(record)
    name = values.pop('family', None)
    if name not in FAMILIES:
        raise InputError(f'noise family {name!r} is unknown; accepted are {", ".join(FAMILIES)}')
    try:
        return FAMILIES[name](**values)
    except TypeError as error:
        wanted = ', '.join(parameters_of(FAMILIES[name])) or 'no parameter'
        raise InputError(f'{name} noise accepts {wanted}; got {", ".join(values)}') from error
