"""Noise models of the channels of an image: the first stage of the pipeline, without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError, NoNoiseError
from napari_noise2score.images.blank_places import BlankPlaces
from napari_noise2score.images.pixel_maps import maps_for
from napari_noise2score.images.sampling import highest_level, sample_planes
from napari_noise2score.images.source import Channel, ImageSource
from napari_noise2score.noise.blank import blank_as_nan
from napari_noise2score.noise.coordinates import UnitNoise
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.estimate.blind import SMALLEST, estimate_noise
from napari_noise2score.noise.estimate.events import without_events
from napari_noise2score.noise.estimate.intensity_unit import lost_in_double
from napari_noise2score.noise.estimate.measured_variance import measured_table
from napari_noise2score.noise.estimate.noise_fit import NoiseFit
from napari_noise2score.noise.estimate.residual_correlation import with_correlation
from napari_noise2score.noise.families import AffineVarianceFamily, NoiseFamily
from napari_noise2score.noise.level_table import LevelTable
from napari_noise2score.noise.pairs import PlanePair, StillBlocks
from napari_noise2score.noise.patterns.offsets import levelled_pair
from napari_noise2score.noise.patterns.shared import NO_ROW_NOISE, RowNoise
from napari_noise2score.noise.pixels.even_noise import EvenSample, with_read_noise
from napari_noise2score.noise.pixels.maps import PixelMaps
from napari_noise2score.noise.request import AUTO, NoiseRequest
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel, check_noisy

_LARGEST_STEP = 0.25
"""Largest step of double precision that is accepted, noise standard deviations."""
_MEASURED_PAIRS = 6
"""Maximum number of pairs of frames on which the noise variance is measured in the coordinate."""
_REFINEMENTS = 3
"""Maximum number of iterations of noise model and correlation of the noise."""
_SETTLED = 0.02
"""Change of the correlation that ends the iteration."""
_GAIN_ROUNDS = 2
"""Number of iterations of the gain and of the resampled pixels; their noise depends on it."""


Refine = Callable[[PreparedChannel], Correlation | None]
"""Measures the correlation of the noise of a channel, whose noise model is then corrected."""


def model_noise(
    source: ImageSource,
    noise: NoiseRequest | None = None,
    separate: str = '',
    *,
    refine: Refine | None = None,
    constant_too: bool = False,
) -> Prepared:
    """Give every channel of an image its noise model.

    Parameters
    ----------
    source : ImageSource
        The image.
    noise : NoiseRequest, optional
        Known properties of the noise; the others are estimated for each channel.
    separate : str
        Axes that are treated as channel axes too, such as ``'T'``.
    refine : callable, optional
        Measures the correlation of the noise of a channel, such as the function that
        `napari_noise2score.pipeline.refine.by_pretrained` returns; its result is None if the
        correlation cannot be measured.
    constant_too : bool
        Whether an image may be constant in every channel; one of several images may be constant.
        One of several channels that is constant, or has no noise, is returned as it is.

    Raises
    ------
    InputError
        If the noise is not given and cannot be estimated, or if every channel is constant.
    """
    noise = noise or NoiseRequest()
    channels: list[PreparedChannel] = []
    constant: list[Channel] = []
    for channel in source.channels(separate):
        ready = None
        with _may_lack_noise(channel):
            ready = _prepared(channel, noise, refine)
        if ready is None:
            constant.append(channel)
        else:
            channels.append(ready)
    prepared = Prepared(source, tuple(channels), tuple(constant))
    if not constant_too:
        check_noisy([prepared])
    return prepared


@contextmanager
def _may_lack_noise(channel: Channel) -> Iterator[None]:
    """That one of several channels has no noise is no error: it is returned as it is."""
    try:
        yield
    except NoNoiseError:
        if not channel.words:
            raise


@dataclass(frozen=True, slots=True, eq=False)
class _Sampled:
    """Some planes of a channel: their numbers, their values, and the maps of their pixels."""

    places: list[list[int]]
    stacks: list[NDArray[Any]]
    maps: PixelMaps | None
    notes: tuple[str, ...]


def _prepared(
    channel: Channel, noise: NoiseRequest, refine: Refine | None
) -> PreparedChannel | None:
    """A channel with its noise model; None if it is constant."""
    places, sample = sample_planes(channel, in_place=noise.maps is not None)
    if not sample:
        return None
    maps, notes = maps_for(noise.maps, channel.source)
    family = noise.known()
    fit: NoiseFit | None
    if maps is not None:
        fit, family, sample = _with_maps(noise, maps, channel, sample)
    elif family is None:
        fit = _estimate(channel, sample)
        family = _resolved(noise, fit, channel)
    else:
        fit = _fit_or_none(sample)
    sampled = _Sampled(places, sample, maps, notes)
    ready = _modelled(channel, noise, sampled, family, fit)
    return ready if refine is None else _refined(ready, noise, sampled, refine)


def _refined(
    ready: PreparedChannel, noise: NoiseRequest, sampled: _Sampled, refine: Refine
) -> PreparedChannel:
    """The channel with its noise model corrected for the measured correlation, in iterations."""
    channel = ready.channel
    for _ in range(_REFINEMENTS):
        if ready.fit is None or (measured := refine(ready)) is None:
            break
        fit, before = with_correlation(ready.fit, measured), ready.correlation
        family = noise.known() or _resolved(noise, fit, channel)
        ready = _modelled(channel, noise, sampled, family, fit)
        if abs(ready.correlation.neighbours - before.neighbours) < _SETTLED:
            break
    return ready


def _modelled(
    channel: Channel,
    noise: NoiseRequest,
    sampled: _Sampled,
    family: NoiseFamily,
    fit: NoiseFit | None,
) -> PreparedChannel:
    """A channel with a noise model, and with its pairs of frames of one scene."""
    places, sample, maps = sampled.places, sampled.stacks, sampled.maps
    _check(family, sample, channel.name)
    top, base = highest_level(channel, sample), float(np.nanmedian(blank_as_nan(sample[0][0])))
    _check_precision(family, max(abs(top), abs(base)), base, channel)
    table = family.level_table(top, base)
    correlation = Correlation.white()
    rows = NO_ROW_NOISE
    if fit is not None and noise.correlation == AUTO:
        correlation = fit.correlation
        if isinstance(family, AffineVarianceFamily):  # noise to which offsets are added
            rows = fit.rows
    coordinate = family.coordinate(top, base)
    pairs: tuple[PlanePair, ...] = ()
    if fit is not None and fit.compared:
        corner = _corner(channel, sample)
        pairs = _pairs(places, fit, table, corner)
        frames = _by_number(places, sample)
        clipped = float(coordinate.forward(top)) if fit.clipped else np.inf
        if maps is None:  # otherwise the excess noise of single pixels would be included
            compared = _compared(frames, pairs, coordinate, fit.rows.changing)
            table = measured_table(table, compared, clipped)
        planes = _in_coordinate(frames, pairs, coordinate)
        pairs = without_events(pairs, planes, table, corner)
    return PreparedChannel(
        channel,
        family,
        fit,
        coordinate,
        table,
        correlation,
        pairs,
        BlankPlaces(),
        rows,
        maps=maps,
        notes=sampled.notes,
    )


def _pairs(
    places: list[list[int]], fit: NoiseFit, table: LevelTable, corner: tuple[int, int]
) -> tuple[PlanePair, ...]:
    """Pairs of frames of one scene, from the estimate, with the plane numbers of the channel."""
    plane_pairs = []
    for planes, pairs in zip(places, fit.pairs, strict=True):
        for pair in pairs:
            still = None if pair.still is None else replace(pair.still, corner=corner)
            numbers = planes[pair.first], planes[pair.second]
            of_planes = PlanePair(*numbers, pair.change(table), still)
            # the brighter first: after scaling to less light, its variance is still linear
            plane_pairs.append(of_planes.reversed if pair.light > 1 else of_planes)
    return tuple(plane_pairs)


def _corner(channel: Channel, sample: list[NDArray[Any]]) -> tuple[int, int]:
    """First row and column of the part of the planes that is in a sample."""
    rows, columns = (
        (whole - part) // 2
        for whole, part in zip(channel.shape[1:], sample[0].shape[1:], strict=True)
    )
    return rows, columns


def _by_number(places: list[list[int]], sample: list[NDArray[Any]]) -> dict[int, NDArray[Any]]:
    """The planes (Y, X) of a sample by their numbers, grey levels of the image."""
    return {
        number: frame
        for planes, stack in zip(places, sample, strict=True)
        for number, frame in zip(planes, stack, strict=True)
    }


def _in_coordinate(
    frames: dict[int, NDArray[Any]], pairs: tuple[PlanePair, ...], coordinate: UnitNoise
) -> dict[int, NDArray[np.float32]]:
    """The planes of the pairs in the coordinate, by their numbers."""
    paired = {number for pair in pairs for number in (pair.first, pair.second)}
    return {
        number: coordinate.forward(blank_as_nan(frames[number])).astype(np.float32)
        for number in paired
    }


def _compared(
    frames: dict[int, NDArray[Any]],
    pairs: tuple[PlanePair, ...],
    coordinate: UnitNoise,
    rows: RowNoise,
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], PlanePair]]:
    """Some of the pairs in the coordinate."""
    some = pairs[:: max(1, len(pairs) // _MEASURED_PAIRS)]
    compared = []
    for pair in some:
        first, second = (blank_as_nan(frames[number]) for number in (pair.first, pair.second))
        if rows.detected and pair.change is None:
            first, second = _levelled(first, second, pair.still, rows)
        compared.append((coordinate.forward(first), coordinate.forward(second), pair))
    return compared


def _levelled(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    still: StillBlocks | None,
    rows: RowNoise,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two frames without the offsets by which their rows and columns differ."""
    there = np.isfinite(first) & np.isfinite(second)
    return levelled_pair(first, second, there if still is None else there & still.pixels, rows)


