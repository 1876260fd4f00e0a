"""The optimiser of the pretraining: Muon for the convolutions, Adam for what is left.

Muon follows the nearest orthogonal matrix of the momentum, so that no direction of the features is
left behind (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; the
step has the size of one of Adam's, Liu et al., "Muon is scalable for LLM training", 2025). From
random weights it needs about half of the steps that Adam needs.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn

_NARROWEST = 16
"""Features that a matrix has at least in both directions."""
_ADAM_SHARE = 0.4
"""Learning rate of Adam relative to that of Muon."""
_MOMENTUM, _BETAS = 0.95, (0.9, 0.99)

log = logging.getLogger(__name__)


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
        muon = getattr(torch.optim, 'Muon', None)
        if muon is None:
            log.warning('PyTorch %s has no Muon; Adam is used, which is slower', torch.__version__)
        for weight in network.parameters():
            if muon is not None and (matrix := _matrix(weight.data)) is not None:
                self._matrices.append((weight, nn.Parameter(matrix)))
            else:
                others.append(weight)
        self._parts: list[tuple[float, torch.optim.Optimizer]] = [
            (
                _ADAM_SHARE * learning_rate,
                torch.optim.Adam(others, _ADAM_SHARE * learning_rate, betas=_BETAS),
            )
        ]
        if muon is not None and self._matrices:
            matrices = [matrix for _, matrix in self._matrices]
            found = muon(
                matrices,
                lr=learning_rate,
                weight_decay=0.0,
                momentum=_MOMENTUM,
                adjust_lr_fn='match_rms_adamw',
            )
            self._parts.append((learning_rate, found))

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
