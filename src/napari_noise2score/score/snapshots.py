"""Which weights of a training are delivered: two judges that do not share an assumption decide.

The risk (`napari_noise2score.score.risk`) is what is to be lowered, and rests on what is known of
the noise. What becomes of flat places (`napari_noise2score.score.flat_places`) rests on none of
it. Weights that were trained from good ones are delivered only if both are content.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noise2score.score.flat_places import FlatPlaces, flat_places
from napari_noise2score.score.risk import Probe, Risk


class Look(NamedTuple):
    """A network as it was when it was judged."""

    risk: Risk
    step: int
    weights: dict[str, Tensor]
    flat: FlatPlaces


class Snapshots:
    """Keeps the weights of the lowest risk seen, and says which are delivered in the end.

    Parameters
    ----------
    probe : Probe
        What the networks are judged on.
    good : bool
        Whether the first weights are good ones: then none are delivered that do harm in flat
        places, or whose risk is not lower by more than two standard errors.
    """

    def __init__(self, probe: Probe, *, good: bool) -> None:
        self._probe, self._good = probe, good
        self._start: NDArray[np.float32] | None = None
        self._first: Look | None = None
        self._lowest: Look | None = None
        self._last: Look | None = None
        self.since_lowest = 0
        """Looks after the one of the lowest risk."""
        self.refused = 0
        """Looks in a row at weights that do harm in flat places."""

    @property
    def first(self) -> Risk:
        """What the first look has found; there must have been one."""
        return _there(self._first).risk

    @property
    def lowest(self) -> Risk:
        """The lowest risk of weights that can be delivered."""
        return _there(self._lowest).risk

    @property
    def gained(self) -> bool:
        """Whether the lowest risk is clearly lower than the first."""
        return self.lowest.beats(self.first)

    @property
    def flat(self) -> FlatPlaces:
        """What the last weights that were looked at have made of flat places."""
        return _there(self._last).flat

    def look(
        self,
        network: torch.nn.Module,
        clean: Callable[[Probe], NDArray[np.float32]],
        step: int,
    ) -> None:
        """Judge a network; ``clean`` gives its estimates at the places of a probe."""
        found = clean(self._probe)
        weights = {key: value.detach().clone() for key, value in network.state_dict().items()}
        flat = self._flat(found)
        self._last = Look(self._probe.risk(found), step, weights, flat)
        self._first = self._first or self._last
        self.refused = self.refused + 1 if flat.harmed else 0
        self.since_lowest += 1
        risk = self._last.risk
        lower = self._lowest is None or (risk.known and risk.value < self._lowest.risk.value)
        if lower and not self.refused:
            self._lowest, self.since_lowest = self._last, 0

    def _flat(self, clean: NDArray[np.float32]) -> FlatPlaces:
        """What has become of flat places, where the risk rests on a model of the noise.

        That is where no two frames are compared; in the first of the two inputs of a place.
        """
        probe = self._probe
        alone = ~probe.paired
        if not self._good or not alone.any():
            return FlatPlaces()
        here = clean[::2][alone]
        if self._start is None:
            self._start = here
        return flat_places(probe.noisy[::2][alone], self._start, here, probe.image[::2][alone])

    def deliver(self, network: torch.nn.Module) -> Look:
        """Put the weights to deliver into ``network``, and say which they are.

        From good weights those of the lowest risk, if that is clearly lower; else the last ones,
        unless earlier ones were clearly better.
        """
        first, lowest, last = (_there(x) for x in (self._first, self._lowest, self._last))
        if self._good:
            best = lowest if self.gained else first
        else:
            best = lowest if lowest.risk.beats(last.risk) else last
        network.load_state_dict(best.weights)
        return best


def _there(look: Look | None) -> Look:
    if look is None:
        raise RuntimeError('no network has been judged yet')
    return look
