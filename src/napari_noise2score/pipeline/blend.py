r"""Blending of a result with context and the one without, by classes of unsteadiness.

A network that sees the other frames may take too much from them: what happens once is rare, and
costs little in the mean. So its result is not taken as it is, but

.. math:: D = D_0 + g (D_S - D_0)

with the result ``D_0`` without context, ``D_S`` with it, and a share ``g`` for each class of
pixels: how unsteady the other planes are there, and how far the plane stands out from their mean.
The share with the least risk follows in closed form from Stein's unbiased estimate (Blu & Luisier,
"The SURE-LET approach to image denoising", IEEE TIP 2007), with the covariance measured as in
`napari_noise2score.score.resampling`, or by a perturbation where the noise is correlated:

.. math:: g = \frac{E (D_S - D_0) (t - D_0) - \operatorname{cov}(D_S - D_0, n)}{E (D_S - D_0)^2}

It is lowered by its standard error, so that no class gets worse than without context.

The least risk is not all: a weak event in one frame is improbable, so to weaken it is right on the
average, and wrong for who looks for events. Where a place stands out farther than noise does, the
local mean of what was removed is therefore given back ("twicing": Tukey, "Exploratory Data
Analysis", 1977, section 16C): it has what is left of an event, and little noise.

.. math:: D + k\, h * (t - D)

Where much stands out, as spots that move do, nothing may be missing, and only noise would be given
back. So ``k`` is 1, or less if that would cost more than a small part of what the context gains:
no image gets worse than plane by plane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.score.context import ERROR, MEAN, UNSTEADINESS, context_in
from napari_noise2score.score.network.parts import mean_over
from napari_noise2score.score.probe import Probe

Plane = NDArray[np.float32]
Array = NDArray[np.float64]

_UNSTEADY = 0.5, 0.75, 0.9, 0.97, 0.99
"""Shares of the pixels below the limits of the unsteadiness of a class."""
_STANDING = 2.5, 3.0, 3.5, 4.2, 5.5, 7.5
"""Limits of how far a place stands out from the mean of the others, noise standard deviations."""
_ONCE, _SURELY = 3.5, 1.2
"""The limit above which noise hardly ever stands out, and how many times it surely does not."""
_LOCAL = 1.0
"""Standard deviation of the Gaussian of a local mean, pixels."""
_USUAL, _NINE_TENTHS = 2.2, 3.07
"""How far half of the places of white noise stand out at most, and how far nine tenths."""
_SQUARES = 5, 9
"""Sides of the squares in which a place may stand out, pixels."""
_PRICE = 0.15
"""Share of the gain that may be spent on what is given back."""
_EVENT = 0.05
"""Least height of an event that was added, noise standard deviations."""
_CAUTION = 1.0
"""Standard errors by which a share is lowered."""
_FEWEST = 500
"""Minimum number of pixels in which the share of a class is measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """Share of the result with context, by how unsteady a place is and how far it stands out.

    Between the values at which it is known it is interpolated, so that a result has no steps.

    Attributes
    ----------
    unsteady : (U,) float
        Values of the unsteadiness, increasing.
    standing : (S,) float
        Distances from the mean of the others, increasing.
    share : (U, S) float
        ``g`` there, 0 to 1.
    count : (U, S) int
        Pixels from which each was measured.
    once : float
        Distance from the mean of the others at which a place begins to stand out farther than
        noise does; from 1.2 times it on, the local mean of what was removed is given back.
    back : float
        ``k``, the share of it that is given back.
    """

    unsteady: Array
    standing: Array
    share: Array
    count: NDArray[np.int64]
    once: float = math.inf
    back: float = 1.0

    @classmethod
    def constant(cls, share: float) -> Blend:
        """The same share everywhere."""
        return cls(np.zeros(1), np.zeros(1), np.full((1, 1), share), np.zeros((1, 1), np.int64))

    def combined(self, plane: Plane, context: Plane | None, alone: Plane, beside: Plane) -> Plane:
        """The result of a plane, (Y, X), from the one without context and the one with it."""
        if context is None:
            return alone
        standing = _standing(plane, context)
        level = self.mixed(context, standing, alone, beside)
        share = self.back * self.standing_out(standing)
        if not share.any():
            return level
        return np.asarray(level + share * _local(plane - level), np.float32)

    def standing_out(self, standing: Plane) -> Plane:
        """How surely a place stands out farther than noise does, 0 to 1."""
        sure = (standing / self.once - 1) / (_SURELY - 1)
        return np.asarray(np.clip(sure, 0.0, 1.0), np.float32)

    def mixed(self, context: Plane, standing: Plane, alone: Plane, beside: Plane) -> Plane:
        """The same for what stands out so far, before anything is given back."""
        row, column = (
            np.interp(values, at, np.arange(len(at)))
            for values, at in (
                (context[UNSTEADINESS], self.unsteady),
                (standing, self.standing),
            )
        )
        share = ndimage.map_coordinates(self.share, [row, column], order=1, mode='nearest')
        share = np.where(context[ERROR] > 0, share, 0.0)
        return np.asarray(alone + share * (beside - alone), np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {
            'unsteadiness': self.unsteady.round(4).tolist(),
            'standing_out': self.standing.round(3).tolist(),
            'share': self.share.round(3).tolist(),
            'pixels': self.count.tolist(),
            'given_back_from': round(self.once, 3),
            'given_back': round(self.back, 3),
        }


NOTHING = Blend.constant(0.0)
"""Nothing of the result with context."""


def measured_blend(
    probe: Probe, alone: Plane, beside: Plane, events: Plane, *, resampled: bool
) -> Blend:
    """The blend with the least risk, and the distance from which something stands out.

    Parameters
    ----------
    probe : Probe
        Trials (2 K, P, S, S) of planes with their contexts.
    alone, beside : (2 K, S, S) float32
        Estimates of their inputs, without and with context.
    events : (2 K, S, S) float32
        What was added to their inputs, so that enough stands out in the trials. How far a place
        usually stands out is measured without it.
    resampled : bool
        Whether the second input of each trial has resampled pixels; else both are perturbed.
    """
    change = beside - alone
    pull = _pull(probe, change, alone, resampled=resampled)
    used = slice(None, None, 2) if resampled else slice(None)
    planes, quiet = probe.noisy, probe.noisy - events
    contexts = [context_in(slab) for slab in probe.slabs]
    seen = np.stack([context[ERROR] > 0 for context in contexts])
    seen &= np.repeat(probe.weight, 2, axis=0) > 0
    if not seen[used].any():
        return NOTHING
    unsteady = np.stack([context[UNSTEADINESS] for context in contexts])
    standing, usual = (
        np.stack([_standing(*both) for both in zip(each, contexts, strict=True)])
        for each in (planes, quiet)
    )
    half, most = np.quantile(usual[used][seen[used]], [0.5, 0.9])
    spread, once = max(1.0, half / _USUAL), _ONCE * max(1.0, most / _NINE_TENTHS)
    places = len(probe.weight)
    classes = _Classes.of(seen[used], unsteady[used], standing[used], spread, places)
    share = _shares(*map(classes.sums, (change[used] ** 2, pull, seen[used])))
    blend = Blend(*classes.middles, share, classes.count, float(once))
    level = np.stack(
        [blend.mixed(*each) for each in zip(contexts, standing, alone, beside, strict=True)]
    )
    around = 2 * _SQUARES[-1] - 1  # in which an event makes places stand out
    untouched = seen & (ndimage.maximum_filter(np.abs(events), (1, around, around)) < _EVENT)

    def cost(change: Plane, level: Plane) -> tuple[float, float]:
        """Of a change of estimates: sums of its square, and of its product with what they lack."""
        products = change[used] ** 2, _pull(probe, change, level, resampled=resampled)
        power, lost = (float(values[untouched[used]].sum()) for values in products)
        return power, lost

    power, lost = cost(level - alone, alone)
    given = np.stack([_local(each) for each in planes - level]) * blend.standing_out(usual)
    return replace(blend, back=_affordable(*cost(given, level), _PRICE * (2 * lost - power)))


def _affordable(power: float, lost: float, price: float) -> float:
    """The largest share ``k``, 0 to 1, of which the cost ``k^2 power - 2 k lost`` is no more than
    the price, and at least the share with the least cost.
    """
    if power <= 0:
        return 1.0
    share = (lost + math.sqrt(max(lost**2 + power * price, 0.0))) / power
    return float(np.clip(share, 0.0, 1.0))


def _pull(probe: Probe, change: Plane, level: Plane, *, resampled: bool) -> Plane:
    """Unbiased estimate of the product of a change of estimates with what they lack.

    Parameters
    ----------
    probe : Probe
        The trials.
    change, level : (2 K, S, S) float32
        The change and the estimates, for both inputs of a trial.
    resampled : bool
        As of `measured_blend`. Then only the first input of a trial has the noise of the image,
        and the result is (K, S, S); else (2 K, S, S).
    """
    pull = change * (probe.target - level)
    if not resampled:
        return pull
    density = max(float((probe.change != 0).mean()), 1e-6)
    covariance = (change[::2] - change[1::2]) * probe.change / (2 * density)
    return np.asarray(pull[::2] - covariance, np.float32)


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


def _standing(plane: Plane, context: Plane) -> Plane:
    """How far a place stands out from the mean of the other planes, (Y, X).

    The largest of the sums over all squares of `_SQUARES` that it is in, noise standard deviations
    of such a sum: so all of an event stands out as far as its middle. The pixel in the middle of
    a square does not count, so that its noise hardly decides on its class.
    """
    difference = np.nan_to_num(plane - context[MEAN]) / np.sqrt(1 + context[ERROR] ** 2)
    values = torch.from_numpy(difference.astype(np.float32))[None, None]
    largest = np.zeros(plane.shape, np.float32)
    for side in _SQUARES:
        total = side**2 * mean_over(values, side)[0, 0].numpy() - difference
        far = np.abs(total) / (side**2 - 1) ** 0.5
        largest = np.maximum(largest, ndimage.maximum_filter(far, side, mode='mirror'))
    return largest


def _local(removed: Plane) -> Plane:
    """Local mean of what was removed from a plane, (Y, X); 0 where there is no image."""
    return np.asarray(
        ndimage.gaussian_filter(np.nan_to_num(removed), _LOCAL, mode='mirror'), np.float32
    )
