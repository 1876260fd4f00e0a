"""The network: a residual U-Net that sees a perturbed image and predicts a clean one.

It works in the unit-noise coordinate, where every microscope looks alike: noise of variance
one. The trivial answer "output = input" is where plain networks get stuck (score 0, loss 1), so
the input is split into its local mean and the rest, the residual branches start at zero, and
the first answer is the local mean.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_noise2score.errors import InputError
from napari_noise2score.noise.correlation import NEAREST

_SPREAD = 8.0
"""Levels, in noise standard deviations, that the network sees as one."""

LOCAL = 5
"""Width in pixels of the local mean that the network is given."""


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Size of the network.

    Parameters
    ----------
    channels : int
        Features at full resolution; doubled at each level below. 8 to 256.
    levels : int
        Resolutions, each half of the one above. 1 to 5.
    blocks : int
        Residual blocks for a resolution, going down and again coming up. 1 to 8.
    """

    channels: int = field(default=32, metadata={'label': 'Channels'})
    levels: int = field(default=3, metadata={'label': 'Levels'})
    blocks: int = field(default=1, metadata={'label': 'Blocks a level'})

    def __post_init__(self) -> None:
        for name, low, high in (('channels', 8, 256), ('levels', 1, 5), ('blocks', 1, 8)):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise InputError(
                    f'network {name} is {value!r}; a whole number from {low} to {high} is needed'
                )

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON; the constructor's keywords."""
        return asdict(self)


class ResidualBlock(nn.Module):
    """``x + conv(relu(conv(relu(x))))``; the last convolution starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.last(F.relu(self.first(F.relu(x)))))


class ScoreNetwork(nn.Module):
    """Residual U-Net ``D(z, sigma_a)``: a clean image from a perturbed one.

    Parameters
    ----------
    settings : NetworkSettings
        Its size.
    generator : torch.Generator, optional
        Source of the first weights, on the CPU.

    Notes
    -----
    It is not told ``sigma_a``: it reads the noise off the image, and so goes on to ``sigma_a = 0``
    where a network that is told a value it was never trained with goes astray.
    """

    def __init__(
        self, settings: NetworkSettings, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.settings = settings
        self.centre = nn.Buffer(torch.zeros(()))
        widths = [settings.channels * 2**level for level in range(settings.levels)]

        def blocks(width: int) -> nn.Sequential:
            return nn.Sequential(*(ResidualBlock(width) for _ in range(settings.blocks)))

        self.head = nn.Conv2d(3, widths[0], 3, padding=1)
        self.correlated = nn.Linear(len(NEAREST), widths[0], bias=False)
        self.down = nn.ModuleList(blocks(w) for w in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.grow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(blocks(w) for w in widths[:-1])
        self.tail = nn.Conv2d(widths[0], 1, 3, padding=1)
        self._initialise(generator)

    def _initialise(self, generator: torch.Generator | None) -> None:
        """He's initialisation; what ends a branch starts at zero."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity='relu', generator=generator)
                nn.init.zeros_(cast(Tensor, module.bias))
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                nn.init.zeros_(module.last.weight)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.correlated.weight)

    @property
    def size_multiple(self) -> int:
        """Height and width of an input must be multiples of this."""
        return int(2 ** (self.settings.levels - 1))

    @property
    def receptive_radius(self) -> int:
        """Pixels to each side that an output pixel can depend on."""
        levels, blocks = self.settings.levels, self.settings.blocks
        radius = LOCAL // 2 + 2
        for level in range(levels):
            passes = 2 if level < levels - 1 else 1
            radius += passes * blocks * 2 * 2**level
        return radius + self.size_multiple

    def forward(
        self,
        z: Tensor,
        sigma_a: Tensor,
        variance: Tensor | None = None,
        correlation: Tensor | None = None,
    ) -> Tensor:
        """Clean image for a perturbed one.

        Parameters
        ----------
        z : (B, 1, Y, X)
            Perturbed image in the unit-noise coordinate; Y and X multiples of `size_multiple`.
        sigma_a : (B, 1, 1, 1)
            Standard deviation of the perturbation, in noise standard deviations, >= 0. Not used
            (see the notes); networks that use it keep this signature.
        variance : (B, 1, Y, X), optional
            Noise variance at the level of the local mean, without the perturbation; 1 if not
            given.
        correlation : (B, 6), optional
            Correlation of the noise at the distances `NEAREST`; 0 if not given.

        Returns
        -------
        (B, 1, Y, X) float32
        """
        mean = local_mean(z)
        surplus = torch.zeros_like(mean) if variance is None else variance - 1
        x = torch.cat([z - mean, (mean - self.centre) / _SPREAD, surplus], dim=1)
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.head(x)
        if correlation is not None:
            x = x + self.correlated(correlation)[:, :, None, None]
        kept: list[Tensor] = []
        for index, block in enumerate(self.down):
            x = block(x)
            if index < len(self.shrink):
                kept.append(x)
                x = self.shrink[index](x)
        for index in reversed(range(len(self.grow))):
            small = self.grow[index](x)
            x = kept[index] + F.interpolate(small, scale_factor=2.0, mode='nearest')
            x = self.up[index](x)
        return mean + cast(Tensor, self.tail(F.relu(x))).float()


def local_mean(z: Tensor) -> Tensor:
    """Mean over `LOCAL` x `LOCAL` pixels, mirrored at the border; (B, 1, Y, X) as given."""
    return F.avg_pool2d(F.pad(z, [LOCAL // 2] * 4, mode='reflect'), LOCAL, stride=1)


def centre_of(patches: Tensor) -> float:
    """Level that the network takes as its zero: the median of the patches."""
    return float(patches.median())
