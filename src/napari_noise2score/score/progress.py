"""Progress of a training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_noise2score.score.model import ScoreModel


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """Where a training is, after each step.

    Attributes
    ----------
    step : int
        Steps done.
    seconds : float
        Time since the start.
    loss : float
        Running mean of the loss; 1 is the trivial score 0.
    fraction : float
        Share of the training that is done, 0 to 1.
    start_risk, risk : float or None
        Estimated error of the start and of what has been learned so far, in units of the noise
        variance, where they are known: at the last evaluation.
    model : callable
        Gives a copy of what has been learned so far, while the training waits.
    resumed : int or None
        Step from which an interrupted training continues here; None everywhere else.
    """

    step: int
    seconds: float
    loss: float
    fraction: float
    start_risk: float | None = None
    risk: float | None = None
    model: Callable[[], ScoreModel] | None = field(default=None, repr=False, compare=False)
    resumed: int | None = None
