r"""Losses that learn the score ``s(t) = grad log p(t)`` from noisy images alone.

All are forms of AR-DAE (Lim et al., ICML 2020, arXiv 2006.05164, eq. 9; Noise2Score, Kim & Ye,
NeurIPS 2021, arXiv 2106.07009, eq. 12): with ``z = t + sigma_a u``, ``u ~ N(0, 1)``,

.. math:: L = E \lVert u + \sigma_a R(z) \rVert^2

is smallest where ``R`` is the score of the data smoothed by ``sigma_a``. With noise of covariance
``C`` the perturbation has it too, and ``R`` is ``C`` times the score. They differ in what the
network predicts and in how ``sigma_a`` is drawn. Adding a loss means one subclass of `ScoreLoss`
and its name in `LOSSES`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn


class ScoreLoss(ABC):
    """How ``sigma_a`` is drawn and how the network's output is read as a score."""

    name: ClassVar[str]

    @abstractmethod
    def draw_sigma_a(self, count: int, progress: float, generator: torch.Generator) -> Tensor:
        """(count, 1, 1, 1) perturbation strengths, noise standard deviations.

        ``progress`` is the share of the training that is done, 0 to 1.
        """

    @abstractmethod
    def score(self, output: Tensor, z: Tensor, sigma_a: Tensor, variance: Tensor) -> Tensor:
        """Score of the smoothed data at ``z``, (B, 1, Y, X), from the network's output there.

        ``variance`` is the noise variance at ``z``, (B, 1, Y, X).
        """

    @abstractmethod
    def clean(self, output: Tensor, z: Tensor, variance: Tensor) -> Tensor:
        """Clean level ``z + variance R(z)`` of an unperturbed image, (B, 1, Y, X)."""

    def __call__(
        self,
        network: nn.Module,
        noisy: Tensor,
        u: Tensor,
        variance_at: Callable[[Tensor], Tensor],
        progress: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Loss of one batch; a scalar, 1 for the trivial score 0.

        Parameters
        ----------
        network : ScoreNetwork
            Called as ``network(z, sigma_a)``.
        noisy : (B, 1, Y, X)
            Patches in the unit-noise coordinate.
        u : (B, 1, Y, X)
            Perturbation of unit variance, with the correlation of the noise.
        variance_at : callable
            Noise variance, (B, 1, Y, X), for a clean level of that shape; 1 where the
            coordinate does its job.
        progress : float
            Share of the training that is done, 0 to 1.
        generator : torch.Generator
            Source of the random numbers, on the CPU.
        """
        sigma_a = self.draw_sigma_a(len(noisy), progress, generator).to(noisy.device)
        z = noisy + sigma_a * u
        output = network(z, sigma_a)
        score = self.score(output, z, sigma_a, variance_at(output.detach()))
        return ((u + sigma_a * score) ** 2).mean()


class Preconditioned(ScoreLoss):
    r"""AR-DAE for a network that predicts the clean image ``D``; the default.

    ``R = (D - z) / (v + sigma_a^2)`` with the noise variance ``v`` of the level. Same minimiser
    as AR-DAE, but ``D`` hardly depends on ``sigma_a``, so a perturbation as strong as the noise
    itself can be used, where the target carries information (for Gaussian noise this is
    Recorrupted-to-Recorrupted, Pang et al., CVPR 2021).
    """

    name: ClassVar[str] = 'preconditioned'
    low: ClassVar[float] = 1.0
    high: ClassVar[float] = 2.0

    def draw_sigma_a(self, count: int, progress: float, generator: torch.Generator) -> Tensor:
        """Log-uniform in [1, 2] noise standard deviations."""
        exponent = torch.rand(count, 1, 1, 1, generator=generator)
        return self.low * (self.high / self.low) ** exponent

    def score(self, output: Tensor, z: Tensor, sigma_a: Tensor, variance: Tensor) -> Tensor:
        """``(D - z) / (v + sigma_a^2)``."""
        score: Tensor = (output - z) / (variance + sigma_a**2)
        return score

    def clean(self, output: Tensor, z: Tensor, variance: Tensor) -> Tensor:
        """``D`` itself."""
        return output


class Published(ScoreLoss):
    """AR-DAE as in the paper: the network predicts the score, ``sigma_a`` is annealed.

    ``sigma_a`` falls geometrically from 1 to 0.02 of the noise (the authors' code: 0.05 to 0.001
    of the intensity range, for noise of 25/255 to 50/255). For comparison with the paper: at the
    end the target is almost pure noise, and a training of minutes does not converge.
    """

    name: ClassVar[str] = 'published'
    first: ClassVar[float] = 1.0
    last: ClassVar[float] = 0.02

    def draw_sigma_a(self, count: int, progress: float, generator: torch.Generator) -> Tensor:
        """``|delta|`` with delta ~ N(0, annealed^2), as the authors draw it."""
        strength = self.first * (self.last / self.first) ** progress
        drawn: Tensor = strength * torch.randn(count, 1, 1, 1, generator=generator).abs()
        return drawn

    def score(self, output: Tensor, z: Tensor, sigma_a: Tensor, variance: Tensor) -> Tensor:
        """``D - z``: the network's correction itself."""
        difference: Tensor = output - z
        return difference

    def clean(self, output: Tensor, z: Tensor, variance: Tensor) -> Tensor:
        """``z + v (D - z)``."""
        return z + variance * (output - z)


LOSSES: Mapping[str, type[ScoreLoss]] = {loss.name: loss for loss in (Preconditioned, Published)}
"""Every loss by its name, the default first."""
