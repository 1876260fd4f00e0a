"""Meaning of the output of a network: the clean image, or the score.

A loss determines what its network learns to predict. A parameterisation converts the output, in a
training and in every prediction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class Parameterisation(ABC):
    """Converts the output of a network to clean levels and scores, both (B, 1, Y, X).

    ``z`` is the image at which the output was computed, ``variance`` the noise variance ``v`` at
    the level of the output; both (B, 1, Y, X), in the unit-noise coordinate.
    """

    @abstractmethod
    def clean(self, output: Tensor, z: Tensor, variance: Tensor) -> Tensor:
        """Clean level ``E[x | t] = t + v C s(t)`` of an unperturbed image ``z = t``.

        ``C`` is the correlation of the noise; 1 for white noise.
        """

    @abstractmethod
    def score(self, output: Tensor, z: Tensor, sigma_a: Tensor, variance: Tensor) -> Tensor:
        """``C`` times the score of the data smoothed by ``sigma_a`` (B, 1, 1, 1), at ``z``."""


class CleanImage(Parameterisation):
    """The network predicts the clean image ``D``."""

    def clean(self, output: Tensor, z: Tensor, variance: Tensor) -> Tensor:
        """``D`` itself."""
        return output

    def score(self, output: Tensor, z: Tensor, sigma_a: Tensor, variance: Tensor) -> Tensor:
        """``(D - z) / (v + sigma_a^2)``: Tweedie's formula, solved for the score."""
        score: Tensor = (output - z) / (variance + sigma_a**2)
        return score


class ScoreCorrection(Parameterisation):
    """The network predicts the score, as the correction ``D - z`` that it makes to its input."""

    def clean(self, output: Tensor, z: Tensor, variance: Tensor) -> Tensor:
        """``t + v (D - t)``."""
        return z + variance * (output - z)

    def score(self, output: Tensor, z: Tensor, sigma_a: Tensor, variance: Tensor) -> Tensor:
        """``D - z``, independent of ``sigma_a`` and the variance."""
        difference: Tensor = output - z
        return difference
