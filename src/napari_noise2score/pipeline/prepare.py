"""From an image to channels with their noise models: the first stage of the pipeline. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.images.blanks import BlankPlaces, nothing_but_constants
from napari_noise2score.images.pixel_places import maps_for
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import Channel, ImageSource
from napari_noise2score.noise.blank import marked, single_valued
from napari_noise2score.noise.choose import AUTO, NoiseRequest
from napari_noise2score.noise.common import NO_OFFSETS, NO_ROWS, PlaneOffsets, RowNoise
from napari_noise2score.noise.coordinates import UnitNoise
from napari_noise2score.noise.correct import Correction, LocalScore
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.estimate import SMALLEST, estimate_noise
from napari_noise2score.noise.even_planes import EvenPlanes
from napari_noise2score.noise.events import without_events
from napari_noise2score.noise.families import AffineVarianceFamily, NoiseFamily
from napari_noise2score.noise.level_table import LevelTable, VarianceCurve
from napari_noise2score.noise.measured import measured_table
from napari_noise2score.noise.noise_fit import NoiseFit
from napari_noise2score.noise.offsets import levelled_pair
from napari_noise2score.noise.pairs import PlanePair, StillBlocks
from napari_noise2score.noise.pixel_fill import EvenSample, with_read_noise, without_map
from napari_noise2score.noise.pixel_maps import PixelMaps
from napari_noise2score.noise.residual_correlation import with_correlation
from napari_noise2score.noise.unbiased import LevelBias, with_the_light_of
from napari_noise2score.noise.units import lost_in_double

_ESTIMATE_PLANES = 24
_ESTIMATE_PIXELS = 1 << 25
"""Most pixels of a channel that its noise is estimated from."""
_TOP_PLANES = 4
_BEYOND = 1.0
"""Noise standard deviations by which a clean value may lie outside of all noisy ones of its plane:
noise widens their range, and only in a plane of few pixels by chance less than it might."""
_LARGEST_STEP = 0.25
"""Largest step of double precision that is accepted, noise standard deviations."""
_MEASURED_PAIRS = 6
_REFINEMENTS = 3
"""Most times that the correlation of the noise is measured with a noise model, and corrected."""
_SETTLED = 0.02
"""Change of the correlation that ends this."""
_GAIN_ROUNDS = 2
"""Times that a gain is estimated where noisy pixels are filled in with the noise that it says."""


class CleanPlane(NamedTuple):
    """A plane before and after its correction.

    ``raw``, (Y, X), is as it lies in the image, ``noisy`` and ``clean`` are grey levels in
    float64, ``excess`` is the noise variance of pixels beyond that of the model (None if all are
    alike), and ``blank`` says where there is nothing to correct, so that they are the same; None
    if nowhere. ``lacked`` is how much the mean of the estimate had to be raised, grey levels.
    """

    raw: NDArray[Any]
    noisy: NDArray[np.float64]
    clean: NDArray[np.float64]
    blank: NDArray[np.bool_] | None
    lacked: float = 0.0
    excess: NDArray[np.float64] | None = None


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
    blanks : BlankPlaces
        Where its planes hold no noise.
    rows : RowNoise
        Offsets that whole rows, columns and waves have in common, which are to be taken off.
    offsets : PlaneOffsets
        What rows, columns and waves of its planes have in common; it is taken off.
    maps : PixelMaps or None
        Offset and read noise of its pixels, where they differ; the family is that of the median.
    even : EvenPlanes or None
        Its planes as they would be if all pixels were like the median one; None until they are
        asked for (`napari_noise2score.pipeline.evening`).
    notes : tuple of str
        What a user should know of its maps.
    """

    channel: Channel
    family: NoiseFamily
    fit: NoiseFit | None
    coordinate: UnitNoise
    table: LevelTable
    correlation: Correlation
    pairs: tuple[PlanePair, ...]
    blanks: BlankPlaces
    rows: RowNoise = NO_ROWS
    offsets: PlaneOffsets = NO_OFFSETS
    maps: PixelMaps | None = None
    even: EvenPlanes | None = None
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, Y, X)."""
        return self.channel.shape

    @property
    def finest(self) -> float:
        """Standard deviation of the noise at a usual level, grey levels."""
        return float(1 / self.coordinate.derivative(self.table.base))

    def measured(self, raw: NDArray[Any]) -> NDArray[Any]:
        """A plane (Y, X) as it lies in the image, with a single offset for all pixels."""
        if self.maps is None:
            return raw
        return without_map(raw.astype(np.float64), self.maps, self._offset, self.rail)

    def levelled(self, index: int, raw: NDArray[Any]) -> NDArray[Any]:
        """Plane ``index``, (Y, X) as it lies in the image, as if all its pixels were alike.

        Without what rows and columns share, with one offset and, once that is known, one noise.
        """
        values = self.measured(raw)
        if self.even is not None:
            values = np.where(raw < self.rail, self.even.of(index, values), values)
        found = self.offsets.of(index)
        if found is None:
            return values
        values = values.astype(np.float64)
        return np.where(raw < self.rail, values - found.plane, values)

    @property
    def excess(self) -> NDArray[np.float64] | None:
        """Noise variance of pixels beyond that of the family, (Y, X); None if all are alike."""
        if self.maps is None:
            return None
        return self.maps.excess(self.family.parameters()['read_noise'])

    @property
    def _offset(self) -> float:
        return self.family.parameters()['offset']

    def plane(self, index: int) -> NDArray[np.float32]:
        """Plane ``index`` in the unit-noise coordinate, (Y, X) float32; NaN where it is blank."""
        raw = self.channel.raw_plane(index)
        values = self.coordinate.forward(self.levelled(index, raw)).astype(np.float32)
        blank = self.blanks.of(index, raw)
        if blank is not None:
            values[blank] = np.nan
        return values

    def correct(
        self,
        index: int,
        level: NDArray[np.float32],
        family: NoiseFamily,
        form: Correction,
        bias: LevelBias | None = None,
    ) -> CleanPlane:
        """Plane ``index`` corrected, with the light of the noisy one.

        No value lies further outside those of the noisy plane than noise.

        Parameters
        ----------
        index : int
            Which plane.
        level : (Y, X) float32
            Its clean level ``D`` in the unit-noise coordinate.
        family : NoiseFamily
            Noise to correct for.
        form : Correction
            Form of the correction.
        bias : LevelBias, optional
            What the correction lacks level by level.
        """
        raw = self.channel.raw_plane(index)
        noisy, blank = raw.astype(np.float64), self.blanks.of(index, raw)
        if self.offsets.any or self.maps is not None:
            even = self.levelled(index, raw).astype(np.float64)
            noisy = even if blank is None else np.where(blank, noisy, even)
        if blank is not None and blank.all():
            return CleanPlane(raw, noisy, noisy, blank)
        there = noisy if blank is None else noisy[~blank]
        own = level if blank is None else level[~blank]
        clean = family.correct(
            there, LocalScore.from_clean(self.coordinate, self.table, own), form
        )
        if bias is not None:
            clean = bias.taken_off(clean, family)
        lowest, highest = self.coordinate.forward([there.min(), there.max()])
        ends = self.coordinate.inverse([lowest - _BEYOND, highest + _BEYOND])
        clean, lacked = with_the_light_of(there, np.clip(clean, *ends), family, self.rail)
        clean = np.clip(clean, *ends)
        if blank is not None:
            clean, part = noisy.copy(), clean
            clean[~blank] = part
        if self.maps is not None:  # what was measured, not what was drawn
            found = self.offsets.of(index)
            measured = self.measured(raw) - (0.0 if found is None else found.plane)
            noisy = measured if blank is None else np.where(blank, noisy, measured)
        return CleanPlane(raw, noisy, clean, blank, lacked, self.excess)

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
    """An image whose channels have their noise models.

    Attributes
    ----------
    source : ImageSource
        The image.
    channels : tuple of PreparedChannel
        Its channels that hold noise.
    constant : tuple of Channel
        The others, of which each plane has a single value, or none; they are handed through.
    """

    source: ImageSource
    channels: tuple[PreparedChannel, ...]
    constant: tuple[Channel, ...] = ()


Refine = Callable[[PreparedChannel], Correlation | None]
"""Measures the correlation of the noise of a channel, whose noise model is then corrected."""


def prepare(
    source: ImageSource,
    noise: NoiseRequest | None = None,
    apart: str = '',
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
        What is known of the noise; the rest is estimated channel by channel.
    apart : str
        Axes that are taken for channel axes too, such as ``'T'``.
    refine : callable, optional
        Measures the correlation of the noise of a channel, such as
        `napari_noise2score.pipeline.refine.by_pretrained` does; None where it cannot.
    constant_too : bool
        Whether an image may be constant in every channel: one of several that has nothing to be
        done to it.

    Raises
    ------
    InputError
        If the noise cannot be estimated and is not given, or every channel is constant.
    """
    noise = noise or NoiseRequest()
    channels, constant = [], []
    for channel in source.channels(apart):
        ready = _prepared(channel, noise, refine)
        if ready is None:
            constant.append(channel)
        else:
            channels.append(ready)
    prepared = Prepared(source, tuple(channels), tuple(constant))
    if not constant_too:
        check_noisy([prepared])
    return prepared


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
    places, sample = _sample(channel)
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
    if refine is None:
        return ready
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
    """A channel with a noise model, and with what its frames say of each other."""
    places, sample, maps = sampled.places, sampled.stacks, sampled.maps
    _check(family, sample, channel.name)
    top, base = _top(channel, sample), float(np.nanmedian(marked(sample[0][0])))
    _check_precision(family, max(abs(top), abs(base)), base, channel)
    table = family.level_table(top, base)
    correlation = Correlation.white()
    rows = NO_ROWS
    if fit is not None and noise.correlation == AUTO:
        correlation = fit.correlation
        if isinstance(family, AffineVarianceFamily):  # noise that adds up with offsets
            rows = fit.rows
    coordinate = family.coordinate(top, base)
    pairs: tuple[PlanePair, ...] = ()
    if fit is not None and fit.compared:
        corner = _corner(channel, sample)
        pairs = _pairs(places, fit, table, corner)
        frames = _by_number(places, sample)
        clipped = float(coordinate.forward(top)) if fit.clipped else np.inf
        if maps is None:  # else what pixels have beyond the usual noise would count
            compared = _compared(frames, pairs, coordinate, fit.rows.changing)
            table = measured_table(table, compared, clipped)
        seen = _in_coordinate(frames, pairs, coordinate)
        pairs = without_events(pairs, seen, table, corner)
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