def _with_maps(
    noise: NoiseRequest, maps: PixelMaps, channel: Channel, sample: list[NDArray[Any]]
) -> tuple[NoiseFit | None, NoiseFamily, list[NDArray[Any]]]:
    """The estimate, the noise of the median pixel, and a sample with that noise in all pixels."""
    offset = noise.parameters['offset']
    rows, columns = _corner(channel, sample)
    there = maps.part(
        slice(rows, rows + sample[0].shape[1]), slice(columns, columns + sample[0].shape[2])
    )
    stacks = [np.stack([blank_as_nan(plane) for plane in stack]) for stack in sample]
    kind = sample[0].dtype
    last = float(np.iinfo(kind).max) if kind.kind in 'iu' else np.inf
    even = EvenSample(stacks, there, offset, last)
    gain = noise.parameters.get('gain')
    base = replace(noise, parameters={**noise.parameters, 'read_noise': maps.base})
    equalised = even.at(gain)
    family = base.known()
    if family is not None:
        blind = _fit_or_none(equalised)
        return blind and with_read_noise(blind, even.read_noise, maps.base), family, equalised
    for _ in range(_GAIN_ROUNDS):
        fit = with_read_noise(_estimate(channel, equalised), even.read_noise, maps.base)
        family = _resolved(base, fit, channel)
        equalised = even.at(family.parameters()['gain'])
    assert family is not None  # there is at least one iteration
    return fit, family, equalised


