"""A gradient that can be relied on: in bfloat16 as long as that is finite, else in float32."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from napari_noise2score.score.precision import Precision

CLIP = 1.0
"""Longest gradient that is followed; longer ones are shortened to it."""

log = logging.getLogger(__name__)


class Gradient(NamedTuple):
    """A loss, and the length of its gradient before it was shortened."""

    loss: float
    length: float

    @property
    def finite(self) -> bool:
        """Whether it can be followed."""
        return math.isfinite(self.loss) and math.isfinite(self.length)


def gradient(
    network: nn.Module,
    loss: Callable[[], Tensor],
    precision: Precision,
    step: int,
    rewind: Callable[[], None] | None = None,
    average: Callable[[float], float] = float,
) -> Gradient:
    """Put the gradient of a loss into the weights of a network, at most `CLIP` long.

    Where loss or gradient are not finite in bfloat16 both are computed again in float32, and with
    that ``precision`` everything after them.

    Parameters
    ----------
    network : Module
        What learns.
    loss : callable
        Computes the loss, a scalar.
    precision : Precision
        How precisely to compute.
    step : int
        Number of the step, for the record.
    rewind : callable, optional
        Called before the loss is computed again: makes it draw the same random numbers.
    average : callable, optional
        Given the loss, averages the gradient in the network over several processes, and returns
        the mean loss.

    Returns
    -------
    Gradient
        Not finite if it is not in float32 either.
    """
    found = _gradient(network, loss, precision, average)
    if found.finite or not precision.reduced:
        return found
    log.warning(
        'step %d of the training was not finite in bfloat16. It is repeated in float32, and the '
        'training goes on in float32, which takes longer.',
        step,
    )
    precision.give_up(step)
    if rewind is not None:
        rewind()
    return _gradient(network, loss, precision, average)


def _gradient(
    network: nn.Module,
    loss: Callable[[], Tensor],
    precision: Precision,
    average: Callable[[float], float],
) -> Gradient:
    network.zero_grad(set_to_none=True)
    with precision.of(network):
        value = loss()
    value.backward()  # type: ignore[no-untyped-call]
    mean = average(float(value.detach()))
    length = nn.utils.clip_grad_norm_(network.parameters(), CLIP)
    return Gradient(mean, float(length))
