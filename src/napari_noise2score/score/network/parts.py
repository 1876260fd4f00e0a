"""What the networks have in common.

Simple networks stop at the trivial solution "output = input" (score 0, loss 1). So the input is
divided into its local mean and the rest, the residual branches start at zero, and the first output
is the local mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_noise2score.noise.correlation import NEAREST
from napari_noise2score.settings import NetworkSettings

SPREAD = 8.0
"""Noise standard deviations per unit of the level that a network is conditioned on."""

LOCAL = 5
"""Width in pixels of the local mean that a network is given."""


class ResidualBlock(nn.Module):
    """``x + conv(relu(conv(relu(x))))``; the last convolution starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, there: Tensor | None = None) -> Tensor:
        """``x`` (B, C, Y, X) plus the output of the block; 0 where ``there`` (B, 1, Y, X) is 0."""
        inner = cast(Tensor, self.first(F.relu(x)))
        inner = inner if there is None else inner * there
        output = cast(Tensor, self.last(F.relu(inner, inplace=True))).add_(x)  # no copies
        return output if there is None else output * there


class Blocks(nn.Sequential):
    """Residual blocks, one after the other."""

    def forward(self, x: Tensor, there: Tensor | None = None) -> Tensor:
        """``x`` (B, C, Y, X) after all blocks; 0 where ``there`` (B, 1, Y, X) is 0."""
        for block in self:
            x = block(x, there)
        return x


def only(x: Tensor, there: Tensor | None) -> Tensor:
    """``x`` where there is an image, and 0 elsewhere; unchanged without a mask."""
    return x if there is None else x * there


def masks(there: Tensor | None, count: int) -> list[Tensor | None]:
    """Valid places (B, 1, Y, X) at so many resolutions, each half of the one before.

    None for each of them if all places are valid.
    """
    if there is None:
        return [None] * count
    found = [there]
    while len(found) < count:
        found.append(F.max_pool2d(found[-1], 2))
    return [*found]


class Network(nn.Module, ABC):
    """A network ``D``: a clean plane from a perturbed one, and from what it sees beside it.

    All have the same U-Net of residual blocks between their first and their last layers.

    Attributes
    ----------
    settings : NetworkSettings
        Its size.
    centre : () Tensor
        Level that it takes as its zero, set anew for the images that it is applied to.
    """

    centre: Tensor
    down: nn.ModuleList
    shrink: nn.ModuleList
    grow: nn.ModuleList
    up: nn.ModuleList

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        self.centre = nn.Buffer(torch.zeros(()))

    @staticmethod
    @abstractmethod
    def widths(settings: NetworkSettings) -> list[int]:
        """Number of features at each resolution, the highest first."""

    @property
    def size_multiple(self) -> int:
        """Height and width of an input must be multiples of this."""
        return self.settings.size_multiple

    @property
    @abstractmethod
    def receptive_radius(self) -> int:
        """Pixels to each side that an output pixel can depend on."""

    def add_levels(self) -> None:
        """Add the layers of `through_levels`, which follow the settings."""
        widths = self.widths(self.settings)

        def blocks(width: int) -> Blocks:
            return Blocks(*(ResidualBlock(width) for _ in range(self.settings.blocks)))

        self.correlated = nn.Linear(len(NEAREST), widths[0], bias=False)
        self.down = nn.ModuleList(blocks(w) for w in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.grow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(blocks(w) for w in widths[:-1])

    def through_levels(
        self, x: Tensor, correlation: Tensor | None, places: Sequence[Tensor | None]
    ) -> Tensor:
        """The U-Net: features (B, C, Y, X) of the highest resolution in and out.

        Parameters
        ----------
        x : (B, C, Y, X)
            Features.
        correlation : (B, 6), optional
            Correlation of the noise at the distances `NEAREST`; 0 if not given.
        places : sequence of Tensor or None
            Valid places (B, 1, Y, X) at every resolution, as of `masks`.
        """
        if correlation is not None:
            x = x + self.correlated(correlation)[:, :, None, None]
        x = only(x, places[0])
        skips: list[Tensor] = []
        for index, block in enumerate(self.down):
            x = block(x, places[index])
            if index < len(self.shrink):
                skips.append(x)
                x = only(self.shrink[index](x), places[index + 1])
        for index in reversed(range(len(self.grow))):
            small = self.grow[index](x)
            x = skips[index] + F.interpolate(small, scale_factor=2.0, mode='nearest')
            x = self.up[index](only(x, places[index]), places[index])
        return x

    def radius_of_levels(self, pixel: int) -> int:
        """Pixels to each side that the U-Net sees, and those by which it may shift them.

        ``pixel`` is the height and width of a pixel of its highest resolution.
        """
        levels, blocks = self.settings.levels, self.settings.blocks
        passes = [2] * (levels - 1) + [1]  # down and up again
        radius = sum(2 * blocks * (pixel << level) * p for level, p in enumerate(passes))
        return radius + self.size_multiple

    def initialise(self, generator: torch.Generator | None, *start_at_zero: nn.Module) -> None:
        """He's initialisation; the last layers of the branches start at zero."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity='relu', generator=generator)
                nn.init.zeros_(cast(Tensor, module.bias))
        for module in start_at_zero:
            nn.init.zeros_(cast(Tensor, module.weight))


N = TypeVar('N', bound=Network)


def channels_last(network: N) -> N:
    """The same network with a faster memory layout of the weights."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def local_mean(z: Tensor) -> Tensor:
    """Mean over `LOCAL` x `LOCAL` pixels, mirrored at the border; (B, 1, Y, X) as given."""
    return mean_over(z, LOCAL)


def mean_over(z: Tensor, side: int) -> Tensor:
    """Mean over squares of an odd ``side``, mirrored at the border; (B, 1, Y, X) as given."""
    return F.avg_pool2d(F.pad(z, [side // 2] * 4, mode='reflect'), side, stride=1)


def centre_of(patches: Tensor) -> float:
    """Level that the network takes as its zero: the median of the patches."""
    return float(patches.median())