def estimate_channel(channel: Channel, refine: Refine | None = None) -> NoiseFit | None:
    """Blind noise estimate of one channel, from some of its planes; None if all are constant.

    None also for one of several channels that has no noise.

    Parameters
    ----------
    channel : Channel
        The channel.
    refine : callable, optional
        As in `model_noise`.

    Raises
    ------
    InputError
        If there is no noise, or the image is too small for an estimate.
    """
    fit = None
    with _may_lack_noise(channel):
        fit = _estimated(channel, refine)
    return fit


def _estimated(channel: Channel, refine: Refine | None) -> NoiseFit | None:
    places, sample = sample_planes(channel)
    if not sample:
        return None
    fit = _estimate(channel, sample)
    if refine is None or fit.compared:
        return fit
    blind, sampled = NoiseRequest(), _Sampled(places, sample, None, ())
    ready = _modelled(channel, blind, sampled, _resolved(blind, fit, channel), fit)
    return _refined(ready, blind, sampled, refine).fit


def _estimate(channel: Channel, sample: list[NDArray[Any]]) -> NoiseFit:
    try:
        return estimate_noise(sample)
    except InputError as error:
        raise type(error)(f'{channel.name}: {error}') from error


def _resolved(noise: NoiseRequest, fit: NoiseFit, channel: Channel) -> NoiseFamily:
    try:
        return noise.resolve(fit)
    except InputError as error:
        raise InputError(f'{channel.name}: {error}') from error


def _check(family: NoiseFamily, sample: list[NDArray[Any]], name: str) -> None:
    try:
        for plane in (plane for stack in sample for plane in stack):
            _check_plane(family, plane)
    except InputError as error:
        raise InputError(f'{name}: {error}') from error


def _check_plane(family: NoiseFamily, plane: NDArray[Any]) -> None:
    """The blank places, which take long to find, are looked for if anything is refused."""
    try:
        family.check_values(plane[np.isfinite(plane)])
    except InputError:
        values = blank_as_nan(plane)
        family.check_values(values[np.isfinite(values)])


def _check_precision(family: NoiseFamily, most: float, base: float, channel: Channel) -> None:
    """Raise `InputError` if whole numbers are too large for double precision and their noise."""
    step = lost_in_double(channel.source.data.dtype, most)
    noise = float(family.variance(base)) ** 0.5
    if step > _LARGEST_STEP * noise:
        raise InputError(
            f'{channel.name}: values are near {base:.4g}, where double precision has steps of '
            f'{step:g}; the noise is {noise:.3g}, which is lost in these steps; subtract an '
            'offset from the image first'
        )


def _fit_or_none(sample: list[NDArray[Any]]) -> NoiseFit | None:
    """The estimate for the report, in addition to a given noise model; None if impossible."""
    if min(sample[0].shape[1:]) < SMALLEST:
        return None
    try:
        return estimate_noise(sample)
    except InputError:
        return None
