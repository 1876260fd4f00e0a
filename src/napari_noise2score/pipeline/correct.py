"""From a learned score to a clean image: noise to correct for, form, and Tweedie's formula."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.images.blank_places import constant_channel_message
from napari_noise2score.images.block_files import BlockFiles
from napari_noise2score.images.blocks import Window, blocks_of, is_large
from napari_noise2score.images.source import Channel, ImageSource
from napari_noise2score.images.storage import allocate, as_dtype
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.level_bias import LevelBias
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.large_planes import LargePlane, in_blocks
from napari_noise2score.pipeline.levels import LevelsOnDemand
from napari_noise2score.pipeline.plane_checks import ChannelChecks, PlaneCheck
from napari_noise2score.pipeline.prepared import CleanPlane, PreparedChannel
from napari_noise2score.pipeline.results import Corrected, ScoreMap
from napari_noise2score.pipeline.selection import DEFAULT_FORM, choose_form, compare_forms, risk_of
from napari_noise2score.progress import finish, relay
from napari_noise2score.score.predict import PredictProgress
from napari_noise2score.score.risk import Risk

_LARGEST_STEP = 0.05
"""Largest step of single precision in a result, noise standard deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class CorrectionPlan:
    """Noise and form of the correction of a score map.

    Attributes
    ----------
    score_map : ScoreMap
        The learned score of an image.
    families : tuple of NoiseFamily
        Noise to correct for, for each channel.
    form : Correction
        Form of the correction.
    risks : mapping of Correction to Risk
        Estimated risk of the forms that were compared; of the one used if it was given.
    biases : tuple of LevelBias or None
        Bias of the form at each level, for each channel; None if it is not known.
    """

    score_map: ScoreMap
    families: tuple[NoiseFamily, ...]
    form: Correction
    risks: Mapping[Correction, Risk]
    biases: tuple[LevelBias | None, ...]

    def plane(self, number: int, index: int) -> CleanPlane:
        """Plane ``index`` of channel ``number`` before and after the correction."""
        return finish(self.plane_steps(number, index))

    def plane_steps(self, number: int, index: int) -> Generator[PredictProgress, None, CleanPlane]:
        """As `plane`; the clean level is predicted tile by tile if it is predicted on demand."""
        levels = self.score_map.clean[number]
        if isinstance(levels, LevelsOnDemand):
            level = yield from levels.steps(index)
        else:
            level = levels[index]
        channel = self.score_map.prepared.channels[number]
        family, bias = self.families[number], self.biases[number]
        return channel.correct(index, level, family, self.form, bias)


def plan_correction(
    score_map: ScoreMap,
    noise: NoiseRequest | None = None,
    correction: Correction = Correction.AUTO,
) -> CorrectionPlan:
    """Select the noise and the form of a correction.

    Parameters
    ----------
    score_map : ScoreMap
        The learned score of the image.
    noise : NoiseRequest, optional
        Noise to correct for, if it is not that of the training. Parameters that are not given are
        estimated.
    correction : Correction
        Form of the correction; ``AUTO`` selects the one with the lowest risk.

    Raises
    ------
    InputError
        If a noise parameter is not given and could not be estimated.
    """
    evaluations = score_map.evaluations
    families = tuple(_family_of(channel, noise) for channel in score_map.prepared.channels)
    if correction is Correction.AUTO:
        risks = compare_forms(evaluations, families)
        given = score_map.noise_doubted or score_map.others_seen
        form = DEFAULT_FORM if given else choose_form(risks)
    else:
        form, risks = correction, {correction: risk_of(evaluations, families, correction)}
    biases = (
        evaluation.bias(family, form)
        for evaluation, family in zip(evaluations, families, strict=True)
    )
    return CorrectionPlan(score_map, families, form, risks, tuple(biases))


