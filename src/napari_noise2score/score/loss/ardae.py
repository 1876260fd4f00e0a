r"""AR-DAE, the loss of Noise2Score, in two forms.

With ``z = t + sigma_a u``, ``u ~ N(0, 1)`` (Lim et al., ICML 2020, arXiv 2006.05164, eq. 9;
Noise2Score, Kim & Ye, NeurIPS 2021, arXiv 2106.07009, eq. 12),

.. math:: L = E \lVert u + \sigma_a R(z) \rVert^2

is smallest where ``R`` is the score of the data smoothed by ``sigma_a``. With noise of covariance
``C`` the perturbation has it too, and ``R`` is ``C`` times the score. The two forms differ in what
the network predicts and in how ``sigma_a`` is drawn.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from napari_noise2score.score.loss.base import Network, ScoreLoss, Variance, weighted_mean
from napari_noise2score.score.parameterisation import (
    CleanImage,
    Parameterisation,
    ScoreCorrection,
)
from napari_noise2score.score.slabs import central_plane


class ARDAE(ScoreLoss):
    """AR-DAE for any distribution of ``sigma_a`` and any parameterisation of the network."""

    @abstractmethod
    def draw_sigma_a(self, count: int, progress: float, generator: torch.Generator) -> Tensor:
        """(count, 1, 1, 1) perturbation strengths, noise standard deviations.

        ``progress`` is the share of the training that is done, 0 to 1.
        """

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
        sigma_a = self.draw_sigma_a(len(noisy), progress, generator).to(noisy.device)
        z = noisy + sigma_a * u
        output = network(z, sigma_a)
        variance = variance_at(output.detach())
        score = self.parameterisation.score(output, central_plane(z), sigma_a, variance)
        return weighted_mean((central_plane(u) + sigma_a * score) ** 2, weight)


class Preconditioned(ARDAE):
    r"""AR-DAE for a network that predicts the clean image ``D``; the default.

    ``R = (D - z) / (v + sigma_a^2)`` with the noise variance ``v`` of the level. Same minimiser
    as AR-DAE, but ``D`` hardly depends on ``sigma_a``, so a perturbation as strong as the noise
    itself can be used, where the target carries information (for Gaussian noise this is
    Recorrupted-to-Recorrupted, Pang et al., CVPR 2021).
    """

    name: ClassVar[str] = 'preconditioned'
    parameterisation: ClassVar[Parameterisation] = CleanImage()
    anew: ClassVar[tuple[float, float]] = 1.0, 2.0
    further: ClassVar[tuple[float, float]] = 0.3, 1.0

    def draw_sigma_a(self, count: int, progress: float, generator: torch.Generator) -> Tensor:
        """Log-uniform in [1, 2] noise standard deviations; in [0.3, 1] for a pretrained network.

        That one knows the score without a perturbation, and would forget it among strong ones.
        """
        low, high = self.further if self.pretrained else self.anew
        exponent = torch.rand(count, 1, 1, 1, generator=generator)
        return low * (high / low) ** exponent


class Published(ARDAE):
    """AR-DAE as published: the network predicts the score, ``sigma_a`` is annealed to near zero.

    ``sigma_a ~ N(0, delta^2)`` for every patch (eq. 12), and ``delta`` falls on a straight line
    from 0.5 to 0.01 noise standard deviations over the training: the authors' code
    (github.com/cubeyoung/Noise2Score, models/Gaussian_model.py) takes 0.05 to 0.001 of the
    intensity range on a straight line, for noise of 25/255. It differs from this in two ways: it
    takes the annealed value itself as ``sigma_a``, and its line ends after 22 000 images and
    starts anew every epoch.

    For comparison with the paper. The share of the target that can be explained is
    ``sigma_a^2 / (v + sigma_a^2)``, 1e-4 at the end, so the loss of any score is nearly 1 there
    and a training of minutes does not converge.
    """

    name: ClassVar[str] = 'published'
    parameterisation: ClassVar[Parameterisation] = ScoreCorrection()
    trivial: ClassVar[float] = math.inf
    first: ClassVar[float] = 0.5
    last: ClassVar[float] = 0.01

    def draw_sigma_a(self, count: int, progress: float, generator: torch.Generator) -> Tensor:
        """``|delta n|`` with n ~ N(0, 1); its sign does not matter, as ``u`` is symmetric."""
        delta = self.first + (self.last - self.first) * progress
        drawn: Tensor = delta * torch.randn(count, 1, 1, 1, generator=generator).abs()
        return drawn
