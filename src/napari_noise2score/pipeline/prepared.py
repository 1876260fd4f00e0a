"""An image whose channels have their noise models, and its planes in the unit-noise coordinate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.images.blank_places import (
    BlankPlaces,
    BlankPlacesOfPart,
    constant_image_message,
)
from napari_noise2score.images.blocks import Window
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import Channel, ImageSource
from napari_noise2score.noise.coordinates import UnitNoise
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.estimate.noise_fit import NoiseFit
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.level_bias import LevelBias, with_matched_mean
from napari_noise2score.noise.level_table import LevelTable, VarianceCurve
from napari_noise2score.noise.local_score import Correction, LocalScore
from napari_noise2score.noise.pairs import PlanePair
from napari_noise2score.noise.patterns.shared import (
    NO_OFFSETS,
    NO_ROW_NOISE,
    PlaneOffsets,
    RowNoise,
)
from napari_noise2score.noise.pixels.even_noise import without_map
from napari_noise2score.noise.pixels.even_planes import EvenPlanes
from napari_noise2score.noise.pixels.maps import PixelMaps
from napari_noise2score.pipeline.neighbours import Neighbours

_BEYOND = 1.0
"""Maximum distance of a clean value from the range of the noisy values of its plane, noise
standard deviations. Noise makes this range wider than that of the clean values, except by chance
in a plane with few pixels."""


class CleanPlane(NamedTuple):
    """A plane (Y, X) before and after its correction.

    ``raw`` has the values of the image; ``noisy`` and ``clean`` are grey levels in float64.
    ``blank`` is True where there is nothing to correct, and noisy and clean values are equal; it
    is None if there is no such place. ``lacked`` was added to the mean of the estimate, grey
    levels. ``excess`` is the noise variance of pixels beyond that of the model; None if all pixels
    have the same noise.
    """

    raw: NDArray[Any]
    noisy: NDArray[np.float64]
    clean: NDArray[np.float64]
    blank: NDArray[np.bool_] | None
    lacked: float = 0.0
    excess: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PreparedChannel:
    """A channel with its noise model; planes can be read in its unit-noise coordinate.

    Attributes
    ----------
    channel : Channel
        The grey levels.
    family : NoiseFamily
        The noise model.
    fit : NoiseFit or None
        The estimate; None if all parameters of the noise model were given.
    coordinate : UnitNoise
        ``t = f(y)``.
    table : LevelTable
        Mean and variance of the noise in the coordinate.
    correlation : Correlation
        Correlation of the noise between pixels that the training uses.
    pairs : tuple of PlanePair
        Planes of one scene with independent noise, and the change of the light between them; empty
        if there are none.
    blanks : BlankPlaces
        Places of its planes without noise.
    rows : RowNoise
        Common offsets of whole rows, columns and waves, which will be subtracted.
    offsets : PlaneOffsets
        Common offsets of rows, columns and waves of its planes, which are subtracted.
    maps : PixelMaps or None
        Offset and read noise of its pixels, if they differ; the family is that of the median
        pixel.
    even : EvenPlanes or None
        Its planes with the noise of the median pixel in all pixels; None before the equalisation
        (`napari_noise2score.pipeline.equalisation`).
    notes : tuple of str
        Notes on its maps for the user.
    neighbours : Neighbours or None
        What the network sees beside a plane; None for nothing.
    """

    channel: Channel
    family: NoiseFamily
    fit: NoiseFit | None
    coordinate: UnitNoise
    table: LevelTable
    correlation: Correlation
    pairs: tuple[PlanePair, ...]
    blanks: BlankPlaces
    rows: RowNoise = NO_ROW_NOISE
    offsets: PlaneOffsets = NO_OFFSETS
    maps: PixelMaps | None = None
    even: EvenPlanes | None = None
    notes: tuple[str, ...] = ()
    neighbours: Neighbours | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, Y, X)."""
        return self.channel.shape

    @property
    def finest(self) -> float:
        """Standard deviation of the noise at a typical level, grey levels."""
        return float(1 / self.coordinate.derivative(self.table.base))

    @property
    def costly(self) -> bool:
        """Whether a plane is denoised when it is first read: to find offsets, or even noise."""
        return self.offsets.any or self.even is not None

    def measured(self, raw: NDArray[Any]) -> NDArray[Any]:
        """A plane (Y, X) of the image, with a single offset for all pixels."""
        if self.maps is None:
            return raw
        return without_map(raw.astype(np.float64), self.maps, self._offset, self.rail)

    def levelled(self, index: int, raw: NDArray[Any]) -> NDArray[Any]:
        """Plane ``index``, (Y, X) with the values ``raw``, without the differences of its pixels.

        The common offsets of rows and columns are subtracted. All pixels have the same offset and,
        after the equalisation, the same noise.
        """
        values = self.measured(raw)
        if self.even is not None:
            values = np.where(raw < self.rail, self.even.of(index, values), values)
        offsets = self.offsets.of(index)
        if offsets is None:
            return values
        values = values.astype(np.float64)
        return np.where(raw < self.rail, values - offsets.plane, values)

    @property
    def excess(self) -> NDArray[np.float64] | None:
        """Noise variance of pixels beyond that of the family, (Y, X); None without maps."""
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
        """Correct plane ``index``; the mean light of the noisy plane does not change.

        Clean values stay within the range of the noisy plane, extended by one noise standard
        deviation.

        Parameters
        ----------
        index : int
            Number of the plane.
        level : (Y, X) float32
            Its clean level ``D`` in the unit-noise coordinate.
        family : NoiseFamily
            Noise to correct for.
        form : Correction
            Form of the correction.
        bias : LevelBias, optional
            Bias of the correction at each level, which is subtracted.
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
        clean, ends = self.estimated(there, own, family, form, bias), self.ends_of(there)
        clean, lacked = with_matched_mean(there, np.clip(clean, *ends), family, self.rail)
        clean = np.clip(clean, *ends)
        if blank is not None:
            clean, part = noisy.copy(), clean
            clean[~blank] = part
        if self.maps is not None:  # the measured values, not the resampled ones
            offsets = self.offsets.of(index)
            measured = self.measured(raw) - (0.0 if offsets is None else offsets.plane)
            noisy = measured if blank is None else np.where(blank, noisy, measured)
        return CleanPlane(raw, noisy, clean, blank, lacked, self.excess)

    def estimated(
        self,
        noisy: NDArray[np.float64],
        level: NDArray[np.float32],
        family: NoiseFamily,
        form: Correction,
        bias: LevelBias | None = None,
    ) -> NDArray[np.float64]:
        """Clean values before they are given the range and the mean of the noisy plane.

        The values of a pixel depend on that pixel alone.

        Parameters
        ----------
        noisy : any shape, float64
            Grey levels, in places that are not blank.
        level : float32
            Clean level ``D`` there, in the unit-noise coordinate.
        family, form, bias
            As of `correct`.
        """
        score = LocalScore.from_clean(self.coordinate, self.table, level)
        clean = family.correct(noisy, score, form)
        return clean if bias is None else bias.subtracted_from(clean, family)

    def ends_of(self, noisy: Any) -> tuple[float, float]:
        """Lowest and highest clean value of a plane with these noisy values, grey levels."""
        lowest, highest = self.coordinate.forward([np.min(noisy), np.max(noisy)])
        low, high = self.coordinate.inverse([lowest - _BEYOND, highest + _BEYOND])
        return float(low), float(high)

    def part(self, window: Window) -> PreparedChannel:
        """The same rows and columns of every plane, with the values that the planes have there."""
        rows, columns = window
        inner = self.channel
        return replace(
            self,
            channel=Channel(inner.source.part(Region(window.ranges)), inner.place),
            blanks=BlankPlacesOfPart(self.blanks, inner, window),
            offsets=self.offsets.part(rows, columns),
            maps=self.maps and self.maps.part(rows, columns),
            even=self.even and self.even.part(rows, columns),
            neighbours=self.neighbours and self.neighbours.part(),
        )

    def series(self, index: int, axis: str) -> range:
        """Numbers of the planes along an axis that have the same position on the others."""
        return self.channel.series(index, axis)

    def context(self, index: int) -> NDArray[np.float32] | None:
        """What the network sees beside plane ``index``, as `context_of` returns it.

        None if there is nothing. The other planes are read whole: of large planes, read a `part`.
        """
        return None if self.neighbours is None else self.neighbours.context(self, index)

    def patch_context(
        self, index: int, window: Window, without: int | None = None
    ) -> NDArray[np.float32] | None:
        """What the network sees beside a window of plane ``index``; of the others nothing more is
        read. One of them may be left out, with the number ``without``.
        """
        part = self.part(window)
        if part.neighbours is None:
            return None
        return part.neighbours.context(part, index, without)

    def beside(self, index: int) -> tuple[int | None, int | None]:
        """Numbers of the planes before and after a plane along the axis of the neighbours."""
        if self.neighbours is None:
            return None, None
        series = self.series(index, self.neighbours.axis)
        place = series.index(index)
        return (
            series[place - 1] if place > 0 else None,
            series[place + 1] if place + 1 < len(series) else None,
        )

    @property
    def alone(self) -> PreparedChannel:
        """The same, without neighbours."""
        return self if self.neighbours is None else replace(self, neighbours=None)

    @property
    def recorruptible(self) -> bool:
        """Whether its noise is sufficiently Gaussian for a recorrupted risk."""
        return self.family.recorruptible

    @property
    def curve(self) -> VarianceCurve:
        """Noise variance as a function of the clean level, for the network."""
        estimated = self.fit is not None and self.fit.family == self.family
        return self.table.curve(doubt=self.fit.doubt if self.fit and estimated else 0.0)

    @property
    def rail(self) -> float:
        """Grey level at which the detector is saturated; infinite without saturated values."""
        return self.table.top if self.fit is not None and self.fit.clipped else np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An image whose channels have their noise models.

    Attributes
    ----------
    source : ImageSource
        The image.
    channels : tuple of PreparedChannel
        Its channels that contain noise.
    constant : tuple of Channel
        The other channels. Each of their planes has a single value, or none; they are returned
        unchanged.
    """

    source: ImageSource
    channels: tuple[PreparedChannel, ...]
    constant: tuple[Channel, ...] = ()


def check_noisy(images: Sequence[Prepared]) -> None:
    """Raise `InputError` if no channel of the images contains noise."""
    if images and not any(image.channels for image in images):
        first = images[0]
        raise InputError(f'{first.source.name}: {constant_image_message(first.constant)}')
