"""Size of a model file, asked before the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_noise2score.settings import NetworkSettings, StartFrom, TrainSettings

if TYPE_CHECKING:
    from napari_noise2score.score.model import ScoreModel


def bytes_of_model(start: ScoreModel | None, training: TrainSettings) -> int:
    """Bytes of the weights of a model in a file, at most; ``start`` is what it begins with."""
    from napari_noise2score.score.network.choice import network_of
    from napari_noise2score.score.pretraining.weights import warm_start_with_context

    size = training.network or NetworkSettings()
    begins = [network_of(size)] if start is None else [start.network]
    if training.init == StartFrom.WARM:  # if it learns with context
        begins.append(warm_start_with_context().network)
    weights = max(sum(w.numel() for w in network.parameters()) for network in begins)
    return 4 * weights
