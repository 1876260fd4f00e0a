"""Risk: mean squared distance of a clean estimate from the truth, estimated without ground truth.

It is measured at a number of places (`napari_noise2score.score.probe`). The unit
is the noise variance in the unit-noise coordinate: 1 is the noisy image itself.

A mean squared distance is never below zero. An estimate below zero by more than its error proves
that an assumption is wrong (the noise variance, or Gaussian noise): such a risk is
`Risk.impossible`, and is not used for decisions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SIGNIFICANT = 2.0
"""Standard errors by which a significantly lower risk is lower."""


@dataclass(frozen=True, slots=True, eq=False)
class Risk:
    """Mean squared distance from the truth, estimated at several places.

    Attributes
    ----------
    places : (K,) float64
        Estimate at each place, in units of the noise variance; it may be negative by chance, and
        NaN if it is not known.
    two_frames : float
        Share of the places where two frames were compared.
    doubt : float
        Standard error that all places have in common: that of the subtracted noise variance, and
        that of the noise power of their pixels.
    noise : float
        Risk of the noisy image itself: the noise variance, which is below one at few photons.
    """

    places: Array
    two_frames: float
    doubt: float = 0.0
    noise: float = 1.0

    @classmethod
    def of_all(cls, risks: Sequence[Risk]) -> Risk:
        """Risk of several images together."""
        return cls(
            np.concatenate([risk.places for risk in risks]),
            float(np.mean([risk.two_frames for risk in risks])),
            float(np.mean([risk.doubt for risk in risks])),
            float(np.mean([risk.noise for risk in risks])),
        )

    @property
    def value(self) -> float:
        """The estimated risk."""
        return float(self.places.mean())

    @property
    def standard_error(self) -> float:
        """Standard error from the scatter of the places."""
        return _standard_error(self.places)

    @property
    def error(self) -> float:
        """Standard error including the part that all places have in common."""
        return math.hypot(self.standard_error, self.doubt)

    @property
    def share(self) -> float:
        """The risk relative to that of the noisy image."""
        return self.value / self.noise

    @property
    def impossible(self) -> bool:
        """Whether it is below zero by more than two standard errors."""
        return self.value < -_SIGNIFICANT * self.error

    @property
    def known(self) -> bool:
        """Whether it is finite and not impossible."""
        return math.isfinite(self.value) and not self.impossible

    def beats(self, other: Risk, by: float = 0.0) -> bool:
        """Whether it is lower at the same places by more than two standard errors.

        And by more than the part ``by`` of the other one: at the same noise, the smallest
        difference may be significant. An unknown or impossible risk is neither lower nor higher
        than another one.
        """
        if not (self.known and math.isfinite(other.value)):
            return False
        gain = other.places - self.places
        least = max(_SIGNIFICANT * _standard_error(gain), by * abs(other.value))
        return bool(gain.mean() > least)

    def to_dict(self, *, trusted: bool = True) -> dict[str, float | None]:
        """Plain representation for JSON; None where the risk is not known, or not ``trusted``.

        With ``'noise'``, the risk of the noisy image itself.

        If all places are the same, as in an image of their size, there is no standard error. The
        value of an impossible risk is in ``'impossible'``, that of one that is not trusted in
        ``'doubtful'``.
        """
        if self.known and trusted:
            error = None if np.ptp(self.places) == 0 else self.error
            return {'value': self.value, 'standard_error': error, 'noise': self.noise}
        unknown: dict[str, float | None] = {'value': None, 'standard_error': None}
        if self.impossible:
            return {**unknown, 'impossible': self.value}
        return {**unknown, 'doubtful': self.value} if self.known else unknown


def _standard_error(values: Array) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float('inf')


def known(risk: Risk) -> float | None:
    """Value of a risk; None if it is not known."""
    return risk.value if risk.known else None
