"""Changes of the light between the two frames of a pair, level by level, as torch functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noise2score.noise.pairs import LevelChange

_STEPS = 200
"""Least distance of two nodes, steps of single precision."""


class LightChanges:
    """Changes of the light between the two frames of each patch of a batch.

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
                for side in _apart(change.first, change.second)
            ]
            for change in changes
        ]

    @property
    def some(self) -> bool:
        """Whether the light changes in any patch."""
        return any(line is not None for line in self._lines)

    def brought(self, level: Tensor) -> Tensor:
        """Clean levels (B, 1, Y, X) of the first frames, in the light of the second."""
        if not self.some:
            return level
        return torch.stack(
            [
                each if line is None else _on_line(each, line[0], line[1])[0]
                for each, line in zip(level, self._lines, strict=True)
            ]
        )

    def taken_back(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Levels (B, 1, Y, X) of the second frames in the light of the first, and the slope.

        The slope is the derivative of a level in the second frame by that in the first.
        """
        before, slope = [], []
        for each, line in zip(level, self._lines, strict=True):
            level_before, inverse = (
                (each, torch.ones_like(each)) if line is None else _on_line(each, *line[::-1])
            )
            before.append(level_before)
            slope.append(1 / inverse)
        return torch.stack(before), torch.stack(slope)


def _apart(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes that are so far apart that single precision has their slopes: where read noise is
    much larger than the gain, those near the offset are not.
    """
    highest = max(np.abs(first).max(), np.abs(second).max())
    least = _STEPS * np.spacing(np.float32(highest))
    kept = [0]
    for node in range(1, len(first)):
        steps = first[node] - first[kept[-1]], second[node] - second[kept[-1]]
        if min(steps) >= least:
            kept.append(node)
    places = kept if len(kept) > 1 else [0, len(first) - 1]
    return first[places], second[places]


def _on_line(at: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Linear interpolation of ``y(x)``, extrapolated at both ends, and its slope."""
    place = torch.searchsorted(x, at.detach().contiguous()).clamp(1, len(x) - 1)
    slope = (y[place] - y[place - 1]) / (x[place] - x[place - 1])
    return y[place - 1] + slope * (at - x[place - 1]), slope
