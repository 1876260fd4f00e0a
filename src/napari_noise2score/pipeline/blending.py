"""The result with context: its model, and how much of it is blended in.

The share of each class of pixels is measured on the image itself (`blend_measurement`), unless the
noise of the planes is not independent.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_noise2score.images.axes import plane_words
from napari_noise2score.images.region import held_bytes
from napari_noise2score.pipeline.blend import NOTHING, Blend
from napari_noise2score.pipeline.blend_measurement import Trials, measured_blend
from napari_noise2score.pipeline.divided_planes import divided
from napari_noise2score.pipeline.prepared import PreparedChannel
from napari_noise2score.pipeline.pretrained import context_model, resampler
from napari_noise2score.score.context import PLANES, slab_places
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.parts import local_mean
from napari_noise2score.score.planes import PlanesInMemory
from napari_noise2score.score.predict import PredictProgress, predict_clean
from napari_noise2score.score.probe import Probe, draw_probe, place_size
from napari_noise2score.score.transients import transients

Plane = NDArray[np.float32]

PLACES, _FEWEST_PLACES = 16, 4
"""Maximum and minimum number of places on which the shares are measured."""
_STRENGTH = 0.25
"""Perturbation of the risk, noise standard deviations."""
_EVENTS, _LONG = 4, 64
"""Number of times that events are added to a place, and pairs of a long recording."""
_LINKED = 0.15
"""Correlation of the noise of adjacent planes from which the others are not used."""
_ADJACENT, _NEXT = slab_places('before 1', 'after 1'), slab_places('before 2', 'after 2')
"""Places in a slab of the planes at a distance of one, and of two."""


@dataclass(frozen=True, slots=True, eq=False)
class WithContext:
    """A model that sees the other planes, and how its result is blended in.

    Attributes
    ----------
    model : ScoreModel
        With a `ContextNetwork`.
    blend : Blend
        Shares of its result.
    axis : str
        Axis of the other planes, ``'T'`` or ``'Z'``.
    linked : float
        Correlation of the noise of adjacent planes, if it is so large that they are not used.
    """

    model: ScoreModel
    blend: Blend
    axis: str
    linked: float = 0.0

    @property
    def used(self) -> bool:
        """Whether anything is blended in."""
        return bool(self.blend.share.any())

    @property
    def warning(self) -> str | None:
        """A warning if the other planes are not used, because their noise is not independent."""
        if not self.linked:
            return None
        _, what = plane_words(self.axis)
        return (
            f'The noise of consecutive {what} is correlated ({100 * self.linked:.0f} %), so the '
            f'other {what} were not used. Averaged or interpolated {what} are the usual reason; '
            'use the recorded ones.'
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {'axis': self.axis, 'sha256': self.model.digest, **self.blend.to_dict()}


def model_beside(model: ScoreModel, channel: PreparedChannel) -> ScoreModel:
    """The model that sees what is beside the planes of a channel: a model itself if it was trained
    to, else the pretrained weights with context.
    """
    return model if model.network.settings.context else context_model(channel)


def trainable(channel: PreparedChannel) -> bool:
    """Whether a training can see the neighbours of a channel: it reads a dozen planes or two for
    every patch, so they must be in memory, and not be denoised when they are read.
    """
    in_memory = held_bytes(channel.channel.source.data) > 0
    return channel.neighbours is not None and in_memory and not channel.costly


def choose_blend(
    alone: ScoreModel,
    beside: ScoreModel,
    channel: PreparedChannel,
    *,
    device: str = 'auto',
) -> Generator[PredictProgress, None, WithContext]:
    """Measure the share of the result with context in each class of pixels.

    Parameters
    ----------
    alone, beside : ScoreModel
        Without and with context; the same one is applied without and with it.
    channel : PreparedChannel
        A channel with neighbours.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.

    Yields
    ------
    PredictProgress
        After each trial.
    """
    multiple = beside.network.size_multiple
    size = place_size(channel.shape, multiple)
    white, generator = channel.correlation.is_white, torch.Generator().manual_seed(0)
    probe = draw_probe(
        [divided(channel)],
        size,
        generator,
        _places(channel.shape, size),
        0,
        _STRENGTH,
        resampler(channel, device) if white else None,
        context=True,
    )
    events = _events(probe, generator)
    probe = _with_events(probe, events)
    slabs = PlanesInMemory.like(channel, probe.slabs)
    first = yield from predict_clean(alone, slabs.alone, device=device, orientations=1)
    assert channel.neighbours is not None  # only then there is something to blend in
    axis = channel.neighbours.axis
    linked = _link(probe.slabs[::2], first[::2])
    if linked > _LINKED:
        return WithContext(beside, NOTHING, axis, linked)
    second = yield from predict_clean(beside, slabs, device=device, orientations=1)
    blend = measured_blend(Trials(probe, first, second, events, resampled=white))
    return WithContext(beside, blend, axis)


def _places(shape: tuple[int, ...], size: int) -> int:
    """Number of places of a channel (N, Y, X): fewer if they would overlap."""
    return int(np.clip(math.prod(shape) / size**2, _FEWEST_PLACES, PLACES))


def _events(probe: Probe, generator: torch.Generator) -> Plane:
    """Spots of light of half to five noise standard deviations, (2 K, S, S).

    The two inputs of a trial have the same ones.
    """
    trials, size = len(probe.weight), probe.slabs.shape[-1]
    events = sum(
        transients([_LONG] * trials, size, generator, most=1.0)[:, 0] for _ in range(_EVENTS)
    )
    return np.repeat(np.asarray(events, np.float32), 2, axis=0)


def _with_events(probe: Probe, events: Plane) -> Probe:
    """Trials with events in their planes: what stands out would else be noise in most cases.

    They are added to inputs and targets alike, not to the contexts.
    """
    slabs = probe.slabs.copy()
    slabs[:, PLANES // 2] += events
    return replace(probe, slabs=slabs, target=probe.target + events)


def _link(slabs: Plane, alone: Plane) -> float:
    """Correlation of the noise of adjacent planes, from slabs (K, P, S, S); 0 if not known.

    What an estimate lost of a scene that stands still is the same in all planes: so the product
    with a plane at distance two is subtracted from that with a plane at distance one.
    """
    plane = slabs[:, PLANES // 2]
    near, far = (
        np.concatenate([_high(slabs[:, [number]]) for number in numbers], axis=1)
        for numbers in (_ADJACENT, _NEXT)
    )
    rest = _high((plane - alone)[:, None])
    both = np.isfinite(near) & np.isfinite(far)
    if not both.any():
        return 0.0
    power = (np.broadcast_to(rest**2, both.shape))[both].mean()
    return float((rest * (near - far))[both].mean() / max(float(power), 1e-12))


def _high(values: Plane) -> Plane:
    """Values (K, 1, S, S) without their local mean."""
    return np.asarray(values - local_mean(torch.from_numpy(values)).numpy())


def levels_of_slabs(
    model: ScoreModel, beside: WithContext | None, slabs: PlanesInMemory, **options: Any
) -> Generator[PredictProgress, None, Plane]:
    """Clean levels (N, Y, X) of planes in memory, those with a context with ``beside``.

    ``options`` are those of `predict_clean`.
    """
    if beside is None:
        return (yield from predict_clean(model, slabs, **options))
    alone, where = _distinct(slabs.alone)
    first = (yield from predict_clean(model, alone, **options))[where]
    second = yield from predict_clean(beside.model, slabs, **options)
    for number, level in enumerate(first):
        context = slabs.context(number)
        plane = slabs.plane(number)
        first[number] = beside.blend.combined(plane, context, level, second[number])
    return first


def _distinct(planes: PlanesInMemory) -> tuple[PlanesInMemory, list[int]]:
    """Planes without repeated ones, and for each plane the number of the one that it equals."""
    numbers: dict[bytes, int] = {}
    where = [numbers.setdefault(plane.tobytes(), len(numbers)) for plane in planes.array]
    first = [where.index(number) for number in range(len(numbers))]
    return replace(planes, array=planes.array[first]), where
