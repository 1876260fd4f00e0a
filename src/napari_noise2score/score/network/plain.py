"""The network that sees a plane alone, or adjacent slices of a z-stack."""

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
from napari_noise2score.score.precision import depth_precision
from napari_noise2score.score.slabs import central_plane
from napari_noise2score.settings import NetworkSettings


class DepthBlock(nn.Module):
    """``x + conv(relu(conv(relu(x))))`` in three dimensions, without the outermost two planes.

    (B, C, P, Y, X) becomes (B, C, P - 2, Y, X). The last convolution starts at zero: in the
    beginning the other planes have no effect.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=(0, 1, 1))
        self.last = nn.Conv3d(channels, channels, (1, 3, 3), padding=(0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        with depth_precision(x) as x:
            return x[:, :, 1:-1] + cast(Tensor, self.last(F.relu(self.first(F.relu(x)))))


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

    All planes have the same first convolution. Then one three-dimensional block for each pair of
    outer planes (`DepthBlock`) combines them, until the central plane is left. The U-Net is
    two-dimensional. In the beginning the outer planes have no effect.
    """

    def __init__(
        self, settings: NetworkSettings, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(settings)
        width = self.widths(settings)[0]
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.add_levels()
        self.tail = nn.Conv2d(width, 1, 3, padding=1)
        self.depth = nn.ModuleList(DepthBlock(width) for _ in range(settings.planes // 2))
        last = [m.last for m in self.modules() if isinstance(m, ResidualBlock | DepthBlock)]
        self.initialise(generator, *last, self.tail, self.correlated)

    @staticmethod
    def widths(settings: NetworkSettings) -> list[int]:
        """Number of features at each resolution, the highest first."""
        return [settings.channels * 2**level for level in range(settings.levels)]

    def outer_weights(self, count: int) -> list[nn.Parameter]:
        """Weights of the first ``count`` blocks, which combine the outermost planes."""
        return [weight for block in self.depth[:count] for weight in block.parameters()]

    @property
    def receptive_radius(self) -> int:
        """Pixels to each side that an output pixel can depend on."""
        return LOCAL // 2 + 2 + 2 * len(self.depth) + self.radius_of_levels(1)

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
        z : (B, P, Y, X)
            Perturbed image in the unit-noise coordinate, with the P - 1 adjacent planes, NaN where
            there is none; Y and X are multiples of `size_multiple`.
        sigma_a : (B, 1, 1, 1)
            Standard deviation of the perturbation, in noise standard deviations, >= 0. Not used
            (see the notes); networks that use it keep this signature.
        variance : (B, 1, Y, X), optional
            Noise variance at the level of the local mean, without the perturbation; 1 if not
            given.
        correlation : (B, 6), optional
            Correlation of the noise at the distances `NEAREST`; 0 if not given.
        there : (B, P, Y, X), optional
            0 where there is no image, and ``z`` has filled values; 1 elsewhere. The network treats
            these places as those beyond the border of an image, which are 0.

        Returns
        -------
        (B, 1, Y, X) float32
            The central plane.
        """
        here = central_plane(z)
        mean = local_mean(here)
        surplus = torch.zeros_like(mean) if variance is None else variance - 1
        conditions = torch.cat([(mean - self.centre) / SPREAD, surplus], dim=1)
        x = self._features(z - mean, conditions, there)
        places = masks(None if there is None else central_plane(there), len(self.down))
        x = self.through_levels(x, correlation, places)
        return mean + cast(Tensor, self.tail(F.relu(x))).float()

    def _features(self, differences: Tensor, conditions: Tensor, there: Tensor | None) -> Tensor:
        """(B, C, Y, X) at full resolution.

        Parameters
        ----------
        differences : (B, P, Y, X)
            The planes minus the local mean of the central one; NaN where there is none.
        conditions : (B, 2, Y, X)
            Level of the local mean, and noise variance in excess of one.
        there : (B, P, Y, X), optional
            0 where there is no image.
        """
        if not self.depth:
            return self._head(only(differences, there), only(conditions, there))
        count, planes, *size = differences.shape
        missing = differences.isnan()
        flat = torch.where(missing, 0.0, differences).reshape(count * planes, 1, *size)
        each = conditions.repeat_interleave(planes, dim=0)
        if there is not None:
            own = there.nan_to_num().reshape(count * planes, 1, *size)
            each = only(self._head(only(flat, own), only(each, own)), own)
        else:
            each = self._head(flat, each)
        there = ~missing[:, None, :, :1, :1]
        deep = each.reshape(count, planes, -1, *size).transpose(1, 2) * there
        deep = deep.contiguous(memory_format=torch.channels_last_3d)
        for block in self.depth:
            deep = block(deep)
        return deep[:, :, 0].contiguous(memory_format=torch.channels_last)

    def _head(self, differences: Tensor, conditions: Tensor) -> Tensor:
        x = torch.cat([differences, conditions], dim=1)
        return cast(Tensor, self.head(x.contiguous(memory_format=torch.channels_last)))
