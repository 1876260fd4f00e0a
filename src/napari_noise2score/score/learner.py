"""A network that learns: its weights, their running average (EMA), and the optimiser."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from napari_noise2score.score.network.parts import Network

_WARM_UP = 50
_LEAST_RATE = 0.01
_LONGEST_MEMORY = 0.99


class Learner:
    """A network, its running average, and Adam.

    Parameters
    ----------
    network : Network
        What learns, on the device.
    rate : float
        Peak of the learning rate; it warms up and falls on a cosine.

    Attributes
    ----------
    average : Network
        The running average.
    done : int
        Steps that were followed.
    """

    def __init__(self, network: Network, rate: float) -> None:
        self.network, self.average = network, copy.deepcopy(network)
        self.done, self._rate = 0, rate
        self._optimiser: torch.optim.Optimizer | None = None

    def prepare(self, progress: float) -> None:
        """Set the learning rate for the next step; ``progress`` of the training is 0 to 1."""
        cosine = _LEAST_RATE + (1 - _LEAST_RATE) * (1 + math.cos(math.pi * progress)) / 2
        for group in self._adam().param_groups:
            group['lr'] = self._rate * min(1.0, (self.done + 1) / _WARM_UP) * cosine

    def follow(self) -> None:
        """Follow the gradient that lies in the network, and update the average."""
        self._adam().step()
        self.done += 1
        memory = min(_LONGEST_MEMORY, self.done / (self.done + 9))
        weights = zip(self.average.parameters(), self.network.parameters(), strict=True)
        with torch.no_grad():
            for kept, current in weights:
                kept.lerp_(current, 1 - memory)

    def state(self) -> dict[str, Any]:
        """Weights, average, and what the optimiser remembers of each weight."""
        remembered = None
        if self._optimiser is not None:
            state = self._optimiser.state
            remembered = [dict(state[weight]) for weight in self.network.parameters()]
        return {
            'rate': self._rate,
            'done': self.done,
            'network': self.network.state_dict(),
            'average': self.average.state_dict(),
            'optimiser': remembered,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned, for a network of the same size.

        What the optimiser remembers lies in memory as the weights do, as it makes it itself.
        """
        self._rate, self.done = state['rate'], state['done']
        self.network.load_state_dict(state['network'])
        self.average.load_state_dict(state['average'])
        self._optimiser = None
        if state['optimiser'] is None:
            return
        optimiser = self._adam()
        for weight, remembered in zip(self.network.parameters(), state['optimiser'], strict=True):
            optimiser.state[weight] = {
                name: _laid_as(weight, value) for name, value in remembered.items()
            }

    def _adam(self) -> torch.optim.Optimizer:
        if self._optimiser is None:  # the first one loads PyTorch's compiler, which takes seconds
            weights = self.network.parameters()
            self._optimiser = torch.optim.Adam(weights, self._rate, betas=(0.9, 0.99))
        return self._optimiser


def _laid_as(weight: Tensor, value: Tensor) -> Tensor:
    """A copy of a value, laid out in memory as a weight is; numbers as they are."""
    return torch.empty_like(weight.detach()).copy_(value) if value.ndim else value.clone()
