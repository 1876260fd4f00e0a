r"""How much of a result with context is blended in: measured on the image itself.

The share ``g`` of `blend.Blend` with the least risk follows in closed form from Stein's unbiased
estimate (Blu & Luisier, "The SURE-LET approach to image denoising", IEEE TIP 2007), with the
covariance measured as in `napari_noise2score.score.resampling`, or by a perturbation where the
noise is correlated:

.. math:: g = \frac{E (D_S - D_0) (t - D_0) - \operatorname{cov}(D_S - D_0, n)}{E (D_S - D_0)^2}

It is lowered by its standard error, so that no class gets worse than without context. The share
``k`` of what is given back is 1, or less if that would cost more than a small part of what the
context gains: no image gets worse than plane by plane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.pipeline.blend import (
    NOTHING,
    SQUARES,
    Array,
    Blend,
    Plane,
    local_mean_of,
    standing_of,
)
from napari_noise2score.score.context import ERROR, UNSTEADINESS, context_in
from napari_noise2score.score.probe import Probe

_UNSTEADY = 0.5, 0.75, 0.9, 0.97, 0.99
"""Shares of the pixels below the limits of the unsteadiness of a class."""
_STANDING = 2.5, 3.0, 3.5, 4.2, 5.5, 7.5
"""Limits of how far a place stands out from the mean of the others, noise standard deviations."""
_ONCE = 3.5
"""Distance above which white noise hardly ever stands out, noise standard deviations."""
_USUAL, _NINE_TENTHS = 2.2, 3.07
"""How far half of the places of white noise stand out at most, and how far nine tenths."""
_PRICE = 0.15
"""Share of the gain that may be spent on what is given back."""
_EVENT = 0.05
"""Least height of an event that was added, noise standard deviations."""
_CAUTION = 1.0
"""Standard errors by which a share is lowered."""
_FEWEST = 500
"""Minimum number of pixels in which the share of a class is measured."""


@dataclass(frozen=True, eq=False)
class Trials:
    """What a blend is measured from: inputs, their estimates, and what was added to them.

    Attributes
    ----------
    probe : Probe
        Trials (2 K, P, S, S) of planes with their contexts.
    alone, beside : (2 K, S, S) float32
        Estimates of their inputs, without and with context.
    events : (2 K, S, S) float32
        What was added to their inputs, so that enough stands out in the trials. How far a place
        usually stands out is measured without it.
    resampled : bool
        Whether the second input of each trial has resampled pixels, and only the first one the
        noise of the image; else both are perturbed.
    """

    probe: Probe
    alone: Plane
    beside: Plane
    events: Plane
    resampled: bool

    @property
    def used(self) -> slice:
        """The inputs that are summed over."""
        return slice(None, None, 2) if self.resampled else slice(None)

    @cached_property
    def contexts(self) -> list[Plane]:
        """What is beside each input."""
        return [context_in(slab) for slab in self.probe.slabs]

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Pixels (2 K, S, S) that are compared, and have others beside them."""
        beside = np.stack([context[ERROR] > 0 for context in self.contexts])
        return np.asarray(beside & (np.repeat(self.probe.weight, 2, axis=0) > 0))

    @cached_property
    def untouched(self) -> NDArray[np.bool_]:
        """Pixels of `seen` that do not stand out because of what was added."""
        around = 2 * SQUARES[-1] - 1  # in which an event makes places stand out
        height = ndimage.maximum_filter(np.abs(self.events), (1, around, around))
        return np.asarray(self.seen & (height < _EVENT))

    def standing(self, planes: Plane) -> Plane:
        """How far places of planes (2 K, S, S) stand out from what is beside them."""
        return np.stack([standing_of(*both) for both in zip(planes, self.contexts, strict=True)])

    def pull(self, change: Plane, level: Plane) -> Plane:
        """Unbiased estimate of the product of a change of estimates with what they lack.

        ``change`` and ``level``, the change and the estimates, are (2 K, S, S) float32, and the
        result is that of the inputs in use.
        """
        pull = change * (self.probe.target - level)
        if not self.resampled:
            return np.asarray(pull, np.float32)
        density = max(float((self.probe.change != 0).mean()), 1e-6)
        covariance = (change[::2] - change[1::2]) * self.probe.change / (2 * density)
        return np.asarray(pull[::2] - covariance, np.float32)

    def cost(self, change: Plane, level: Plane) -> tuple[float, float]:
        """Of a change of estimates: sums of its square, and of its product with what they lack."""
        where = self.untouched[self.used]
        products = change[self.used] ** 2, self.pull(change, level)
        power, lost = (float(values[where].sum()) for values in products)
        return power, lost


