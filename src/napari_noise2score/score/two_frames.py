"""Two frames of one scene as input and target for each other: one trial of a risk."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from napari_noise2score.noise.pairs import LevelChange, PlanePair
from napari_noise2score.score.network.parts import local_mean
from napari_noise2score.score.sampler import Box, PatchSampler

_TRIES = 20
"""Maximum number of places that are tested until one is mostly without motion."""
_MOSTLY = 0.5
"""Minimum share of a place in which its two frames show the same scene."""


class TwoFrames(NamedTuple):
    """Two frames at one place.

    ``boxes`` are the places in the two planes, ``patches`` (S, S) float32 their values. The target
    of the first is the second. The target of the second is ``brought`` (S, S), the first one,
    converted to the light of the second. They are compared where ``weight`` (S, S) is 1. ``light``
    is the change of the light from the first to the second, None if there is none, and ``slope``
    (S, S) its derivative. ``noise`` is the noise variance of both targets, with the weight
    ``slope ** 2`` for the first frame.
    """

    boxes: tuple[Box, Box]
    patches: tuple[Tensor, Tensor]
    brought: Tensor
    weight: Tensor
    light: LevelChange | None
    slope: Tensor
    noise: float


def two_frames(sampler: PatchSampler, number: int, margin: int) -> TwoFrames | None:
    """A random pair at a random place; None if there is no place that is mostly without motion.

    Parameters
    ----------
    sampler : PatchSampler
        Cuts the patches.
    number : int
        Number of an image with pairs in the sampler.
    margin : int
        Width of the border that is not compared, pixels.
    """
    inner = slice(margin, sampler.size - margin)
    for _ in range(_TRIES):
        pair = sampler.pair(number)
        first = sampler.place(number, pair.first)
        weight = sampler.still(first, pair)
        if float(weight[inner, inner].mean()) >= _MOSTLY:
            break
    else:
        return None
    boxes = first, first._replace(plane=pair.second)
    here, there = (sampler.cut(box) for box in boxes)
    brought, slope = _brought(pair, here, there)
    share = (weight * (1 + slope**2))[inner, inner].mean()
    noise = float((weight * (brought - there) ** 2)[inner, inner].mean() / share)
    return TwoFrames(boxes, (here, there), brought, weight, pair.change, slope, noise)


def _brought(pair: PlanePair, here: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """The first frame, converted to the light of the second, and the derivative of this
    conversion.
    """
    if pair.change is None:
        return here, torch.ones_like(here)
    brought = torch.from_numpy(pair.change(here.numpy())).float()
    level = local_mean((brought + there)[None, None] / 2)[0, 0]
    slope = pair.change.slope(pair.change.reversed(level.numpy()))
    return brought, torch.from_numpy(slope).float()
