"""Slabs: a plane in the middle of its context, as channels of a tensor.

A slab has the plane alone, or `context.PLANES` further planes around it. The central plane is
predicted. Planes of a context that do not exist are NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor

HIDDEN = 0.25
"""Share of the patches of a training in which the context is removed, so that the network does
not forget how to denoise a plane alone."""


def central_plane(z: Tensor) -> Tensor:
    """The central plane of slabs (B, P, Y, X), P odd: (B, 1, Y, X)."""
    half = z.shape[1] // 2
    return z[:, half : half + 1]


def without_context(slabs: Tensor, generator: torch.Generator) -> Tensor:
    """Slabs (B, P, Y, X); in the share `HIDDEN` of them all but the central plane is NaN."""
    half = slabs.shape[1] // 2
    hidden = torch.rand(len(slabs), generator=generator) < HIDDEN
    result = slabs.clone()
    result[hidden] = torch.nan
    result[hidden, half] = slabs[hidden, half]
    return result