def measured_blend(trials: Trials) -> Blend:
    """The blend with the least risk, and the distance from which something stands out."""
    used, seen = trials.used, trials.seen[trials.used]
    if not seen.any():
        return NOTHING
    planes = trials.probe.noisy
    standing, usual = trials.standing(planes), trials.standing(planes - trials.events)
    half, most = np.quantile(usual[used][seen], [0.5, 0.9])
    spread, once = max(1.0, half / _USUAL), _ONCE * max(1.0, most / _NINE_TENTHS)
    unsteady = np.stack([context[UNSTEADINESS] for context in trials.contexts])
    places = len(trials.probe.weight)
    classes = _Classes.of(seen, unsteady[used], standing[used], spread, places)
    change = trials.beside - trials.alone
    power = classes.sums(change[used] ** 2)
    pull = classes.sums(trials.pull(change, trials.alone))
    share = _shares(power, pull, classes.sums(seen))
    blend = Blend(*classes.middles, share, classes.count, float(once))
    return replace(blend, back=_given_back(blend, trials, standing, usual))


def _given_back(blend: Blend, trials: Trials, standing: Plane, usual: Plane) -> float:
    """The share of what was removed that is given back where a place stands out.

    ``standing`` and ``usual`` are how far places stand out with what was added, and without it.
    """
    planes = trials.probe.noisy
    each = trials.contexts, standing, trials.alone, trials.beside
    level = np.stack([blend.mixed(*parts) for parts in zip(*each, strict=True)])
    power, lost = trials.cost(level - trials.alone, trials.alone)
    given = np.stack([local_mean_of(removed) for removed in planes - level])
    cost = trials.cost(given * blend.standing_out(usual), level)
    return _affordable(*cost, _PRICE * (2 * lost - power))


def _affordable(power: float, lost: float, price: float) -> float:
    """The largest share ``k``, 0 to 1, of which the cost ``k^2 power - 2 k lost`` is no more than
    the price, and at least the share with the least cost.
    """
    if power <= 0:
        return 1.0
    share = (lost + math.sqrt(max(lost**2 + power * price, 0.0))) / power
    return float(np.clip(share, 0.0, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Classes:
    """Pixels (K, Y, X) by how unsteady a place is and how far it stands out.

    Attributes
    ----------
    seen : (K, Y, X) bool
        Pixels that are used.
    index : (P,) int
        Place and class of each of them.
    shape : tuple of int
        Number of places, of classes of unsteadiness and of standing out.
    middles : tuple of (U,) float and (S,) float
        Median of the unsteadiness, and of how far places stand out.
    """

    seen: NDArray[np.bool_]
    index: NDArray[np.int64]
    shape: tuple[int, int, int]
    middles: tuple[Array, Array]

    @classmethod
    def of(
        cls, seen: NDArray[np.bool_], unsteady: Plane, standing: Plane, spread: float, places: int
    ) -> _Classes:
        """Classes of pixels at a number of ``places``, in their order along the first axis."""
        rows, columns = unsteady[seen], standing[seen]
        low = np.asarray(np.quantile(rows, _UNSTEADY), np.float64)
        far = spread * np.array(_STANDING)
        number = np.searchsorted(low, rows), np.searchsorted(far, columns)
        place = np.broadcast_to(
            (np.arange(len(seen)) * places // len(seen))[:, None, None], seen.shape
        )
        shape = places, len(low) + 1, len(far) + 1
        index = np.ravel_multi_index((place[seen], *number), shape)
        return cls(seen, index, shape, (_medians(rows, low), _medians(columns, far)))

    def sums(self, values: Plane | NDArray[np.bool_]) -> Array:
        """Sums of values (K, Y, X) at each place and in each class, (places, U, S)."""
        weights = values[self.seen].astype(np.float64)
        total = np.bincount(self.index, weights, math.prod(self.shape))
        return np.asarray(total.reshape(self.shape), np.float64)

    @property
    def count(self) -> NDArray[np.int64]:
        """Number of pixels of each class, (U, S)."""
        return np.asarray(self.sums(self.seen).sum(0), np.int64)


def _medians(values: Plane, limits: Array) -> Array:
    """Median of the values between limits, increasing; the limit where there are none."""
    classes = np.searchsorted(limits, values)
    ends = np.append(limits, limits[-1])
    found = [
        float(np.median(values[classes == number])) if (classes == number).any() else end
        for number, end in enumerate(ends)
    ]
    return np.asarray(np.maximum.accumulate(found) + 1e-9 * np.arange(len(found)), np.float64)


def _shares(power: Array, pull: Array, seen: Array) -> Array:
    """Share of each class (U, S), from sums at each place (K, U, S)."""
    # classes that were hardly seen: as all places that stand out as far, but no more than those
    # that are less unsteady
    together = _share(power.sum(1, keepdims=True), pull.sum(1, keepdims=True))[0]
    own, known, most = _share(power, pull), seen.sum(0) >= _FEWEST, together
    rows = []
    for found, enough in zip(own, known, strict=True):
        most = np.where(enough, found, most)
        rows.append(np.where(enough, found, np.minimum(most, together)))
    return np.array(rows)


def _share(power: Array, pull: Array) -> Array:
    """The share less its standard error, 0 to 1; 0 if it is not known."""
    places, total = len(power), power.sum(0)
    sure = np.where(total > 0, total, np.inf)
    share: Array = pull.sum(0) / sure
    error = ((pull - share * power) ** 2).sum(0) ** 0.5 / sure
    error = error * (places / max(places - 1, 1)) ** 0.5
    return np.asarray(np.clip(share - _CAUTION * error, 0.0, 1.0))
