"""The network that sees, beside a plane, what the other frames or slices say.

A residual U-Net at half resolution and below, which receives blocks of 2 x 2 pixels as channels
(Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel
convolutional neural network", CVPR 2016), and few features at full resolution beside it: there is
where the time goes.

The output is the local mean of the plane, plus a correction, plus a part of the difference between
the mean of the other planes and the local mean. So a place that does not change can be taken from
the other planes as it is.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_noise2score.score.context import ERROR, LEVELS, MEAN, PLANES, UNSTEADINESS
from napari_noise2score.score.network.parts import (
    LOCAL,
    SPREAD,
    Network,
    ResidualBlock,
    local_mean,
    masks,
    only,
)
from napari_noise2score.score.slabs import central_plane
from napari_noise2score.settings import NetworkSettings

FINE = 16
"""Features at full resolution."""

_HALF = PLANES // 2
_INPUTS = 3 + 2 * len(LEVELS) + 3
_APART = 3.0
"""Difference of the local means, noise standard deviations, at which the others count half."""
_CLOSED = 2.0
"""In the beginning the logit of the part of the other planes is minus this."""


class ContextNetwork(Network):
    """Residual U-Net ``D(z, S)``: a clean plane from a perturbed one and its context.

    Parameters
    ----------
    settings : NetworkSettings
        Size of the network; `channels` features at half resolution, as many more at each lower
        one.
    generator : torch.Generator, optional
        Source of the first weights, on the CPU.
    """

    def __init__(
        self, settings: NetworkSettings, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(settings)
        width = self.widths(settings)[0]
        self.fine = nn.Conv2d(_INPUTS, FINE, 3, padding=1)
        self.head = nn.Conv2d(4 * _INPUTS, width, 3, padding=1)
        self.add_levels()
        self.spread = nn.Conv2d(width, 4 * FINE, 1)
        self.last = ResidualBlock(FINE)
        self.tail = nn.Conv2d(FINE, 2, 3, padding=1)
        last = [module.last for module in self.modules() if isinstance(module, ResidualBlock)]
        self.initialise(generator, *last, self.tail, self.correlated)

    @staticmethod
    def widths(settings: NetworkSettings) -> list[int]:
        """Number of features at each resolution, the highest first."""
        return [settings.channels * (level + 1) for level in range(settings.levels)]

    @property
    def receptive_radius(self) -> int:
        """Pixels to each side that an output pixel can depend on."""
        return 2 * (LOCAL // 2) + 2 + 4 + self.radius_of_levels(2)

    def forward(
        self,
        z: Tensor,
        sigma_a: Tensor,
        variance: Tensor | None = None,
        correlation: Tensor | None = None,
        there: Tensor | None = None,
    ) -> Tensor:
        """Clean plane for a perturbed one.

        Parameters
        ----------
        z : (B, 1, Y, X) or (B, 1 + `PLANES`, Y, X)
            Perturbed plane in the unit-noise coordinate; or with its context, the plane itself in
            the middle. Y and X are multiples of `size_multiple`.
        sigma_a : (B, 1, 1, 1)
            Not used; see `ScoreNetwork`.
        variance : (B, 1, Y, X), optional
            Noise variance at the level of the local mean, without the perturbation; 1 if not
            given.
        correlation : (B, 6), optional
            Correlation of the noise at the distances `NEAREST`; 0 if not given.
        there : of the shape of ``z``, optional
            0 where the plane itself has no image, and ``z`` has filled values; 1 elsewhere.

        Returns
        -------
        (B, 1, Y, X) float32
        """
        own, context = _divided(z)
        mean = local_mean(own)
        surplus = torch.zeros_like(mean) if variance is None else variance - 1
        levels = context[:, LEVELS] - mean
        seen = levels.isfinite()
        levels = torch.where(seen, levels, 0.0)
        others = levels[:, LEVELS.index(MEAN), None]
        apart = local_mean(others)  # small where nothing happens
        alike = 1 / (1 + (apart / _APART) ** 2)
        x = torch.cat(
            [
                own - mean,
                (mean - self.centre) / SPREAD,
                surplus,
                # of a large difference only its sign counts
                torch.asinh(torch.cat([levels, apart], dim=1)),
                seen.to(z.dtype),
                context[:, [UNSTEADINESS, ERROR]].nan_to_num(),
            ],
            dim=1,
        )
        there = None if there is None else central_plane(there)
        places = masks(there, len(self.down) + 1)
        x = only(x, places[0]).contiguous(memory_format=torch.channels_last)
        fine = only(self.fine(x), places[0])
        x = self.head(F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last))
        x = self.through_levels(x, correlation, places[1:])
        fine = fine + F.pixel_shuffle(self.spread(x), 2)
        fine = self.last(only(fine, places[0]), places[0])
        tail, gate = cast(Tensor, self.tail(F.relu(fine))).float().unbind(dim=1)
        return mean + tail[:, None] + torch.sigmoid(gate[:, None] - _CLOSED) * alike * others


def _divided(z: Tensor) -> tuple[Tensor, Tensor]:
    """A plane (B, 1, Y, X) and its context (B, `PLANES`, Y, X), NaN without one."""
    if z.shape[1] == 1:
        return z, z.new_full((1, PLANES, 1, 1), torch.nan).expand(len(z), -1, *z.shape[2:])
    return central_plane(z), torch.cat([z[:, :_HALF], z[:, _HALF + 1 :]], dim=1)
