"""The context of the planes of a channel: the other frames, or the other slices.

Frames whose light differs (a lamp that flickers, fluorophores that bleach) are converted to the
light of the plane before they are combined. A frame that equals the plane is not used: its noise
is the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.blocks import Window
from napari_noise2score.images.footprint import BESIDE, FEWEST_BESIDE
from napari_noise2score.noise.coordinates import UnitNoise
from napari_noise2score.noise.estimate.frame_light import light_line
from napari_noise2score.noise.level_table import LevelTable
from napari_noise2score.score.context import REACH, context_of

Plane: TypeAlias = NDArray[np.float32]

_COMPARED = 1024
"""Rows and columns at the centre of a frame from which its light is measured."""
_CHANGE = 1 / 8, 8.0
"""Range of the relative light; frames beyond it are not used."""
_SAMPLED = 61
"""Pixels of a plane of which one is compared first."""


class Neighbour(Protocol):
    """What a context needs of a channel."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, Y, X)."""
        ...

    @property
    def coordinate(self) -> UnitNoise:
        """Unit-noise coordinate."""
        ...

    @property
    def table(self) -> LevelTable:
        """Mean and variance of the noise in it."""
        ...

    def plane(self, index: int) -> Plane:
        """Plane (Y, X) in the coordinate, NaN where there is no image."""
        ...

    def series(self, index: int, axis: str) -> range:
        """Numbers of the planes along an axis."""
        ...

    def part(self, window: Window) -> Neighbour:
        """Some rows and columns of every plane."""
        ...


@dataclass(frozen=True, slots=True)
class Light:
    """Light of one frame relative to another: ``y = offset + light y_other``.

    Grey levels relative to a typical one, because an offset may be much larger than the noise.
    """

    offset: float = 0.0
    light: float = 1.0

    @property
    def same(self) -> bool:
        """Whether there is no difference."""
        return self == Light()

    @property
    def reversed(self) -> Light:
        """That of the other frame relative to this one."""
        return Light(-self.offset / self.light, 1 / self.light)

    def then(self, following: Light) -> Light:
        """The light of a third frame, which is ``following`` relative to this one."""
        return Light(
            following.offset + following.light * self.offset, following.light * self.light
        )


