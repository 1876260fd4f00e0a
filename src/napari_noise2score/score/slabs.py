"""Slabs: adjacent planes of a stack as channels of a tensor; the central one is predicted.

For noise that is independent between planes Tweedie's formula is valid for each plane: ``E[x_mid |
t_1 .. t_P] = t_mid + v d/dt_mid log p(t_1, .., t_P)`` (the noise of the others has an effect only
through the density), so only the score at the central plane is needed.

A plane beyond the end of a stack is NaN. It is not replaced by its mirror image: a network would
treat the same plane as two planes with independent noise, and the stack as symmetric there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HIDDEN = 0.25
"""Share of the patches of a training in which outer planes are removed, as at the end of a stack:
ends are rare in a deep stack, and would not be learned well."""


def central_plane(z: Tensor) -> Tensor:
    """The central plane of slabs (B, P, Y, X), P odd: (B, 1, Y, X)."""
    half = z.shape[1] // 2
    return z[:, half : half + 1]


def read_slab(
    numbers: Sequence[int | None], read: Callable[[int], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """The planes ``numbers`` as (P, Y, X), each by ``read``; NaN for None."""
    planes = [None if number is None else read(number) for number in numbers]
    (shape,) = {plane.shape for plane in planes if plane is not None}
    nothing = np.full(shape, np.nan, np.float32)
    return np.stack([nothing if plane is None else plane for plane in planes])


def cut_off(slabs: Tensor, generator: torch.Generator, share: float = HIDDEN) -> Tensor:
    """Slabs (B, P, Y, X); in a ``share`` of them outer planes are NaN.

    Planes above or below the central one are removed; without neighbours nothing is drawn.
    """
    half = slabs.shape[1] // 2
    if not half:
        return slabs
    result = slabs.clone()
    chosen = torch.rand(len(slabs), generator=generator) < share
    above = torch.rand(len(slabs), generator=generator) < 0.5
    missing = torch.randint(1, half + 1, (len(slabs),), generator=generator)
    for index in chosen.nonzero()[:, 0].tolist():
        count = int(missing[index])
        result[index, slice(count) if above[index] else slice(-count, None)] = torch.nan
    return result


def without_context(slabs: Tensor, generator: torch.Generator, share: float = HIDDEN) -> Tensor:
    """Slabs (B, 1 + context, Y, X); in a ``share`` of them all but the central plane is NaN."""
    half = slabs.shape[1] // 2
    hidden = torch.rand(len(slabs), generator=generator) < share
    result = slabs.clone()
    result[hidden] = torch.nan
    result[hidden, half] = slabs[hidden, half]
    return result
