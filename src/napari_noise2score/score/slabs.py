"""Slabs: neighbouring planes of a stack as channels of a tensor, the middle one predicted.

For noise that is independent between planes Tweedie's formula holds plane by plane:
``E[x_mid | t_1 .. t_P] = t_mid + v d/dt_mid log p(t_1, .., t_P)`` (the noise of the others enters
through the density alone), so the score is needed at the middle plane only.

A plane beyond the end of a stack is not there, and is NaN. It is not replaced by its mirror image:
a network that takes the same plane for two of independent noise trusts it too much, and takes the
stack for symmetric there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HIDDEN = 0.25
"""Share of the patches of a training whose slab is cut off somewhere, as at the end of a stack:
ends are rare in a deep stack, and would be learned badly."""


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
    """Slabs (B, P, Y, X), a ``share`` of them without the planes from somewhere on.

    Somewhere above or below the middle; nothing is drawn if there are no neighbours.
    """
    half = slabs.shape[1] // 2
    if not half:
        return slabs
    kept = slabs.clone()
    chosen = torch.rand(len(slabs), generator=generator) < share
    above = torch.rand(len(slabs), generator=generator) < 0.5
    missing = torch.randint(1, half + 1, (len(slabs),), generator=generator)
    for index in chosen.nonzero()[:, 0].tolist():
        count = int(missing[index])
        kept[index, slice(count) if above[index] else slice(-count, None)] = torch.nan
    return kept
