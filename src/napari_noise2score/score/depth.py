"""Convolutions over the planes of a slab, until its middle plane alone is left."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from napari_noise2score.score.precision import depth_precision


class DepthBlock(nn.Module):
    """``x + conv(relu(conv(relu(x))))`` in three dimensions, without the outermost two planes.

    (B, C, P, Y, X) becomes (B, C, P - 2, Y, X). The last convolution starts at zero: at first the
    other planes change nothing.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=(0, 1, 1))
        self.last = nn.Conv3d(channels, channels, (1, 3, 3), padding=(0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        with depth_precision(x) as x:
            return x[:, :, 1:-1] + cast(Tensor, self.last(F.relu(self.first(F.relu(x)))))
