"""The optimiser of the pretraining: Muon for the convolutions, Adam for what is left."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from napari_noise2score.score.pretraining.muon import Muon

_NARROWEST = 16
"""Features that a matrix has at least in both directions."""
_ADAM_SHARE = 0.4
"""Learning rate of Adam relative to that of Muon."""
_BETAS = 0.9, 0.99


class Optimiser:
    """Changes the weights of a network along its gradient.

    Parameters
    ----------
    network : Module
        On its device; its weights are changed in place from then on.
    learning_rate : float
        Largest learning rate.
    """

    def __init__(self, network: nn.Module, learning_rate: float) -> None:
        self._matrices: list[tuple[nn.Parameter, nn.Parameter]] = []
        others: list[nn.Parameter] = []
        for weight in network.parameters():
            matrix = _matrix(weight.data)
            if matrix is None:
                others.append(weight)
            else:
                self._matrices.append((weight, nn.Parameter(matrix)))
        rate = _ADAM_SHARE * learning_rate
        self._parts: list[tuple[float, torch.optim.Optimizer]] = [
            (rate, torch.optim.Adam(others, rate, betas=_BETAS))
        ]
        if self._matrices:
            matrices = [matrix for _, matrix in self._matrices]
            self._parts.append((learning_rate, Muon(matrices, learning_rate)))

    def step(self, rate: float) -> None:
        """One step, with that share (0 to 1) of the largest learning rate."""
        for weight, matrix in self._matrices:
            matrix.grad = None if weight.grad is None else _rows(weight.grad)
        for most, part in self._parts:
            for group in part.param_groups:
                group['lr'] = rate * most
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """What it remembers."""
        return {'parts': [part.state_dict() for _, part in self._parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with what was remembered.

        Raises
        ------
        ValueError, KeyError
            If it is of another network or optimiser.
        """
        for (_, part), kept in zip(self._parts, state['parts'], strict=True):
            part.load_state_dict(kept)


def _matrix(weight: Tensor) -> Tensor | None:
    """A view of the weights of a convolution, (features, inputs); None if there is none."""
    if weight.ndim != 4:
        return None
    rows = _rows(weight)
    if min(rows.shape) < _NARROWEST or rows.data_ptr() != weight.data_ptr():
        return None
    return rows


def _rows(weight: Tensor) -> Tensor:
    return weight.permute(0, 2, 3, 1).flatten(1)
