"""Losses that learn the score ``s(t) = grad log p(t)`` from noisy images alone.

All train the same network through the same interface, `ScoreLoss`; they differ in the target and
in the parameterisation of the network (`napari_noise2score.score.parameterisation`). Adding a
loss means one subclass of `ScoreLoss` and its place in `LOSSES`.
"""

from __future__ import annotations

from collections.abc import Mapping

from napari_noise2score.score.loss.ardae import ARDAE, Preconditioned, Published
from napari_noise2score.score.loss.base import ScoreLoss
from napari_noise2score.score.loss.sliced import Sliced

LOSSES: Mapping[str, type[ScoreLoss]] = {
    loss.name: loss for loss in (Preconditioned, Published, Sliced)
}
"""Every loss by its name, the default first."""

__all__ = ['ARDAE', 'LOSSES', 'Preconditioned', 'Published', 'ScoreLoss', 'Sliced']
