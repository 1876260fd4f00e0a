"""The networks by their settings."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from napari_noise2score.errors import InputError
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


def widened(network: Network, planes: int) -> Network:
    """A copy of a network with more input planes, which have no effect on its output at first.

    Parameters
    ----------
    network : Network
        On the CPU.
    planes : int
        Input planes of the copy. Existing blocks keep their weights; new blocks for the outer
        planes are inserted before them.

    Raises
    ------
    InputError
        If the network has more input planes.
    """
    present = network.settings.planes
    if planes == present:
        return copy.deepcopy(network)
    if not isinstance(network, ScoreNetwork):
        raise InputError(
            f'a network with context has no planes to add, but {planes} slices at once are '
            'requested; give 1 (--slices 1) and a context, or start from other weights'
        )
    if planes < present:
        raise InputError(
            f'the network uses {present} slices at once, but {planes} are requested; give '
            f'{present} or more, or start from other weights'
        )
    settings = replace(network.settings, planes=planes)
    wide = ScoreNetwork(settings, torch.Generator()).train(network.training)
    weights, new = network.state_dict(), len(wide.depth) - len(network.depth)
    wide.load_state_dict(
        {k: v for k, v in weights.items() if not k.startswith('depth')}, strict=False
    )
    for own, block in zip(wide.depth[new:], network.depth, strict=True):
        own.load_state_dict(block.state_dict())
    return wide
