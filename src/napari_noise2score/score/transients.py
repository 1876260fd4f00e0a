"""Events to put into frames that are compared, so that a training does not forget them.

Where frames are targets for each other nothing happens: places where something does are left out.
A network that has seen nothing else would take a faint spot for noise, as most of them there are.
So spots are added to both frames of a pair, to the one that is seen and to the one that is the
target. The pair is still one scene with independent noise, so the target stays exact (Lehtinen et
al., ICML 2018); only the scenes become those of a sample in which things happen.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SHARE = 0.5
"""Share of the patches of a long recording with spots in them."""
_LONG = 16
"""Pairs of frames from which a recording is long. Of shorter ones fewer patches have spots: few
captures of one field are no time series."""

_MOST = 6
"""Spots of a patch, at most."""
_RADIUS = (0.7, 8.0)
"""Pixels: from a point source to a cell, evenly on a logarithmic scale."""
_HEIGHT = (0.5, 5.0)
"""Noise standard deviations, likewise."""
_DARK = 0.25
"""Share of the spots that are darker than their surroundings."""


def transients(
    pairs: Sequence[int], size: int, generator: torch.Generator, most: float = SHARE
) -> Tensor:
    """Spots and patches of light, (B, 1, size, size) float32, noise standard deviations.

    Gaussian spots, discs and squares at random places; most are brighter than what is around.

    Parameters
    ----------
    pairs : sequence of int
        How many pairs of frames the recording of each patch has.
    size : int
        Their height and width, pixels.
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    most : float
        Share of the patches of a long recording with spots in them.
    """
    share = most * (torch.tensor(pairs) / _LONG).clamp(max=1).view(-1, 1, 1, 1)
    drawn = torch.rand(8, len(pairs), _MOST, 1, 1, generator=generator)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing='ij')
    down, across = (y - size * drawn[0]).abs(), (x - size * drawn[1]).abs()
    radius = _between(_RADIUS, drawn[2])
    height = _between(_HEIGHT, drawn[3]) * torch.where(drawn[4] < _DARK, -1.0, 1.0)
    away = (down**2 + across**2).sqrt() / radius
    square = torch.maximum(down, across) < radius
    spot = torch.where(
        drawn[5] < 0.5,
        torch.exp(-(away**2) / 2),
        torch.where(drawn[5] < 0.75, away < 1, square).float(),
    )
    there = (drawn[6] < 0.5) & (drawn[7][:, :1] < share)
    return (there * height * spot).sum(1, keepdim=True)


def _between(ends: tuple[float, float], share: Tensor) -> Tensor:
    low, high = ends
    return low * (high / low) ** share
