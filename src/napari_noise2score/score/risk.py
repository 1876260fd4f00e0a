"""Risk: how far a clean estimate is from the truth, on average, estimated without the truth.

It is the mean squared distance at a number of places (`napari_noise2score.score.probe`). The unit
is the noise variance in the unit-noise coordinate: 1 is the noisy image itself.

A mean squared distance is never below zero. An estimate that is, by more than its error, proves
that something it rests on is wrong (the noise variance, or that the noise is Gaussian): such a
risk is `Risk.impossible`, and decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SIGNIFICANT = 2.0
"""Standard errors by which a risk must be lower to count."""


@dataclass(frozen=True, slots=True, eq=False)
class Risk:
    """Mean squared distance from the truth, estimated place by place.

    Attributes
    ----------
    places : (K,) float64
        Estimate at each place, in units of the noise variance; may be negative by chance, and NaN
        where it is not known, which is not better than anything.
    two_frames : float
        Share of the places where two frames were compared.
    doubt : float
        Standard error that all places have in common: that of the noise variance taken off, and
        of how much noise their pixels happen to have.
    noise : float
        Risk of the noisy image itself: the noise variance, below one where photons are few.
    """

    places: Array
    two_frames: float
    doubt: float = 0.0
    noise: float = 1.0

    @classmethod
    def of_all(cls, risks: Sequence[Risk]) -> Risk:
        """That of several images together."""
        return cls(
            np.concatenate([risk.places for risk in risks]),
            float(np.mean([risk.two_frames for risk in risks])),
            float(np.mean([risk.doubt for risk in risks])),
            float(np.mean([risk.noise for risk in risks])),
        )

    @property
    def value(self) -> float:
        """The estimate."""
        return float(self.places.mean())

    @property
    def standard_error(self) -> float:
        """Its standard error."""
        return _standard_error(self.places)

    @property
    def error(self) -> float:
        """Standard error with what all places have in common."""
        return math.hypot(self.standard_error, self.doubt)

    @property
    def share(self) -> float:
        """The estimate as a share of that of the noisy image."""
        return self.value / self.noise

    @property
    def impossible(self) -> bool:
        """Whether it is below zero by more than two standard errors, as no squared distance is."""
        return self.value < -_SIGNIFICANT * self.error

    @property
    def known(self) -> bool:
        """Whether it is finite and possible."""
        return math.isfinite(self.value) and not self.impossible

    def beats(self, other: Risk) -> bool:
        """Whether it is lower at the same places by more than two standard errors.

        What is not known, or impossible, beats nothing, and is beaten by nothing.
        """
        if not (self.known and math.isfinite(other.value)):
            return False
        gain = other.places - self.places
        return bool(gain.mean() > _SIGNIFICANT * _standard_error(gain))

    def to_dict(self, *, trusted: bool = True) -> dict[str, float | None]:
        """Plain representation for JSON; None where the risk is not known, or not ``trusted``.

        If all places are the same, as in an image of their size, there is no standard error.
        What an impossible one came out at stands beside it as ``'impossible'``, one that is not
        trusted as ``'doubtful'``.
        """
        if self.known and trusted:
            error = None if np.ptp(self.places) == 0 else self.error
            return {'value': self.value, 'standard_error': error}
        found: dict[str, float | None] = {'value': None, 'standard_error': None}
        if self.impossible:
            return {**found, 'impossible': self.value}
        return {**found, 'doubtful': self.value} if self.known else found


def _standard_error(values: Array) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float('inf')


def known(risk: Risk) -> float | None:
    """Value of a risk, None where it is not known."""
    return risk.value if risk.known else None
