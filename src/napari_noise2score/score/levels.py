"""Noise variance by level, as a torch function: one curve for each image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_noise2score.noise.correct import SMALLEST_VARIANCE
from napari_noise2score.noise.level_table import VarianceCurve


class NoiseVariance:
    """The curves of several images, looked up together.

    Parameters
    ----------
    curves : sequence of VarianceCurve
        One for each image, all with the same number of values.
    device : torch.device
        Where levels will be.
    """

    def __init__(self, curves: Sequence[VarianceCurve], device: torch.device) -> None:
        table = np.stack([curve.values for curve in curves]).astype(np.float32)
        self._table = torch.from_numpy(table).to(device)
        self._start = torch.tensor([float(c.start) for c in curves], device=device)
        width = [max(float(c.stop) - float(c.start), 1e-6) for c in curves]
        self._scale = (self._table.shape[1] - 1) / torch.tensor(width, device=device)

    def at(self, image: Tensor, level: Tensor) -> Tensor:
        """Variance for levels (B, 1, Y, X) of the images (B,), to divide by; their shape.

        At least `SMALLEST_VARIANCE`.
        """
        return self.true(image, level).clamp_min(SMALLEST_VARIANCE)

    def true(self, image: Tensor, level: Tensor) -> Tensor:
        """The same without a least value, to be compared with what is measured."""
        wide = (-1, 1, 1, 1)
        place = (level.float() - self._start[image].view(wide)) * self._scale[image].view(wide)
        # a level that is no number takes the first variance: the loss is what reports it
        place = torch.where(place.isnan(), 0.0, place).clamp(0, self._table.shape[1] - 1.001)
        below = place.long()
        share = place - below
        row = image.view(wide).expand_as(below)
        return torch.lerp(self._table[row, below], self._table[row, below + 1], share)
