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
share is therefore limited, so that events that are added to the trials keep the height that they
have without context.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
"""Limits of how far a place stands out from the mean of the others, relative to noise alone."""
_ONCE = 3.5
"""The limit above which noise hardly ever stands out, and events keep their height."""
_LOST = 0.01
"""Share of the height of an event that may be lost there."""
_USUAL = 2.2
"""Median of how far places of white noise stand out."""
_SQUARES = 5, 9
"""Sides of the squares in which a place may stand out, pixels."""
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
    """

    unsteady: Array
    standing: Array
    share: Array
    count: NDArray[np.int64]

    @classmethod
    def constant(cls, share: float) -> Blend:
        """The same share everywhere."""
        return cls(np.zeros(1), np.zeros(1), np.full((1, 1), share), np.zeros((1, 1), np.int64))

    def of(self, plane: Plane, context: Plane) -> Plane:
        """Share of each pixel of a plane, (Y, X), given its context."""
        row, column = (
            np.interp(values, at, np.arange(len(at)))
            for values, at in (
                (context[UNSTEADINESS], self.unsteady),
                (_standing(plane, context), self.standing),
            )
        )
        share = ndimage.map_coordinates(self.share, [row, column], order=1, mode='nearest')
        return np.asarray(np.where(context[ERROR] > 0, share, 0.0), np.float32)

    def combined(self, plane: Plane, context: Plane | None, alone: Plane, beside: Plane) -> Plane:
        """The result of a plane, (Y, X), from the one without context and the one with it."""
        if context is None:
            return alone
        return alone + self.of(plane, context) * (beside - alone)

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {
            'unsteadiness': self.unsteady.round(4).tolist(),
            'standing_out': self.standing.round(3).tolist(),
            'share': self.share.round(3).tolist(),
            'pixels': self.count.tolist(),
        }


NOTHING = Blend.constant(0.0)
"""Nothing of the result with context."""


def measured_blend(
    probe: Probe, alone: Plane, beside: Plane, events: Plane, *, resampled: bool
) -> Blend:
    """The blend with the least risk that leaves events their height.

    Parameters
    ----------
    probe : Probe
        Trials (2 K, P, S, S) of planes with their contexts.
    alone, beside : (2 K, S, S) float32
        Estimates of their inputs, without and with context.
    events : (2 K, S, S) float32
        What was added to their inputs.
    resampled : bool
        Whether the second input of each trial has resampled pixels; else both are perturbed.
    """
    noisy = probe.noisy
    change = beside - alone
    lost, height = -change * events, events**2
    pull = change * (probe.target - alone)
    if resampled:  # only the first input of a trial has the noise of the image
        replaced = probe.change != 0
        density = max(float(replaced.mean()), 1e-6)
        covariance = (change[::2] - change[1::2]) * probe.change / (2 * density)
        change, pull = change[::2], pull[::2] - covariance
        used = slice(None, None, 2)
    else:
        used = slice(None)
    lost, height = lost[used], height[used]
    contexts = [context_in(slab) for slab in probe.slabs[used]]
    planes = noisy[used]
    weight = np.repeat(probe.weight, len(planes) // len(probe.weight), axis=0) > 0
    unsteady = np.stack([context[UNSTEADINESS] for context in contexts])
    standing = np.stack([_standing(*both) for both in zip(planes, contexts, strict=True)])
    seen = np.stack([context[ERROR] > 0 for context in contexts]) & weight
    if not seen.any():
        return NOTHING
    spread = max(1.0, _usual(planes - events[used], contexts, seen) / _USUAL)
    limits = np.quantile(unsteady[seen], _UNSTEADY), spread * np.array(_STANDING)
    shape = tuple(len(each) + 1 for each in limits)
    classes = np.ravel_multi_index(
        tuple(
            np.searchsorted(limit, values)
            for limit, values in zip(limits, (unsteady, standing), strict=True)
        ),
        shape,
    )
    places = len(probe.weight)
    numbers = np.arange(len(planes)) * places // len(planes)
    index = (numbers[:, None, None] * math.prod(shape) + classes)[seen]
    length = places * math.prod(shape)

    def sums(values: Plane | NDArray[np.bool_]) -> Array:
        total = np.bincount(index, values[seen].astype(np.float64), length)
        return np.asarray(total.reshape(places, *shape), np.float64)

    power, drawn, count = sums(change**2), sums(pull), sums(seen).sum(0)
    rows, columns = (
        _medians(values[seen], limit)
        for values, limit in zip((unsteady, standing), limits, strict=True)
    )
    share = _shares(power, drawn, count)
    once = np.append(0, _STANDING) >= _ONCE
    share[:, once] = np.minimum(share[:, once], _keeping(sums(lost), sums(height))[:, once])
    return Blend(rows, columns, share, count.astype(np.int64))


def _usual(planes: Plane, contexts: Sequence[Plane], seen: NDArray[np.bool_]) -> float:
    """Median of how far places of planes (K, Y, X) stand out."""
    standing = np.stack([_standing(*both) for both in zip(planes, contexts, strict=True)])
    return float(np.median(standing[seen]))


def _keeping(lost: Array, height: Array) -> Array:
    """Largest share (1, S) with which events lose at most `_LOST` of their height."""
    total = height.sum((0, 1))
    loss = lost.sum((0, 1)) / np.where(total > 0, total, np.inf)
    return np.asarray(np.clip(_LOST / np.maximum(loss, _LOST), 0.0, 1.0))[None]


def _medians(values: Plane, limits: Array) -> Array:
    """Median of the values between limits, increasing; the limit where there are none."""
    classes = np.searchsorted(limits, values)
    ends = np.append(limits, limits[-1])
    found = [
        float(np.median(values[classes == number])) if (classes == number).any() else end
        for number, end in enumerate(ends)
    ]
    return np.asarray(np.maximum.accumulate(found) + 1e-9 * np.arange(len(found)), np.float64)


def _shares(power: Array, pull: Array, count: Array) -> Array:
    """Share of each class (U, S), from sums at each place (K, U, S)."""
    # classes that were hardly seen: as all places that stand out as far
    together = _share(power.sum(1, keepdims=True), pull.sum(1, keepdims=True))
    return np.asarray(np.where(count >= _FEWEST, _share(power, pull), together))


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
