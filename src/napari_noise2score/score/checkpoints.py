"""Checkpoints of a training, and selection of the delivered one.

If frames of one scene are compared, the risk decides (`napari_noise2score.score.risk`): it does
not depend on a noise model then. For single images it depends on one, and its error is larger than
the gain of a training. So it is only a check there, together with a second check that shares no
assumption with it: the effect on flat places (`napari_noise2score.score.flat_places`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noise2score.score.flat_places import FlatPlaces, flat_places
from napari_noise2score.score.probe import Probe
from napari_noise2score.score.risk import Risk

_PATIENCE = 7
"""Number of consecutive evaluations without a lower risk after which a training from good weights
ends."""
_LEAST_GAIN = 1e-4
"""Part of the risk that has to be gained, more than rounding; in decibels a two-thousandth."""
_UNDECIDED = 4
"""Number of evaluations after which it ends if none had a clearly lower risk than the start."""
_REFUSED = 2
"""Number of consecutive failed checks of single images after which it ends: the next ones would
fail too."""


class Checkpoint(NamedTuple):
    """Weights of a network and their evaluation."""

    risk: Risk
    step: int
    weights: dict[str, Tensor]
    flat: FlatPlaces

    def state(self) -> dict[str, Any]:
        """Numbers, tensors and arrays by name."""
        risk = {field.name: getattr(self.risk, field.name) for field in fields(self.risk)}
        return {**self._asdict(), 'risk': risk, 'flat': self.flat._asdict()}

    @classmethod
    def restored(cls, state: Mapping[str, Any] | None) -> Checkpoint | None:
        """From what `state` returned; None from None."""
        if state is None:
            return None
        risk, flat = Risk(**state['risk']), FlatPlaces(**state['flat'])
        return cls(risk, state['step'], state['weights'], flat)


class CheckpointSelection:
    """Stores the best weights, and selects those that are delivered at the end.

    Parameters
    ----------
    probe : Probe
        Trials on which the networks are evaluated.
    good : bool
        Whether the first weights are good, so that others must be better.
    trains : bool
        Whether others will follow: only then it matters what they would learn from.
    """

    def __init__(self, probe: Probe, *, good: bool, trains: bool = True) -> None:
        self._probe, self._good, self._trains = probe, good, trains
        self._alone = ~probe.paired
        self.single = good and bool(self._alone.mean() > 0.5)
        """Whether most places are from single images: then the risk is only a check."""
        self._start: NDArray[np.float32] | None = None
        self._first: Checkpoint | None = None
        self._best: Checkpoint | None = None
        self._last: Checkpoint | None = None
        self._evaluations = 0
        self.since_best = 0
        """Number of evaluations after that of the best weights."""
        self.refused = 0
        """Number of consecutive failed checks of single images."""

    def state(self) -> dict[str, Any]:
        """What was judged so far: numbers, tensors and arrays by name."""
        judged = {'first': self._first, 'best': self._best, 'last': self._last}
        return {
            **{name: found and found.state() for name, found in judged.items()},
            'start': self._start,
            'evaluations': self._evaluations,
            'since_best': self.since_best,
            'refused': self.refused,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned, with the same probe."""
        self._first, self._best, self._last = (
            Checkpoint.restored(state[name]) for name in ('first', 'best', 'last')
        )
        self._start, self._evaluations = state['start'], state['evaluations']
        self.since_best, self.refused = state['since_best'], state['refused']

    @property
    def step(self) -> int | None:
        """Step of the last evaluation; None if there was none."""
        return None if self._last is None else self._last.step

    @property
    def first(self) -> Risk:
        """Risk at the first evaluation; at least one is required."""
        return _there(self._first).risk

    @property
    def best(self) -> Risk:
        """Risk of the best weights so far.

        Those of the lowest risk; for single images the last ones that passed the checks.
        """
        return _there(self._best).risk

    @property
    def gained(self) -> bool:
        """Whether the best weights have a risk that is clearly lower than the first."""
        return self.best.beats(self.first, by=_LEAST_GAIN)

    @property
    def exhausted(self) -> bool:
        """Whether no further gain over good first weights is expected."""
        if self.single:
            return self.refused >= _REFUSED or self.flat.hopeless
        # the first evaluation is that of the start
        undecided = self._evaluations > _UNDECIDED and not self.gained
        return undecided or self.since_best >= _PATIENCE

    @property
    def flat(self) -> FlatPlaces:
        """Effect of the last evaluated weights on flat places."""
        return _there(self._last).flat

    def evaluate(
        self,
        network: torch.nn.Module,
        clean: Callable[[Probe], NDArray[np.float32]],
        step: int,
    ) -> None:
        """Evaluate a network whose estimates at the places of a probe are ``clean(probe)``."""
        levels = clean(self._probe)
        weights = {key: value.detach().clone() for key, value in network.state_dict().items()}
        self._last = Checkpoint(self._probe.risk(levels), step, weights, self._flat(levels))
        self._first = self._first or self._last
        self._evaluations += 1
        self.since_best += 1
        self.refused = self.refused + 1 if self._objects(self._last) else 0
        if self._best is None or self._better(self._last, self._best):
            self._best, self.since_best = self._last, 0

    def _objects(self, checkpoint: Checkpoint) -> bool:
        """Whether a check of single images fails."""
        if not self.single:
            return False
        risk = checkpoint.risk
        return checkpoint.flat.harmed or not risk.known or self.first.beats(risk)

    def _better(self, checkpoint: Checkpoint, best: Checkpoint) -> bool:
        if self.single:
            return not self.refused
        first_known = not self._good and not best.risk.known
        lower = first_known or checkpoint.risk.value < best.risk.value
        return checkpoint.risk.known and lower

    def _flat(self, clean: NDArray[np.float32]) -> FlatPlaces:
        """Effect on flat places, in the first of the two inputs of a place."""
        if not self.single:
            return FlatPlaces()
        probe, alone = self._probe, self._alone
        here = clean[::2][alone]
        if self._start is None:
            self._start = here
        return flat_places(
            probe.noisy[::2][alone],
            self._start,
            here,
            probe.image[::2][alone],
            probe.witness[alone],
            probe.normal[alone] if self._trains else None,
        )

    def deliver(self, network: torch.nn.Module) -> Checkpoint:
        """Load the selected weights into ``network``; returns their checkpoint.

        With good first weights, these are selected unless others have a clearly lower risk; for
        single images, the last ones are selected if they pass the checks. Without good first
        weights, the last ones are selected unless earlier ones were clearly better.
        """
        first, best, last = (_there(x) for x in (self._first, self._best, self._last))
        if self.single:
            chosen = first if self.refused else last
        elif self._good:
            chosen = best if self.gained else first
        else:
            chosen = best if best.risk.beats(last.risk) else last
        network.load_state_dict(chosen.weights)
        return chosen


def _there(checkpoint: Checkpoint | None) -> Checkpoint:
    if checkpoint is None:
        raise RuntimeError('no network has been evaluated yet')
    return checkpoint