def correct_image(
    score_map: ScoreMap,
    noise: NoiseRequest | None = None,
    correction: Correction = Correction.AUTO,
    dtype: DTypeLike = np.float32,
) -> Corrected:
    """Clean image from a learned score: the fourth stage, about a second for four megapixels.

    Parameters
    ----------
    score_map : ScoreMap
        The learned score of the image, as `score_image` returns it.
    noise : NoiseRequest, optional
        Noise to correct for, if it is not that of the training. Parameters that are not given are
        estimated. No new training is needed.
    correction : Correction
        Form of the correction; ``AUTO`` selects the one with the lowest estimated risk.
    dtype : dtype
        Data type of the clean image. Values of an integer type are rounded and clipped to its
        range. ``float32`` becomes ``float64`` if its steps are too large for the noise.

    Returns
    -------
    Corrected
        Its ``image`` has the shape, axes and grey levels of the source.

    Raises
    ------
    InputError
        If a noise parameter is not given and could not be estimated.

    Notes
    -----
    Tweedie's formula of the noise family, ``E[x | y] = y + sigma^2 grad log p(y)`` for Gaussian
    noise ([1]_, eq. 6 and Table 1), or its exact chain Gaussian, then Poisson, for photons with
    read noise: `PoissonGaussian`, and docs/method.md.

    References
    ----------
    .. [1] Kim and Ye, Noise2Score: Tweedie's approach to self-supervised image denoising without
       clean images, NeurIPS (2021).

    Examples
    --------
    >>> from napari_noise2score import (
    ...     NoiseRequest, TrainSettings, correct_image, prepare, score_image, train_score
    ... )
    >>> from napari_noise2score.images.synthetic import synthetic_stack
    >>> prepared = prepare(synthetic_stack('nuclei', frames=2, size=64).noisy, 'TYX', device='cpu')
    >>> model = train_score(prepared, TrainSettings(seconds=0, device='cpu'))
    >>> score_map = score_image(model, prepared, device='cpu', orientations=1)
    >>> correct_image(score_map).image.shape
    (2, 64, 64)
    >>> known = NoiseRequest('gaussian', {'sigma': 20.0})
    >>> correct_image(score_map, known).families
    (Gaussian(sigma=20.0),)
    """
    planewise = ImageCorrection(plan_correction(score_map, noise, correction), dtype)
    image = allocate(planewise.shape, planewise.dtype)
    for channel, index, values in planewise.planes():
        channel.write(index, values, image)
    return planewise.result(image)


