"""What a training watches so that it cannot fail silently."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

from napari_noise2score.errors import TrainingError

TRIVIAL = 0.985
"""Share of the loss of the score 0 above which a smoothed loss shows that nothing was learned."""

JUDGED_AFTER = 200
"""Steps after which a training that has learned nothing is called so."""

_SMOOTHING = 0.98
_OUTLIER = 10.0
"""A gradient so many times longer than usual is not followed."""
_REMEMBERED = 50


class Guard:
    """Follows loss and gradient: smoothed loss, outlier steps, the trivial solution.

    Parameters
    ----------
    trivial : float
        Loss of the score 0; infinite where the loss cannot tell.
    """

    def __init__(self, trivial: float = 1.0) -> None:
        self._trivial = trivial
        self.loss = math.nan
        self.skipped = 0
        self._steps = 0
        self._norms: deque[float] = deque(maxlen=_REMEMBERED)

    def accepts(self, loss: float, norm: float, learning_rate: float) -> bool:
        """Whether to follow a gradient of length ``norm``.

        Raises
        ------
        TrainingError
            If loss or gradient are not finite.
        """
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise TrainingError(
                f'the loss became non-finite at step {self._steps + self.skipped + 1}; lower the '
                f'learning rate (it is {learning_rate:g}) or check the noise parameters'
            )
        usual = median(self._norms) if len(self._norms) == _REMEMBERED else math.inf
        self._norms.append(norm)
        if norm > _OUTLIER * usual:
            self.skipped += 1
            return False
        self._steps += 1
        memory = min(_SMOOTHING, 1 - 1 / self._steps)
        self.loss = loss if self._steps == 1 else memory * self.loss + (1 - memory) * loss
        return True

    @property
    def trivial(self) -> bool:
        """Whether enough steps were done and nothing was learned in them."""
        return self._steps >= JUDGED_AFTER and self.loss > TRIVIAL * self._trivial
