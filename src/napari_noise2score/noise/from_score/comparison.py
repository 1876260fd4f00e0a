"""Noise parameters from several methods side by side, and their disagreements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from napari_noise2score.noise.digits import digits
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.from_score.search import Minimum

_POWER_TOLERANCE = 0.5


class Method(StrEnum):
    """Source of a value."""

    GIVEN = 'value given'
    PHOTON_TRANSFER = 'photon-transfer fit'
    CLOSED_FORM = 'closed form of the score'
    SEARCH = 'search'


@dataclass(frozen=True, slots=True, eq=False)
class ParameterEvidence:
    """The value of one parameter from one method.

    Attributes
    ----------
    method : Method
        The method.
    parameter : str
        Name of the parameter, as in the family.
    value : float
        Value, grey levels (no unit for a shape).
    error : float
        Standard error, from parts of the image.
    below, above : float
        By how much the true value may be smaller or larger because of the known bias of the
        method, in the unit of the value.
    search : Minimum or None
        The curve of the criterion, for a plot.
    doubt : str
        Reason why this value is not reliable here; empty if it is reliable.
    """

    method: Method
    parameter: str
    value: float
    error: float
    below: float
    above: float
    search: Minimum | None = None
    doubt: str = ''

    @property
    def low(self) -> float:
        """Smallest value in agreement with it: two standard errors and the bias."""
        return self.value - math.hypot(2 * self.error, self.below)

    @property
    def high(self) -> float:
        """Largest value in agreement with it."""
        return self.value + math.hypot(2 * self.error, self.above)

    def agrees(self, other: ParameterEvidence) -> bool:
        """Whether the two ranges overlap, or one of the two values is not reliable."""
        overlap = self.low <= other.high and other.low <= self.high
        return overlap or bool(self.doubt or other.doubt)

    def __str__(self) -> str:
        name = self.parameter.replace('_', ' ')
        doubt = f'; {self.doubt}' if self.doubt else ''
        return f'{name}: {self.words}, {self.method}{doubt}'

    @property
    def words(self) -> str:
        """Value and range."""
        if self.low == self.high:
            return digits(self.value)
        value, low, high = (
            digits(one, (self.high - self.low) / 10) for one in (self.value, self.low, self.high)
        )
        return f'{value} ({low} to {high})'

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        curve = None
        if self.search is not None:
            curve = {
                'parameter': self.search.grid.tolist(),
                'criterion': [q if math.isfinite(q) else None for q in self.search.criterion],
            }
        return {
            'method': str(self.method),
            'parameter': self.parameter,
            'value': self.value,
            'standard_error': self.error,
            'range': [self.low, self.high],
            'curve': curve,
            'doubt': self.doubt,
        }


@dataclass(frozen=True, slots=True)
class PowerEvidence:
    """The family that the score shows: the noise variance is proportional to this power of the
    intensity.

    Attributes
    ----------
    value, error : float
        The power (0 Gaussian, 1 Poisson, 2 Gamma) and its standard error.
    expected : (float, float)
        Smallest and largest power of the noise model in use.
    """

    value: float
    error: float
    expected: tuple[float, float]

    @property
    def spread(self) -> float:
        """Half-width: two standard errors and a tolerance of 0.5."""
        return math.hypot(2 * self.error, _POWER_TOLERANCE)

    @property
    def agrees(self) -> bool:
        """Whether the power agrees with the noise model in use."""
        low, high = self.expected
        return low - self.spread <= self.value <= high + self.spread

    def __str__(self) -> str:
        return f'variance as intensity to the power {self.value:.2f} +- {self.spread:.2f}'

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {'value': self.value, 'standard_error': self.error, 'expected': self.expected}


@dataclass(frozen=True, slots=True, eq=False)
class ChannelParameters:
    """The comparison for one channel.

    Attributes
    ----------
    place : dict
        Position on the channel axes, by letter.
    family : NoiseFamily
        Noise model in use.
    evidence : tuple of ParameterEvidence
        The values of all methods; for each parameter the value in use first.
    power : PowerEvidence or None
        The family that the score shows; None if light or contrast are not sufficient.
    """

    place: dict[str, int]
    family: NoiseFamily
    evidence: tuple[ParameterEvidence, ...]
    power: PowerEvidence | None

    @property
    def disagreements(self) -> tuple[str, ...]:
        """Sentences on methods that disagree with the value in use beyond their spread."""
        sentences = []
        in_use: dict[str, ParameterEvidence] = {}
        for item in self.evidence:
            first = in_use.setdefault(item.parameter, item)
            if not item.agrees(first):
                name = item.parameter.replace('_', ' ').capitalize()
                sentences.append(
                    f'{name}: the {item.method} gives {item.words}, the {first.method} is '
                    f'{first.words}.'
                )
        if self.power is not None and not self.power.agrees:
            low, high = self.power.expected
            expected = f'{low:g}' if low == high else f'{low:g} to {high:g}'
            sentences.append(
                'The noise variance is proportional to the intensity to the power '
                f'{self.power.value:.1f} +- {self.power.spread:.1f}; with {self.family.label} '
                f'noise it is {expected}.'
            )
        return tuple(sentences)

    def __str__(self) -> str:
        lines: list[Any] = [self.family, *self.evidence]
        if self.power is not None:
            lines.append(self.power)
        lines += self.disagreements or ('The methods agree within their spread.',)
        return '\n  '.join(map(str, lines))

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {
            'noise': self.family.to_dict(),
            'evidence': [item.to_dict() for item in self.evidence],
            'power': self.power and self.power.to_dict(),
            'disagreements': list(self.disagreements),
        }
