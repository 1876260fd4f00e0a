"""The interface between a loss and the training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from napari_noise2score.score.parameterisation import Parameterisation

Network = Callable[[Tensor, Tensor], Tensor]
"""Output for a perturbed image and ``sigma_a``, by a network conditioned on the noise there."""

Variance = Callable[[Tensor], Tensor]
"""Noise variance, (B, 1, Y, X), for a clean level of that shape."""


class ScoreLoss(ABC):
    """A loss whose minimiser is a score, for a network called as ``network(z, sigma_a)``."""

    name: ClassVar[str]
    """Its key in `LOSSES`."""

    parameterisation: ClassVar[Parameterisation]
    """What the network that it trains predicts; all that a prediction needs of a loss."""

    trivial: ClassVar[float] = 1.0
    """Loss of the score 0 ("output = input"), in expectation: a running mean close to it has
    learned nothing. Infinite where the loss of any score comes close to that of the score 0, so
    that nothing can be told from it. Losses are a number times their value at the score 0: they
    fall from ``trivial`` towards 0, and a single batch may be below 0.
    """

    def __init__(self, pretrained: bool = False) -> None:
        """Whether the network that learns has been trained before."""
        self.pretrained = pretrained

    @abstractmethod
    def __call__(
        self,
        network: Network,
        noisy: Tensor,
        u: Tensor,
        variance_at: Variance,
        progress: float,
        generator: torch.Generator,
        weight: Tensor | None = None,
    ) -> Tensor:
        """Loss of one batch, a scalar.

        Parameters
        ----------
        network : callable
            ``network(z, sigma_a)``; for several batches in a row too.
        noisy : (B, P, Y, X)
            Patches in the unit-noise coordinate, each a plane alone or in the middle of its
            context; the score is learned at the plane.
        u : (B, P, Y, X)
            Gaussian field of unit variance, with the correlation of the noise; 0 in a context.
        variance_at : callable
            Noise variance, (B, 1, Y, X), for a clean level of that shape; 1 where the
            coordinate does its job.
        progress : float
            Share of the training that is done, 0 to 1.
        generator : torch.Generator
            Source of the random numbers, on the CPU.
        weight : (B, 1, Y, X), optional
            What each pixel counts, 0 for those that are held back from the training; all alike
            if not given.
        """


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of values by weights of the same shape; 0 if all weights are 0."""
    if weight is None:
        return values.mean()
    return (weight * values).sum() / weight.sum().clamp_min(1)
