"""Monitoring of a training, so that it cannot fail silently."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import Any

from napari_noise2score.errors import TrainingError

TRIVIAL = 0.985
"""Share of the loss of the score 0 above which a smoothed loss shows that nothing was learned."""

JUDGED_AFTER = 200
"""Number of steps after which a training without progress counts as failed."""

ADVICE = (
    'check the image for values that are NaN, infinite or far too large, and the noise '
    'parameters if they were given; without them the noise is estimated from the image'
)
"""Advice for a loss that is not finite: the remaining causes."""

_SMOOTHING = 0.98
_OUTLIER = 10.0
"""Length of a gradient, relative to the median, above which a step is skipped."""
_REMEMBERED = 50
_LOST = 20
"""Non-finite steps in a row after which the weights are considered lost."""


class LossMonitor:
    """Follows loss and gradient: smoothed loss, outlier steps, the trivial solution.

    Parameters
    ----------
    trivial : float
        Loss of the score 0; infinite if the loss does not show progress.
    advice : str
        Advice if no loss is finite.
    """

    def __init__(self, trivial: float = 1.0, advice: str = ADVICE) -> None:
        self._trivial, self._advice = trivial, advice
        self.loss = math.nan
        self.skipped = 0
        self._steps = self._not_finite = 0
        self._norms: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def step(self) -> int:
        """Number of the step under way, from 1."""
        return self._steps + self.skipped + 1

    def accepts(self, loss: float, norm: float) -> bool:
        """Whether to follow a gradient of length ``norm``.

        A gradient that is not finite counts as an outlier if earlier ones were finite: the
        progress so far is not lost.

        Raises
        ------
        TrainingError
            If loss or gradient have never been finite.
        """
        if not math.isfinite(loss + norm):
            if not self._steps:
                raise TrainingError(
                    f'the loss is non-finite at step {self.step}, in full precision too: '
                    f'{self._advice}'
                )
            self.skipped += 1
            self._not_finite += 1
            return False
        self._not_finite = 0
        typical = median(self._norms) if len(self._norms) == _REMEMBERED else math.inf
        self._norms.append(norm)
        if norm > _OUTLIER * typical:
            self.skipped += 1
            return False
        self._steps += 1
        memory = min(_SMOOTHING, 1 - 1 / self._steps)
        self.loss = loss if self._steps == 1 else memory * self.loss + (1 - memory) * loss
        return True

    def state(self) -> dict[str, Any]:
        """What it has seen so far, plain values."""
        return {
            'loss': self.loss,
            'skipped': self.skipped,
            'steps': self._steps,
            'not_finite': self._not_finite,
            'norms': list(self._norms),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        self.loss, self.skipped = state['loss'], state['skipped']
        self._steps, self._not_finite = state['steps'], state['not_finite']
        self._norms = deque(state['norms'], maxlen=_REMEMBERED)

    @property
    def lost(self) -> bool:
        """Whether the weights no longer give finite values."""
        return self._not_finite >= _LOST

    @property
    def trivial(self) -> bool:
        """Whether there was no progress in enough steps."""
        return self._steps >= JUDGED_AFTER and self.loss > TRIVIAL * self._trivial
