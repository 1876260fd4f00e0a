"""What the context smoothed: the response of a result to light in a single plane.

A small spot of one noise standard deviation is added to one plane, and the change of the result is
measured there, in that plane and in those before and after. Without any smoothing the plane itself
would show all of the spot and the others nothing.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.blocks import Window
from napari_noise2score.noise.coordinates import UnitNoise
from napari_noise2score.noise.level_table import LevelTable
from napari_noise2score.pipeline.blending import WithContext, levels_of_slabs
from napari_noise2score.pipeline.neighbours import Neighbours
from napari_noise2score.pipeline.prepared import PreparedChannel
from napari_noise2score.score.context import UNSTEADINESS, with_context
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.planes import PlanesInMemory
from napari_noise2score.score.predict import PredictProgress

Plane = NDArray[np.float32]

SPOT = 5
"""Height and width of a spot, pixels."""
_HEIGHT = 1.0
"""Height of a spot, noise standard deviations."""
_FAR = 2
"""Distance of the planes in which the response is measured."""
_PLACES, _FEWEST_PLACES, _SIDE = 4, 2, 96
"""Maximum and minimum number of places, and their height and width in pixels."""
_FOR_ONE = 6
"""Number of different places of an image for each that is measured: a small image is not measured
longer than it is denoised."""
_APART = 24
"""Distance of spots, pixels."""
_STEADY, _UNSTEADY = 0.5, 0.9
"""Shares of the spots below the least unsteadiness, and above the largest of steady ones."""


@dataclass(frozen=True, slots=True)
class Response:
    """Response to light in a single plane.

    Attributes
    ----------
    own : float
        Part of it that the plane itself shows.
    beside : tuple of float
        Parts that the planes at a distance of one, and of two, show; mean of both sides.
    """

    own: float
    beside: tuple[float, ...]

    @property
    def width(self) -> float:
        """Full width at half of the maximum, planes; infinite if it is not reached."""
        if self.own <= 0:
            return float('inf')
        parts = np.array([self.own, *self.beside]) / self.own
        below = np.flatnonzero(parts < 0.5)
        if not len(below):
            return float('inf')
        first = int(below[0])
        high, low = parts[first - 1], parts[first]
        return float(2 * (first - 1 + (high - 0.5) / (high - low)))

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON; None for a width that is not known."""
        width = round(self.width, 2) if np.isfinite(self.width) else None
        beside = [round(part, 3) for part in self.beside]
        return {'own': round(self.own, 3), 'beside': beside, 'width': width}


def measure_responses(
    model: ScoreModel, beside: WithContext, channel: PreparedChannel, *, device: str = 'auto'
) -> Generator[PredictProgress, None, dict[str, Response]]:
    """Response at steady and at unsteady places.

    Parameters
    ----------
    model : ScoreModel
        The model without context.
    beside : WithContext
        What is blended in.
    channel : PreparedChannel
        A channel with neighbours.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.

    Yields
    ------
    PredictProgress
        After each trial.

    Returns
    -------
    dict of str to Response
        ``'steady'`` and ``'unsteady'``, as far as they could be measured.
    """
    slabs: list[Plane] = []
    spots: list[Sequence[tuple[int, int]]] = []
    unsteady: list[float] = []
    for index, window in _places(channel, beside.axis):
        part = _Spotted(channel.part(window))
        series = channel.series(index, beside.axis)
        place = series.index(index)
        near = series[place - _FAR : place + _FAR + 1]
        centres = _grid(window.shape)
        context = part.context(index)
        if context is None:
            continue
        unsteady += [float(context[UNSTEADINESS][centre]) for centre in centres]
        slabs += [part.slab(number) for number in near]
        part.spot(index, centres)
        slabs += [part.slab(number) for number in near]
        spots.append(centres)
    if not spots:
        return {}
    levels = yield from levels_of_slabs(
        model,
        beside,
        PlanesInMemory.like(channel, np.stack(slabs)),
        device=device,
        orientations=1,
    )
    count = 2 * _FAR + 1
    change = levels.reshape(len(spots), 2, count, *levels.shape[1:])
    change = (change[:, 1] - change[:, 0]) / _HEIGHT
    found = np.array(
        [
            change[number][(slice(None), *_around(centre))].mean((1, 2))
            for number, centres in enumerate(spots)
            for centre in centres
        ]
    )
    known = np.isfinite(found).all(1) & np.isfinite(unsteady)
    return _divided(found[known], np.array(unsteady)[known])


