r"""Blending of a result with context and the one without, by classes of unsteadiness.

A network that sees the other frames may take too much from them: what happens once is rare, and
costs little in the mean. So its result is not taken as it is, but

.. math:: D = D_0 + g (D_S - D_0)

with the result ``D_0`` without context, ``D_S`` with it, and a share ``g`` for each class of
pixels: how unsteady the other planes are there, and how far the plane stands out from their mean.
`blend_measurement` measures it on the image itself.

The least risk is not all: a weak event in one frame is improbable, so to weaken it is right on the
average, and wrong for who looks for events. Where a place stands out farther than noise does, the
local mean of what was removed is therefore given back ("twicing": Tukey, "Exploratory Data
Analysis", 1977, section 16C): it has what is left of an event, and little noise.

.. math:: D + k\, h * (t - D)

Where much stands out, as spots that move do, nothing may be missing, and only noise would be given
back. So ``k`` is 1, or less if that would cost too much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.score.context import ERROR, MEAN, UNSTEADINESS
from napari_noise2score.score.network.parts import mean_over

Plane = NDArray[np.float32]
Array = NDArray[np.float64]

SQUARES = 5, 9
"""Sides of the squares in which a place may stand out, pixels."""
_SURELY = 1.2
"""How many times the distance at which a place begins to stand out it surely does."""
_LOCAL = 1.0
"""Standard deviation of the Gaussian of a local mean, pixels."""


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
        standing = standing_of(plane, context)
        level = self.mixed(context, standing, alone, beside)
        share = self.back * self.standing_out(standing)
        if not share.any():
            return level
        return np.asarray(level + share * local_mean_of(plane - level), np.float32)

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


def standing_of(plane: Plane, context: Plane) -> Plane:
    """How far a place stands out from the mean of the other planes, (Y, X).

    The largest of the sums over all squares of `SQUARES` that it is in, noise standard deviations
    of such a sum: so all of an event stands out as far as its middle. The pixel in the middle of
    a square does not count, so that its noise hardly decides on its class.
    """
    difference = np.nan_to_num(plane - context[MEAN]) / np.sqrt(1 + context[ERROR] ** 2)
    values = torch.from_numpy(difference.astype(np.float32))[None, None]
    largest = np.zeros(plane.shape, np.float32)
    for side in SQUARES:
        total = side**2 * mean_over(values, side)[0, 0].numpy() - difference
        far = np.abs(total) / (side**2 - 1) ** 0.5
        largest = np.maximum(largest, ndimage.maximum_filter(far, side, mode='mirror'))
    return largest


def local_mean_of(removed: Plane) -> Plane:
    """Local mean of what was removed from a plane, (Y, X); 0 where there is no image."""
    return np.asarray(
        ndimage.gaussian_filter(np.nan_to_num(removed), _LOCAL, mode='mirror'), np.float32
    )
