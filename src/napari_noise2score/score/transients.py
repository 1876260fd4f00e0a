"""Synthetic events in compared frames, so that a network learns to keep events.

In places where frames are targets for each other there are no events: places with events are
excluded. A network that is trained only on such places would treat a faint spot as noise, because
most faint spots there are noise. So spots are added to both frames of a pair, the input and the
target. The pair is still one scene with independent noise, so the target is still exact (Lehtinen
et al., ICML 2018); only the scenes become those of a sample with events.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SHARE = 0.5
"""Share of the patches of a long recording with spots in them."""
_LONG = 16
"""Minimum number of pairs of a long recording. In shorter ones fewer patches have spots: a few
images of one field are not a time series."""

_MOST = 6
"""Maximum number of spots of a patch."""
_RADIUS = (0.7, 8.0)
"""Radius in pixels: from a point source to a cell, uniform on a logarithmic scale."""
_HEIGHT = (0.5, 5.0)
"""Height in noise standard deviations, uniform on a logarithmic scale."""
_DARK = 0.25
"""Share of the spots that are darker than their surroundings."""


def transients(
    pairs: Sequence[int], size: int, generator: torch.Generator, most: float = SHARE
) -> Tensor:
    """Spots and patches of light, (B, 1, size, size) float32, noise standard deviations.

    Gaussian spots, discs and squares at random places; most are brighter than their surroundings.

    Parameters
    ----------
    pairs : sequence of int
        Number of pairs of frames in the recording of each patch.
    size : int
        Height and width of a patch, pixels.
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
