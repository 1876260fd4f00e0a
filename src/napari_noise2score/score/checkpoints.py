"""Checkpoints of a training, and which of them is delivered.

Where frames of one scene are compared the risk decides (`napari_noise2score.score.risk`), which
then rests on no model of the noise. Of single images it rests on one, and its error is larger than
what a training gains. There it can only object, and so can a second judge that shares no
assumption with it: what becomes of flat places (`napari_noise2score.score.flat_places`).
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
"""Evaluations in a row without a lower risk after which a training from good weights ends."""
_UNDECIDED = 4
"""Evaluations after which it ends if none had a clearly lower risk than the start."""
_REFUSED = 2
"""Evaluations in a row of weights that a judge of single images objects to, after which it ends:
the next ones would be like them."""


class Checkpoint(NamedTuple):
    """Weights of a network and how they were judged."""

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
    """Stores the best weights so far, and selects those that are delivered in the end.

    Parameters
    ----------
    probe : Probe
        What the networks are judged on.
    good : bool
        Whether the first weights are good ones, which others have to beat.
    """

    def __init__(self, probe: Probe, *, good: bool) -> None:
        self._probe, self._good = probe, good
        self._alone = ~probe.paired
        self.single = good and bool(self._alone.mean() > 0.5)
        """Whether most places are of single images: then the risk does not decide alone."""
        self._start: NDArray[np.float32] | None = None
        self._first: Checkpoint | None = None
        self._best: Checkpoint | None = None
        self._last: Checkpoint | None = None
        self._evaluations = 0
        self.since_best = 0
        """Evaluations after that of the best weights."""
        self.refused = 0
        """Evaluations in a row of weights of single images that a judge objects to."""

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
    def first(self) -> Risk:
        """Risk at the first evaluation; there must have been one."""
        return _there(self._first).risk

    @property
    def best(self) -> Risk:
        """Risk of the best weights so far.

        Those of the lowest risk; of single images the last ones that no judge objects to.
        """
        return _there(self._best).risk

    @property
    def gained(self) -> bool:
        """Whether the best weights have a risk that is clearly lower than the first."""
        return self.best.beats(self.first)

    @property
    def exhausted(self) -> bool:
        """Whether nothing more is to be gained over good first weights."""
        if self.single:
            return self.refused >= _REFUSED
        # the first evaluation is that of the start
        undecided = self._evaluations > _UNDECIDED and not self.gained
        return undecided or self.since_best >= _PATIENCE

    @property
    def flat(self) -> FlatPlaces:
        """Effect of the last weights that were evaluated on flat places."""
        return _there(self._last).flat

    def evaluate(
        self,
        network: torch.nn.Module,
        clean: Callable[[Probe], NDArray[np.float32]],
        step: int,
    ) -> None:
        """Judge a network, whose estimates at the places of a probe are ``clean(probe)``."""
        found = clean(self._probe)
        weights = {key: value.detach().clone() for key, value in network.state_dict().items()}
        self._last = Checkpoint(self._probe.risk(found), step, weights, self._flat(found))
        self._first = self._first or self._last
        self._evaluations += 1
        self.since_best += 1
        self.refused = self.refused + 1 if self._objects(self._last) else 0
        if self._best is None or self._better(self._last, self._best):
            self._best, self.since_best = self._last, 0

    def _objects(self, checkpoint: Checkpoint) -> bool:
        """Whether a judge objects to weights of single images."""
        if not self.single:
            return False
        risk = checkpoint.risk
        return checkpoint.flat.harmed or not risk.known or self.first.beats(risk)

    def _better(self, checkpoint: Checkpoint, best: Checkpoint) -> bool:
        if self.single:
            return not self.refused
        return checkpoint.risk.known and checkpoint.risk.value < best.risk.value

    def _flat(self, clean: NDArray[np.float32]) -> FlatPlaces:
        """Effect on flat places, in the first of the two inputs of a place."""
        if not self.single:
            return FlatPlaces()
        probe, alone = self._probe, self._alone
        here = clean[::2][alone]
        if self._start is None:
            self._start = here
        return flat_places(probe.noisy[::2][alone], self._start, here, probe.image[::2][alone])

    def deliver(self, network: torch.nn.Module) -> Checkpoint:
        """Put the selected weights into ``network``; their checkpoint.

        Good first weights, unless others have a clearly lower risk, or, of single images, no judge
        objects to the last ones. Without good first weights the last, unless earlier ones were
        clearly better.
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
        raise RuntimeError('no network has been judged yet')
    return checkpoint
