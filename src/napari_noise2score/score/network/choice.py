"""The networks by their settings."""

from __future__ import annotations

import torch

from napari_noise2score.score.network.parts import Network
from napari_noise2score.score.network.plain import ScoreNetwork
from napari_noise2score.score.network.with_context import ContextNetwork
from napari_noise2score.settings import NetworkSettings


def network_of(settings: NetworkSettings, generator: torch.Generator | None = None) -> Network:
    """A network of this size, with weights from the generator."""
    return _kind(settings)(settings, generator)


def widths_of(settings: NetworkSettings) -> list[int]:
    """Number of features at each resolution, the highest first."""
    return _kind(settings).widths(settings)


def _kind(settings: NetworkSettings) -> type[ScoreNetwork | ContextNetwork]:
    return ContextNetwork if settings.context else ScoreNetwork