def _divided(found: NDArray[np.floating], unsteady: NDArray[np.floating]) -> dict[str, Response]:
    """Mean responses of the steady and of the unsteady spots."""
    if not len(found):
        return {}
    low, high = np.quantile(unsteady, [_STEADY, _UNSTEADY])
    return {
        name: _mean(found[which])
        for name, which in (('steady', unsteady <= low), ('unsteady', unsteady >= high))
        if which.any()
    }


def _mean(found: NDArray[np.floating]) -> Response:
    mean = found.mean(0)
    sides = ((mean[_FAR - k] + mean[_FAR + k]) / 2 for k in range(1, _FAR + 1))
    return Response(float(mean[_FAR]), tuple(float(side) for side in sides))


def _places(channel: PreparedChannel, axis: str) -> list[tuple[int, Window]]:
    """Planes with neighbours on both sides, and windows of them, spread over the channel."""
    series = channel.series(0, axis)
    inner = [n for n in range(channel.shape[0]) if _inside(channel.series(n, axis), n)]
    if not inner or len(series) < 2 * _FAR + 1:
        return []
    rows, columns = channel.shape[1:]
    sides = tuple(min(_SIDE, side) // 8 * 8 for side in (rows, columns))
    if min(sides) < _APART:
        return []
    rng = np.random.default_rng(0)
    different = math.prod(channel.shape) / math.prod(sides)
    most = int(np.clip(round(different / _FOR_ONE), _FEWEST_PLACES, _PLACES))
    chosen = np.unique(np.linspace(0, len(inner) - 1, most).round().astype(int))
    places = []
    for number in chosen:
        top, left = (
            int(rng.integers(full - side + 1))
            for full, side in zip((rows, columns), sides, strict=True)
        )
        window = Window(slice(top, top + sides[0]), slice(left, left + sides[1]))
        places.append((inner[number], window))
    return places


def _inside(series: range, index: int) -> bool:
    return _FAR <= series.index(index) < len(series) - _FAR


def _grid(shape: Sequence[int]) -> list[tuple[int, int]]:
    """Centres of spots in a window."""
    rows, columns = (range(_APART // 2, side - SPOT, _APART) for side in shape)
    return [(row, column) for row in rows for column in columns]


def _around(centre: tuple[int, int]) -> tuple[slice, slice]:
    row, column = (slice(at - SPOT // 2, at + SPOT // 2 + 1) for at in centre)
    return row, column


class _Spotted:
    """Some rows and columns of a channel, one of whose planes gets spots of light."""

    def __init__(self, part: PreparedChannel) -> None:
        self._part = part
        self._spotted: tuple[int, Sequence[tuple[int, int]]] | None = None
        self._neighbours = self._fresh()

    def spot(self, index: int, centres: Sequence[tuple[int, int]]) -> None:
        """Add spots to a plane from now on."""
        self._spotted, self._neighbours = (index, centres), self._fresh()

    def slab(self, index: int) -> Plane:
        """A plane with its context."""
        return with_context(np.nan_to_num(self.plane(index)), self.context(index))

    def context(self, index: int) -> Plane | None:
        """The context of a plane."""
        return self._neighbours.context(self, index)

    def plane(self, index: int) -> Plane:
        """A plane in the unit-noise coordinate."""
        plane = self._part.plane(index)
        if self._spotted is not None and index == self._spotted[0]:
            for centre in self._spotted[1]:
                plane[_around(centre)] += _HEIGHT
        return plane

    def series(self, index: int, axis: str) -> range:
        """Numbers of the planes along an axis."""
        return self._part.series(index, axis)

    def part(self, window: Window) -> _Spotted:
        """Some rows and columns, without the spots."""
        return _Spotted(self._part.part(window))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, Y, X)."""
        return self._part.shape

    @property
    def coordinate(self) -> UnitNoise:
        """Unit-noise coordinate."""
        return self._part.coordinate

    @property
    def table(self) -> LevelTable:
        """Mean and variance of the noise in it."""
        return self._part.table

    def _fresh(self) -> Neighbours:
        neighbours = self._part.neighbours
        assert neighbours is not None  # only such channels are measured
        return neighbours.part()
