"""Muon: an optimiser that follows the nearest orthogonal matrix of the momentum.

So no direction of the features is left behind (Jordan et al., "Muon: an optimizer for hidden
layers in neural networks", 2024). From random weights it needs about half of the steps that Adam
needs.

PyTorch's own (`torch.optim.Muon`) always multiplies in bfloat16. A processor that only imitates it
spends more time on that than on the network, so here it is float32 there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from napari_noise2score.score.device import has_fast_bfloat16

MOMENTUM = 0.95
_STEPS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315
"""Coefficients of the iteration, for a slope at zero that is as large as possible."""
_SIZE = 0.2
"""Root mean square of a step of learning rate 1, as of one of Adam's (Liu et al., "Muon is
scalable for LLM training", 2025)."""


class Muon(torch.optim.Optimizer):
    """Changes matrices along their gradients.

    Parameters
    ----------
    matrices : iterable of Parameter
        Matrices (R, C) on one device.
    lr : float
        Learning rate.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(matrices, {'lr': lr, 'momentum': MOMENTUM})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; without a ``closure``."""
        for group in self.param_groups:
            momentum = group['momentum']
            for matrix in group['params']:
                if matrix.grad is None:
                    continue
                kept = self.state[matrix]
                if 'momentum_buffer' not in kept:
                    kept['momentum_buffer'] = torch.zeros_like(matrix)
                memory = kept['momentum_buffer'].lerp_(matrix.grad, 1 - momentum)
                direction = nearest_orthogonal(matrix.grad.lerp(memory, momentum))
                step = group['lr'] * _SIZE * max(matrix.shape) ** 0.5
                matrix.add_(direction, alpha=-step)


def nearest_orthogonal(matrix: Tensor) -> Tensor:
    """About the orthogonal matrix (R, C) that is nearest to a matrix: singular values near one.

    By Newton-Schulz iterations; the singular values end between about 0.7 and 1.2.
    """
    kind = torch.bfloat16 if has_fast_bfloat16(matrix.device) else torch.float32
    x = matrix.to(kind)
    tall = len(x) > x.shape[1]
    x = x.T if tall else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=_B, alpha=_C), x, beta=_A)
    return (x.T if tall else x).to(matrix.dtype)