class Lights:
    """Light of the frames of a channel relative to each other, from each to the next one.

    It is measured when it is needed, at the centre of whole frames.
    """

    def __init__(self, channel: Neighbour) -> None:
        self._channel = channel
        sides = ((full, min(full, _COMPARED)) for full in channel.shape[1:])
        window = (slice((full - side) // 2, (full + side) // 2) for full, side in sides)
        self._window = Window(*window)
        self._known: dict[tuple[int, int], Light | None] = {}

    def from_to(self, series: Sequence[int], first: int, last: int) -> Light:
        """Light of the frame at place ``last`` of a series relative to that at ``first``."""
        low, high = sorted((first, last))
        light, before = Light(), low
        for at in range(low + 1, high + 1):
            step = self._step(series[before], series[at])
            if step is not None:  # otherwise the frame is stepped over
                light, before = light.then(step), at
        return light if first <= last else light.reversed

    def _step(self, first: int, second: int) -> Light | None:
        if (first, second) not in self._known:
            self._known[first, second] = _light(self._grey(first), self._grey(second))
        return self._known[first, second]

    def _grey(self, index: int) -> NDArray[np.float64]:
        centre = self._channel.part(self._window)
        return centre.coordinate.inverse(centre.plane(index)) - centre.table.base


def _light(first: NDArray[np.float64], second: NDArray[np.float64]) -> Light | None:
    """Light of the second frame relative to the first; None if no pixel has image in both."""
    there = np.isfinite(first) & np.isfinite(second)
    if not there.any():
        return None
    one, other = (np.where(there, frame, 0.0) for frame in (first, second))
    line = light_line(one - other, (one + other) / 2, there)
    return Light() if line.same_light or line.light <= 0 else Light(line.offset, line.light)


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The planes beside each other of a channel; the last ones that were read are kept, and the
    last context, which the network and the blend of its result both need.

    Attributes
    ----------
    axis : str
        ``'T'`` or ``'Z'``.
    reach : int
        Distance up to which planes are seen.
    lights : Lights or None
        Light of the frames; None if it is not compared.
    """

    axis: str
    reach: int = REACH
    lights: Lights | None = None
    _kept: OrderedDict[int, Plane] = field(default_factory=OrderedDict, init=False, repr=False)
    _last: list[tuple[tuple[int, int | None], Plane | None]] = field(
        default_factory=list, init=False, repr=False
    )

    @classmethod
    def of_channel(cls, channel: Neighbour, axis: str) -> Neighbours:
        """Those of a channel along an axis. Slices are not converted to one light.

        Of large planes fewer are seen, because all of them are held.
        """
        held = BESIDE // (4 * channel.shape[1] * channel.shape[2])
        reach = min(REACH, max(FEWEST_BESIDE, (held - 1) // 2))
        return cls(axis, reach, Lights(channel) if axis == 'T' else None)

    def __reduce__(self) -> tuple[type[Neighbours], tuple[Any, ...]]:
        """Without the planes: another process reads those that it needs."""
        return Neighbours, (self.axis, self.reach, self.lights)

    def part(self) -> Neighbours:
        """The same for a part of the rows and columns."""
        return Neighbours(self.axis, self.reach, self.lights)

    def forget_context(self) -> None:
        """Let go of the context that is kept: of large planes it takes much memory."""
        self._last.clear()

    def forget(self) -> None:
        """Let go of all that is kept."""
        self.forget_context()
        self._kept.clear()

    def context(self, channel: Neighbour, index: int, without: int | None = None) -> Plane | None:
        """Context of a plane, as `context_of` returns it.

        None if there are no other planes, or no image in the plane. One of the others may be left
        out, with the number ``without``.
        """
        wanted = index, without
        for known, context in tuple(self._last):  # other threads may ask for others
            if known == wanted:
                return context
        context = self._context(channel, index, without)
        self._last[:] = [(wanted, context)]
        return context

    def _context(self, channel: Neighbour, index: int, without: int | None) -> Plane | None:
        series = channel.series(index, self.axis)
        place = series.index(index)
        near = range(max(0, place - self.reach), min(len(series), place + self.reach + 1))
        own = self._plane(channel, index)
        if not np.isfinite(own).any():
            return None
        middle = float(np.nanmedian(own[:: _stride(own), :: _stride(own)]))
        others: dict[int, Plane] = {}
        noise: list[float] = []
        for at in near:
            if series[at] == without:
                continue
            other = self._plane(channel, series[at]) if at != place else own
            if at == place or _equal(own, other) or not np.isfinite(other).any():
                continue
            light = self.lights.from_to(series, place, at) if self.lights else Light()
            if not light.same:
                if not _CHANGE[0] < light.light < _CHANGE[1]:
                    continue
                other = _converted(channel, other, light)
            others[at] = other
            noise.append(_noise(channel, middle, light))
        if not others:
            return None
        spread = float(np.mean(noise))

        def variance(level: Plane) -> Plane:
            return np.asarray(spread * channel.table.variance_at(level), np.float32)

        return context_of(*_close(others, place), variance)

    def _plane(self, channel: Neighbour, index: int) -> Plane:
        if index in self._kept:
            self._kept.move_to_end(index)
        else:
            self._kept[index] = channel.plane(index)
            while len(self._kept) > 2 * self.reach + 1:
                self._kept.popitem(last=False)
        return self._kept[index]


def _close(others: dict[int, Plane], place: int) -> tuple[int, int, Callable[[int], Plane | None]]:
    """Other planes of a place without gaps, as `context_of` takes them: planes that are empty or
    not used are as if they had not been recorded.
    """
    before = [others[at] for at in sorted(others) if at < place]
    after = [others[at] for at in sorted(others) if at > place]
    planes = [*before, None, *after]
    return len(before), len(planes), planes.__getitem__


def _stride(plane: Plane) -> int:
    return max(1, int(min(plane.shape)) // 128)


def _equal(one: Plane, other: Plane) -> bool:
    """Whether two planes are equal; a few pixels are compared first."""
    some, same = (plane.reshape(-1)[::_SAMPLED] for plane in (one, other))
    if not np.array_equal(some, same, equal_nan=True):
        return False
    return bool(np.array_equal(one, other, equal_nan=True))


def _converted(channel: Neighbour, plane: Plane, light: Light) -> Plane:
    """A plane in the light of another one, relative to which it has this ``light``."""
    base = channel.table.base
    grey = (channel.coordinate.inverse(plane) - base - light.offset) / light.light
    return channel.coordinate.forward(base + grey).astype(np.float32)


def _noise(channel: Neighbour, level: float, light: Light) -> float:
    """Noise variance of a plane after `_converted`, relative to that before it, at a level."""
    if light.same:
        return 1.0
    coordinate, base = channel.coordinate, channel.table.base
    grey = coordinate.inverse(level)
    before = coordinate.derivative(base + light.offset + light.light * (grey - base))
    return float((coordinate.derivative(grey) / (light.light * before)) ** 2)
