"""What is known level by level, as torch functions: noise variance, changes of the light."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_noise2score.noise.level_table import SMALLEST_VARIANCE, VarianceCurve
from napari_noise2score.noise.pairs import LevelChange


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


class LightChanges:
    """What the light changes between the two frames of each patch of a batch.

    Parameters
    ----------
    changes : sequence of LevelChange or None
        One for each patch.
    device : torch.device
        Where levels will be.
    """

    def __init__(self, changes: Sequence[LevelChange | None], device: torch.device) -> None:
        self._lines = [
            None
            if change is None
            else [
                torch.from_numpy(np.asarray(side, np.float32)).to(device)
                for side in (change.first, change.second)
            ]
            for change in changes
        ]

    @property
    def some(self) -> bool:
        """Whether there is any."""
        return any(line is not None for line in self._lines)

    def brought(self, level: Tensor) -> Tensor:
        """Clean levels (B, 1, Y, X) of the first frames as they are in the second."""
        if not self.some:
            return level
        return torch.stack(
            [
                each if line is None else _on_line(each, line[0], line[1])[0]
                for each, line in zip(level, self._lines, strict=True)
            ]
        )

    def taken_back(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Levels (B, 1, Y, X) of the second frames as they are in the first.

        And how much the second change with the first there.
        """
        before, slope = [], []
        for each, line in zip(level, self._lines, strict=True):
            found = (each, torch.ones_like(each)) if line is None else _on_line(each, *line[::-1])
            before.append(found[0])
            slope.append(1 / found[1])
        return torch.stack(before), torch.stack(slope)


def _on_line(at: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Linear interpolation of ``y(x)`` that goes on straight at both ends, and its slope."""
    place = torch.searchsorted(x, at.detach().contiguous()).clamp(1, len(x) - 1)
    slope = (y[place] - y[place - 1]) / (x[place] - x[place - 1])
    return y[place - 1] + slope * (at - x[place - 1]), slope
