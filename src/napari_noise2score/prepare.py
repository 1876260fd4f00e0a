"""From an image to channels with their noise models: the first stage of the pipeline. No torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import Channel, ImageSource
from napari_noise2score.noise.choose import AUTO, NoiseRequest
from napari_noise2score.noise.coordinates import UnitNoise
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.estimate import SMALLEST, NoiseFit, estimate_noise
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.level_table import LevelTable, VarianceCurve, level_table
from napari_noise2score.noise.measured import measured_table
from napari_noise2score.noise.pairs import PlanePair

_ESTIMATE_PLANES = 24
_ESTIMATE_PIXELS = 1 << 25
"""Most pixels of a channel that its noise is estimated from."""
_TOP_PLANES = 4
_MEASURED_PAIRS = 6


@dataclass(frozen=True, slots=True, eq=False)
class PreparedChannel:
    """A channel with its noise model, readable in its unit-noise coordinate.

    Attributes
    ----------
    channel : Channel
        The grey levels.
    family : NoiseFamily
        Noise model in force.
    fit : NoiseFit or None
        The estimate; None if the noise model was given in full.
    coordinate : UnitNoise
        ``t = f(y)``.
    table : LevelTable
        What the noise is in the coordinate.
    correlation : Correlation
        Correlation of the noise between pixels that the training takes into account.
    pairs : tuple of PlanePair
        Planes that show one scene, with independent noise, and what the light changed between
        them; empty if none are known to.
    """

    channel: Channel
    family: NoiseFamily
    fit: NoiseFit | None
    coordinate: UnitNoise
    table: LevelTable
    correlation: Correlation
    pairs: tuple[PlanePair, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, Y, X)."""
        return self.channel.shape

    def plane(self, index: int) -> NDArray[np.float32]:
        """Plane ``index`` in the unit-noise coordinate, (Y, X) float32."""
        return self.coordinate.forward(self.channel.plane(index)).astype(np.float32)

    def slab(self, index: int, count: int) -> tuple[int | None, ...]:
        """Numbers of ``count`` planes along Z at the same time, ``index`` in their middle.

        None for those beyond the ends of the stack.

        Raises
        ------
        InputError
            If ``count`` is above 1 and there are not two planes along Z.
        """
        return self.channel.slab(index, count)

    @property
    def recorruptible(self) -> bool:
        """Whether its noise is near enough to Gaussian for a recorrupted risk."""
        return self.family.recorruptible

    @property
    def curve(self) -> VarianceCurve:
        """Noise variance by clean level, for the network's side."""
        estimated = self.fit is not None and self.fit.family == self.family
        return self.table.curve(doubt=self.fit.doubt if self.fit and estimated else 0.0)

    @property
    def rail(self) -> float:
        """Grey level at which the detector is saturated; infinite if no value is."""
        return self.table.top if self.fit is not None and self.fit.clipped else np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An image whose channels have their noise models."""

    source: ImageSource
    channels: tuple[PreparedChannel, ...]


def prepare(source: ImageSource, noise: NoiseRequest | None = None, apart: str = '') -> Prepared:
    """Give every channel of an image its noise model.

    Parameters
    ----------
    source : ImageSource
        The image.
    noise : NoiseRequest, optional
        What is known of the noise; the rest is estimated channel by channel.
    apart : str
        Axes that are taken for channel axes too, such as ``'T'``.

    Raises
    ------
    InputError
        If the noise cannot be estimated and is not given.
    """
    noise = noise or NoiseRequest()
    channels = []
    for channel in source.channels(apart):
        places, sample = _sample(channel)
        family = noise.known()
        fit: NoiseFit | None
        if family is None:
            fit = _estimate(channel, sample)
            family = noise.resolve(fit)
        else:
            fit = _fit_or_none(sample)
        _check(family, sample, source.name)
        top = _top(channel, sample)
        table = level_table(family, top)
        correlation = Correlation.white()
        if fit is not None and noise.correlation == AUTO:
            correlation = fit.correlation
        coordinate = family.coordinate(top)
        pairs: tuple[PlanePair, ...] = ()
        if fit is not None and fit.compared:
            pairs = _pairs(places, fit, table, _corner(channel, sample))
            clipped = float(coordinate.forward(top)) if fit.clipped else np.inf
            table = measured_table(table, _compared(places, sample, pairs, coordinate), clipped)
        channels.append(
            PreparedChannel(channel, family, fit, coordinate, table, correlation, pairs)
        )
    return Prepared(source, tuple(channels))


def _pairs(
    places: list[range], fit: NoiseFit, table: LevelTable, corner: tuple[int, int]
) -> tuple[PlanePair, ...]:
    """The frames that the estimate has found to show one scene, as planes of the channel."""
    found = []
    for planes, pairs in zip(places, fit.pairs, strict=True):
        for pair in pairs:
            still = None if pair.still is None else replace(pair.still, corner=corner)
            numbers = planes[pair.first], planes[pair.second]
            of_planes = PlanePair(*numbers, pair.change(table), still)
            # the brighter first: noise that is brought to less light is still that of a line
            found.append(of_planes.reversed if pair.light > 1 else of_planes)
    return tuple(found)


def _corner(channel: Channel, sample: list[NDArray[Any]]) -> tuple[int, int]:
    """Row and column of the planes where the part begins that a sample holds."""
    rows, columns = (
        (whole - part) // 2
        for whole, part in zip(channel.shape[1:], sample[0].shape[1:], strict=True)
    )
    return rows, columns


def _compared(
    places: list[range],
    sample: list[NDArray[Any]],
    pairs: tuple[PlanePair, ...],
    coordinate: UnitNoise,
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], PlanePair]]:
    """Some of the pairs in the coordinate."""
    frames = {
        number: frame
        for planes, stack in zip(places, sample, strict=True)
        for number, frame in zip(planes, stack, strict=True)
    }
    some = pairs[:: max(1, len(pairs) // _MEASURED_PAIRS)]
    seen = {
        number: coordinate.forward(frames[number].astype(np.float32))
        for pair in some
        for number in (pair.first, pair.second)
    }
    return [(seen[pair.first], seen[pair.second], pair) for pair in some]


def estimate_channel(channel: Channel) -> NoiseFit:
    """Blind noise estimate of one channel, from some of its planes.

    Raises
    ------
    InputError
        If there is no noise, or too little image to tell.
    """
    return _estimate(channel, _sample(channel)[1])


def _estimate(channel: Channel, sample: list[NDArray[Any]]) -> NoiseFit:
    try:
        return estimate_noise(sample)
    except InputError as error:
        raise InputError(f'{channel.source.name}: {error}') from error


def _sample(channel: Channel) -> tuple[list[range], list[NDArray[Any]]]:
    """Some planes of a channel, those that follow in time together: which, and their values.

    Each is a range of T planes and an array (T, Y, X).
    """
    count, frames = channel.shape[0], channel.frames
    groups = [range(start, start + frames) for start in range(0, count, frames)]
    share = max(min(frames, 4), _ESTIMATE_PLANES // len(groups))
    step = max(1, len(groups) * min(frames, share) // _ESTIMATE_PLANES)
    places = [group[:share] for group in groups[::step]]
    middle = _middle(channel, sum(len(place) for place in places))
    stacks = [np.stack([middle.raw_plane(i) for i in place]) for place in places]
    for stack in stacks:
        if not np.isfinite(stack).all():
            raise InputError(
                f'{channel.source.name}: holds NaN or infinite values; '
                'finite grey levels are needed'
            )
    return places, stacks


def _middle(channel: Channel, count: int) -> Channel:
    """A channel, or the middle of its planes where ``count`` of them are too many pixels."""
    rows, columns = channel.shape[1:]
    share = (_ESTIMATE_PIXELS / (count * rows * columns)) ** 0.5
    if share >= 1:
        return channel
    window = {}
    for letter, side in (('Y', rows), ('X', columns)):
        width = max(SMALLEST, int(share * side))
        start = (side - width) // 2
        window[letter] = start, start + width
    return Channel(channel.source.part(Region(window)), channel.place)


def _top(channel: Channel, sample: list[NDArray[Any]]) -> float:
    """The largest value of a sample, and of some planes where it holds only their middle."""
    top = max(float(stack.max()) for stack in sample)
    if sample[0].shape[1:] == channel.shape[1:]:
        return top
    step = -(-channel.shape[0] // _TOP_PLANES)
    planes = range(0, channel.shape[0], step)
    return max(top, *(float(np.nanmax(channel.raw_plane(plane))) for plane in planes))


def _check(family: NoiseFamily, sample: list[NDArray[Any]], name: str) -> None:
    try:
        for values in sample:
            family.check_values(values)
    except InputError as error:
        raise InputError(f'{name}: {error}') from error


def _fit_or_none(sample: list[NDArray[Any]]) -> NoiseFit | None:
    """The estimate beside a noise model that was given, for the report; None where impossible."""
    if min(sample[0].shape[1:]) < SMALLEST:
        return None
    try:
        return estimate_noise(sample)
    except InputError:
        return None