class ImageCorrection:
    """Correction of an image plane by plane, in any order, with the checks of the result.

    Parameters
    ----------
    plan : CorrectionPlan
        Noise and form of the correction.
    dtype : dtype
        Data type of the clean image; see `correct_image`.

    Attributes
    ----------
    plan, dtype
        The parameters; the data type is ``float64`` where ``float32`` is too coarse.
    folder : Path or None
        Where estimates of large planes are stored while these are corrected, so that a later run
        finds them; temporary files if None.
    """

    def __init__(self, plan: CorrectionPlan, dtype: DTypeLike = np.float32) -> None:
        self.plan = plan
        prepared = plan.score_map.prepared
        self.dtype, self._messages = _fine_enough(np.dtype(dtype), prepared.channels)
        self._channels = [ChannelChecks(channel) for channel in prepared.channels]
        self._new: dict[tuple[int, int], PlaneCheck] = {}
        self._large: OrderedDict[tuple[int, int], LargePlane] = OrderedDict()
        self.folder: Path | None = None
        self._begun = 0.0

    def __getstate__(self) -> dict[str, Any]:
        """All but the estimates of large planes: their files belong to this process."""
        return {**vars(self), '_large': OrderedDict()}

    @property
    def source(self) -> ImageSource:
        """The noisy image."""
        return self.plan.score_map.prepared.source

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the clean image: that of the noisy one."""
        return self.source.shape

    @property
    def channels(self) -> list[Channel]:
        """All channels, those with noise first; `plane` uses their numbers in this list."""
        prepared = self.plan.score_map.prepared
        return [*(one.channel for one in prepared.channels), *prepared.constant]

    def planes(self) -> Iterator[tuple[Channel, int, NDArray[Any]]]:
        """Every clean plane: its channel, its number, and its values (Y, X)."""
        for number, channel in enumerate(self.channels):
            for index in range(channel.shape[0]):
                yield channel, index, self.plane(number, index)

    def place_of(self, position: Mapping[str, int]) -> tuple[int, int]:
        """Number of the channel, and number of its plane, at a position on the other axes.

        Raises
        ------
        IndexError
            If the image has no plane there.
        """
        for number, channel in enumerate(self.channels):
            index = channel.plane_at(position)
            if index is not None:
                return number, index
        raise IndexError(f'no plane at {position}')

    def plane(self, number: int, index: int) -> NDArray[Any]:
        """Clean plane ``index`` of channel ``number``, (Y, X) in the data type of the result."""
        return finish(self.plane_steps(number, index))

    def plane_steps(
        self, number: int, index: int
    ) -> Generator[PredictProgress, None, NDArray[Any]]:
        """As `plane`, with the progress of a prediction on demand."""
        if number >= len(self._channels):
            return self.channels[number].raw_plane(index).astype(self.dtype, copy=False)
        if self.in_blocks(number):
            whole = Window.whole(self.channels[number].shape)
            return (yield from self.window_steps(number, index, whole))
        plane = yield from self.plan.plane_steps(number, index)
        values, outside = as_dtype(plane.clean, self.dtype)
        if plane.blank is not None:
            values[plane.blank] = plane.raw[plane.blank]
        known = self._channels[number].planes
        if index not in known:
            known[index] = PlaneCheck.of(plane, self.plan.families[number], outside)
            self._new[number, index] = known[index]
        return values

    def in_blocks(self, number: int) -> bool:
        """Whether the planes of a channel are large, and corrected block by block."""
        score_map = self.plan.score_map
        if number < len(self._channels):
            return score_map.on_demand and in_blocks(score_map.prepared.channels[number])
        return is_large(self.channels[number].shape)

    @property
    def estimated(self) -> float | None:
        """Share of the planes that were estimated; None if no planes are corrected in blocks."""
        numbers = range(len(self._channels))
        if not any(map(self.in_blocks, numbers)):
            return None
        done = sum(len(channel.planes) for channel in self._channels)
        return (done + self._begun) / sum(self.channels[number].shape[0] for number in numbers)

    def window_steps(
        self, number: int, index: int, window: Window
    ) -> Generator[PredictProgress, None, NDArray[Any]]:
        """A window of a plane that is corrected `in_blocks`, (Y, X).

        The whole plane is estimated when the first window of it is requested. Of the planes that
        were estimated, the last ones are kept, one for each channel.
        """
        if number >= len(self._channels):
            values = self.channels[number].window(index, window)
            return values.astype(self.dtype, copy=False)
        key = number, index
        plane = self._large.get(key)
        if plane is None:
            while len(self._large) >= len(self._channels):
                self._large.popitem(last=False)[1].files.remove()
            plane = yield from self._estimated(number, index)
            self._large[key] = plane
        self._large.move_to_end(key)
        return plane.window(window, self.dtype)

    def _estimated(self, number: int, index: int) -> Generator[PredictProgress, None, LargePlane]:
        plan, folder = self.plan, self.folder
        levels = plan.score_map.clean[number]
        assert isinstance(levels, LevelsOnDemand)  # planes in blocks are predicted on demand
        files = BlockFiles(
            blocks_of(levels.shape), None if folder is None else folder / f'{number}-{index}'
        )
        plane = LargePlane(
            index, levels, plan.families[number], plan.form, plan.biases[number], files
        )

        def of_plane(tile: PredictProgress) -> PredictProgress:
            self._begun = tile.fraction
            return tile

        yield from relay(plane.steps(), of_plane)
        self._begun = 0.0
        known = self._channels[number].planes
        if index not in known:
            known[index] = self._new[number, index] = plane.check(self.dtype)
        return plane

    def new_checks(self) -> list[Any]:
        """Checks of the planes since the last call, as lists and numbers."""
        found = [[*place, *check] for place, check in self._new.items()]
        self._new.clear()
        return found

    def take_checks(self, checks: Sequence[Any], *, new: bool = False) -> None:
        """Take over what `new_checks` gave elsewhere, instead of computing the planes.

        Parameters
        ----------
        checks : sequence
            From an earlier run or another process.
        new : bool
            Whether the planes were computed now, so that `new_checks` gives their checks again.
        """
        for number, index, *check in checks:
            taken = PlaneCheck.from_plain(*check)
            self._channels[number].planes[index] = taken
            if new:
                self._new[number, index] = taken

    def result(self, image: Any) -> Corrected:
        """The clean image with the checks and warnings of the planes that were corrected."""
        plan = self.plan
        unchanged = [one.unchanged() for one in self._channels]
        messages = (
            *self._messages,
            *map(constant_channel_message, plan.score_map.prepared.constant),
            *(sentence for one in unchanged for sentence in one.sentences()),
        )
        return Corrected(
            image,
            plan.families,
            plan.form,
            tuple(one.check() for one in self._channels),
            plan.risks,
            sum(one.clipped() for one in self._channels),
            messages,
            tuple(one.share for one in unchanged),
        )


def _fine_enough(
    dtype: np.dtype[Any], channels: Sequence[PreparedChannel]
) -> tuple[np.dtype[Any], tuple[str, ...]]:
    """A data type whose rounding is finer than the noise; with a message if it was changed."""
    if dtype != np.float32:
        return dtype, ()
    for channel in channels:
        level = max(abs(channel.table.top), abs(channel.table.base))
        most = float(np.finfo(np.float32).max)
        step = float(np.spacing(np.float32(level))) if level < most else float('inf')
        if step > _LARGEST_STEP * channel.finest:
            return np.dtype(np.float64), (
                'The result is in double precision (float64): single precision has steps of '
                f'{step:.3g} at values of {level:.3g}, where the noise is {channel.finest:.3g}.',
            )
    return dtype, ()


def _family_of(channel: PreparedChannel, noise: NoiseRequest | None) -> NoiseFamily:
    if noise is None:
        return channel.family
    maps = None if noise.maps is None else channel.maps
    if maps is not None:
        noise = replace(noise, parameters={**noise.parameters, 'read_noise': maps.base})
    known = noise.known()
    if known is not None:
        return known
    if channel.fit is None:
        raise InputError(
            'the noise could not be estimated from this image; give every noise parameter'
        )
    return noise.resolve(channel.fit)
