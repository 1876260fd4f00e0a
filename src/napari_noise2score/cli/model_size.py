"""Size of a model file, asked before the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_noise2score.settings import NetworkSettings, TrainSettings

if TYPE_CHECKING:
    from napari_noise2score.score.model import ScoreModel


def bytes_of_model(start: ScoreModel | None, training: TrainSettings) -> int:
    """Bytes of the weights of a model in a file, at most; ``start`` is what it begins with."""
    from napari_noise2score.score.network.choice import network_of

    size = training.network or NetworkSettings()
    network = network_of(size) if start is None else start.network
    weights = sum(weight.numel() for weight in network.parameters())
    return 4 * weights * training.slices