def check_noisy(images: Sequence[Prepared]) -> None:
    """Raise `InputError` if no channel of any of the images holds noise."""
    if images and not any(image.channels for image in images):
        first = images[0]
        raise InputError(f'{first.source.name}: {nothing_but_constants(first.constant)}')


def _pairs(
    places: list[list[int]], fit: NoiseFit, table: LevelTable, corner: tuple[int, int]
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


def _by_number(places: list[list[int]], sample: list[NDArray[Any]]) -> dict[int, NDArray[Any]]:
    """The planes of a sample, (Y, X) as they lie in the image, by their numbers."""
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
        number: coordinate.forward(marked(frames[number])).astype(np.float32) for number in paired
    }


def _compared(
    frames: dict[int, NDArray[Any]],
    pairs: tuple[PlanePair, ...],
    coordinate: UnitNoise,
    rows: RowNoise,
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], PlanePair]]:
    """Some of the pairs in the coordinate."""
    some = pairs[:: max(1, len(pairs) // _MEASURED_PAIRS)]
    found = []
    for pair in some:
        first, second = (marked(frames[number]) for number in (pair.first, pair.second))
        if rows.found and pair.change is None:
            first, second = _levelled(first, second, pair.still, rows)
        found.append((coordinate.forward(first), coordinate.forward(second), pair))
    return found


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
    """The estimate, the noise of the median pixel, and a sample of pixels that differ little."""
    offset = noise.parameters['offset']
    rows, columns = _corner(channel, sample)
    there = maps.part(
        slice(rows, rows + sample[0].shape[1]), slice(columns, columns + sample[0].shape[2])
    )
    stacks = [np.stack([marked(plane) for plane in stack]) for stack in sample]
    kind = sample[0].dtype
    last = float(np.iinfo(kind).max) if kind.kind in 'iu' else np.inf
    even = EvenSample(stacks, there, offset, last)
    gain = noise.parameters.get('gain')
    base = replace(noise, parameters={**noise.parameters, 'read_noise': maps.base})
    found = even.at(gain)
    family = base.known()
    if family is not None:
        blind = _fit_or_none(found)
        return blind and with_read_noise(blind, even.read_noise, maps.base), family, found
    for _ in range(_GAIN_ROUNDS):
        fit = with_read_noise(_estimate(channel, found), even.read_noise, maps.base)
        family = _resolved(base, fit, channel)
        found = even.at(family.parameters()['gain'])
    assert family is not None  # there was a round
    return fit, family, found


def estimate_channel(channel: Channel, refine: Refine | None = None) -> NoiseFit | None:
    """Blind noise estimate of one channel, from some of its planes; None if all are constant.

    Parameters
    ----------
    channel : Channel
        The channel.
    refine : callable, optional
        As of `prepare`.

    Raises
    ------
    InputError
        If there is no noise, or too little image to tell.
    """
    sample = _sample(channel)[1]
    if not sample:
        return None
    fit = _estimate(channel, sample)
    if refine is None or fit.compared:
        return fit
    ready = _prepared(channel, NoiseRequest(), refine)
    return fit if ready is None else ready.fit


def _estimate(channel: Channel, sample: list[NDArray[Any]]) -> NoiseFit:
    try:
        return estimate_noise(sample)
    except InputError as error:
        raise InputError(f'{channel.name}: {error}') from error


def _resolved(noise: NoiseRequest, fit: NoiseFit, channel: Channel) -> NoiseFamily:
    try:
        return noise.resolve(fit)
    except InputError as error:
        raise InputError(f'{channel.name}: {error}') from error


def _sample(channel: Channel) -> tuple[list[list[int]], list[NDArray[Any]]]:
    """Some planes of a channel, those that follow in time together: which, and their values.

    Each is a list of T planes and an array (T, Y, X). Planes of a single value are passed over;
    nothing is left of a channel that has no others.
    """
    count, frames = channel.shape[0], channel.frames
    groups = [range(start, start + frames) for start in range(0, count, frames)]
    share = max(min(frames, 4), _ESTIMATE_PLANES // len(groups))
    step = max(1, len(groups) * min(frames, share) // _ESTIMATE_PLANES)
    most = len(groups[::step])
    middle = _middle(channel, most * min(frames, share))
    places: list[list[int]] = []
    stacks = []
    for group in (group for start in range(step) for group in groups[start::step]):
        if len(places) == most:
            break
        varied = ((i, plane) for i in group if not single_valued(plane := middle.raw_plane(i)))
        found = list(islice(varied, share))
        if found:
            places.append([index for index, _ in found])
            stacks.append(np.stack([plane for _, plane in found]))
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
    top = max(float(np.nanmax(marked(plane))) for stack in sample for plane in stack)
    if sample[0].shape[1:] == channel.shape[1:]:
        return top
    step = -(-channel.shape[0] // _TOP_PLANES)
    planes = range(0, channel.shape[0], step)
    seen = (marked(channel.raw_plane(plane)) for plane in planes)
    return max(top, *(float(np.nanmax(plane)) for plane in seen if not np.isnan(plane).all()))


def _check(family: NoiseFamily, sample: list[NDArray[Any]], name: str) -> None:
    try:
        for values in sample:
            family.check_values(values)
    except InputError as error:
        raise InputError(f'{name}: {error}') from error


def _check_precision(family: NoiseFamily, most: float, base: float, channel: Channel) -> None:
    """Raise `InputError` if whole numbers are too large for double precision and their noise."""
    step = lost_in_double(channel.source.data.dtype, most)
    noise = float(family.variance(base)) ** 0.5
    if step > _LARGEST_STEP * noise:
        raise InputError(
            f'{channel.name}: values are near {base:.4g}, where double precision has steps of '
            f'{step:g}; the noise is {noise:.3g}, and is lost in them; subtract an offset from '
            'the image first'
        )


def _fit_or_none(sample: list[NDArray[Any]]) -> NoiseFit | None:
    """The estimate beside a noise model that was given, for the report; None where impossible."""
    if min(sample[0].shape[1:]) < SMALLEST:
        return None
    try:
        return estimate_noise(sample)
    except InputError:
        return None
