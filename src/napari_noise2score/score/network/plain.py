"""The network that sees a plane alone."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_noise2score.score.network.parts import (
    LOCAL,
    SPREAD,
    Network,
    ResidualBlock,
    local_mean,
    masks,
    only,
)
from napari_noise2score.settings import NetworkSettings


class ScoreNetwork(Network):
    """Residual U-Net ``D(z, sigma_a)``: a clean image from a perturbed one.

    Parameters
    ----------
    settings : NetworkSettings
        Size of the network.
    generator : torch.Generator, optional
        Source of the first weights, on the CPU.

    Notes
    -----
    The network is not conditioned on ``sigma_a``: it estimates the noise from the image, which
    extrapolates to ``sigma_a = 0``. A network conditioned on it would be given a value there that
    it was never trained with.
    """

    def __init__(
        self, settings: NetworkSettings, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(settings)
        width = self.widths(settings)[0]
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.add_levels()
        self.tail = nn.Conv2d(width, 1, 3, padding=1)
        last = [module.last for module in self.modules() if isinstance(module, ResidualBlock)]
        self.initialise(generator, *last, self.tail, self.correlated)

    @staticmethod
    def widths(settings: NetworkSettings) -> list[int]:
        """Number of features at each resolution, the highest first."""
        return [settings.channels * 2**level for level in range(settings.levels)]

    @property
    def receptive_radius(self) -> int:
        """Pixels to each side that an output pixel can depend on."""
        return LOCAL // 2 + 2 + self.radius_of_levels(1)

    def forward(
        self,
        z: Tensor,
        sigma_a: Tensor,
        variance: Tensor | None = None,
        correlation: Tensor | None = None,
        there: Tensor | None = None,
    ) -> Tensor:
        """Clean image for a perturbed one.

        Parameters
        ----------
        z : (B, 1, Y, X)
            Perturbed image in the unit-noise coordinate; Y and X are multiples of `size_multiple`.
        sigma_a : (B, 1, 1, 1)
            Standard deviation of the perturbation, in noise standard deviations, >= 0. Not used
            (see the notes); networks that use it keep this signature.
        variance : (B, 1, Y, X), optional
            Noise variance at the level of the local mean, without the perturbation; 1 if not
            given.
        correlation : (B, 6), optional
            Correlation of the noise at the distances `NEAREST`; 0 if not given.
        there : (B, 1, Y, X), optional
            0 where there is no image, and ``z`` has filled values; 1 elsewhere. The network treats
            these places as those beyond the border of an image, which are 0.

        Returns
        -------
        (B, 1, Y, X) float32
        """
        mean = local_mean(z)
        surplus = torch.zeros_like(mean) if variance is None else variance - 1
        x = only(torch.cat([z - mean, (mean - self.centre) / SPREAD, surplus], dim=1), there)
        x = self.head(x.contiguous(memory_format=torch.channels_last))
        x = self.through_levels(x, correlation, masks(there, len(self.down)))
        return mean + cast(Tensor, self.tail(F.relu(x))).float()
