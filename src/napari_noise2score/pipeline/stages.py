"""The stages of the pipeline that need a network: train, score, and a result with its report."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.blending import (
    WithContext,
    choose_blend,
    model_beside,
    trainable,
)
from napari_noise2score.pipeline.clean_image import CleanImage
from napari_noise2score.pipeline.context_levels import levels_of, with_neighbours
from napari_noise2score.pipeline.correct import (
    ImageCorrection,
    correct_image,
    plan_correction,
)
from napari_noise2score.pipeline.divided_planes import divided
from napari_noise2score.pipeline.domain import TrainingDomain, beaten_by_pretrained
from napari_noise2score.pipeline.levelling import levelled
from napari_noise2score.pipeline.levels import LevelsOnDemand
from napari_noise2score.pipeline.origin import origin_of
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel
from napari_noise2score.pipeline.pretrained import context_model, ready_for
from napari_noise2score.pipeline.record import describe, versions
from napari_noise2score.pipeline.response import Response, measure_responses
from napari_noise2score.pipeline.results import Denoised, Levels, ScoreMap
from napari_noise2score.pipeline.selection import TRIAL_VIEWS, ChannelEvaluation, evaluate_channel
from napari_noise2score.progress import finish, relay
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress
from napari_noise2score.score.pretraining.weights import starting_model
from napari_noise2score.score.progress import TrainProgress
from napari_noise2score.score.train import Stop, beginning, train
from napari_noise2score.score.training_files import TrainingFolder
from napari_noise2score.settings import VIEWS, Context, DenoiseSettings, StartFrom, TrainSettings

_KEPT_BYTES = 1 << 28
"""Maximum size of clean levels that are kept although they are predicted on demand, bytes."""
_TRIED = 4
"""Maximum number of channels on which it is tried whether the other planes help at the start."""
_NOT_CHECKED = 'The clean image is computed when it is read, so the removed noise was not checked.'


def train_score_steps(
    prepared: Sequence[Prepared],
    settings: TrainSettings | None = None,
    *,
    start: ScoreModel | None = None,
    stop: Stop | None = None,
    folder: TrainingFolder | None = None,
    context: Context = Context.NONE,
) -> Generator[TrainProgress, None, ScoreModel]:
    """Train one score model on all channels of all images together; see `api.train_score`.

    With a ``context``, and from the pretrained weights, the network learns to see what is beside a
    plane if that helps at the start in all channels. A model that was trained with context
    continues so where there is one.

    The state of the training is saved in the ``folder``, if one is given, and the training
    continues from it if the folder says so.

    For what it yields, returns and raises, see `napari_noise2score.score.train.train`.
    """
    settings = settings or TrainSettings()
    prepared = [levelled(image, settings.device) for image in prepared]
    prepared, start = _beginning(prepared, settings, start, context)
    channels = [divided(channel) for image in prepared for channel in image.channels]
    saved = None
    if folder is not None:
        saved = folder.next(origin_of(prepared, settings, start))
    model = yield from train(channels, settings, start=start, stop=stop, saved=saved)
    model.data = {
        'images': [
            {
                'name': image.source.name,
                'shape': list(image.source.shape),
                'axes': image.source.axes,
                'region': str(image.source.region),
                'places': [channel.channel.place for channel in image.channels],
                'noise': [channel.family.to_dict() for channel in image.channels],
                'seen': [TrainingDomain.of(channel).to_dict() for channel in image.channels],
            }
            for image in prepared
        ],
        'made': datetime.now(UTC).isoformat(timespec='seconds'),
        'versions': versions(),
    }
    return model


def _beginning(
    prepared: Sequence[Prepared],
    settings: TrainSettings,
    start: ScoreModel | None,
    context: Context,
) -> tuple[Sequence[Prepared], ScoreModel | None]:
    """The images as a training sees them, with neighbours or without, and what it begins with."""
    beside = [_beside(image, context) for image in prepared]
    new = start is None and settings.init == StartFrom.WARM
    if not new:
        start = start or starting_model(settings.init)
    sees = start is not None and start.network.settings.context
    if not settings.trains or not (sees or new):
        return prepared, start
    if sees:
        return beside, start
    channels = [channel for image in beside for channel in image.channels]
    if not channels or not all(trainable(channel) for channel in channels):
        return prepared, start
    for channel in channels[:: math.ceil(len(channels) / _TRIED)]:
        alone = beginning([divided(channel)], settings)
        assert alone is not None  # these settings start from the pretrained weights
        device = settings.device
        found = finish(choose_blend(alone, context_model(channel), channel, device=device))
        if not found.used:
            return prepared, start
    return beside, starting_model(settings.init, context=True)


def _beside(image: Prepared, context: Context) -> Prepared:
    """An image with its neighbours. A part to train on may be a plane without any, but a whole
    image must have the axis that is requested.
    """
    try:
        return with_neighbours(image, context)
    except InputError:
        if image.source.region.ranges:
            return image
        raise


def score_image_steps(
    model: ScoreModel | Sequence[ScoreModel],
    prepared: Prepared,
    *,
    device: str = 'auto',
    orientations: int = VIEWS,
    sigma_a: float | None = None,
    foreign: bool = False,
    on_demand: bool = False,
    keep_levels: bool = True,
    context: Context = Context.NONE,
) -> Generator[PredictProgress, None, ScoreMap]:
    """Apply a score model to an image, tile by tile; see `api.score_image`.

    With ``on_demand``, the clean levels of a plane are predicted when they are read; with
    ``keep_levels``, the first ones are kept for another correction. ``context`` is what is seen
    beside a plane.
    """
    levels: list[Levels] = []
    others: list[WithContext | None] = []
    responses: list[Mapping[str, Response]] = []
    evaluations: list[ChannelEvaluation] = []
    prepared = levelled(prepared, device)
    count = len(prepared.channels)
    models = (model,) * count if isinstance(model, ScoreModel) else tuple(model)
    if len(models) != count:
        raise InputError(
            f'{prepared.source.name} has {count} channels, but {len(models)} models are given; '
            'one for each is needed, or one for all'
        )
    prepared = with_neighbours(prepared, context)
    ready = map(ready_for, prepared.channels, models)
    for number, (channel, own) in enumerate(zip(prepared.channels, ready, strict=True)):

        def of_channel(tile: PredictProgress, number: int = number) -> PredictProgress:
            return PredictProgress(number, count)

        found, response = yield from relay(_others_of(channel, own, device), of_channel)
        others.append(found)
        responses.append(response)
        beside = found if found is not None and found.used else None
        evaluation: ChannelEvaluation = yield from relay(
            evaluate_channel(
                own, channel, sigma_a, device=device, orientations=orientations, beside=beside
            ),
            of_channel,
        )
        evaluations.append(evaluation)
        if on_demand:
            most = _KEPT_BYTES // count if keep_levels else 0
            sigma = evaluation.sigma_a
            levels.append(LevelsOnDemand(own, channel, device, orientations, sigma, most, beside))
            continue
        steps = levels_of(
            own,
            channel,
            beside,
            device=device,
            orientations=orientations,
            sigma_a=evaluation.sigma_a,
        )

        def of_all(tile: PredictProgress, number: int = number) -> PredictProgress:
            return PredictProgress(number * tile.total + tile.done, tile.total * count)

        levels.append((yield from relay(steps, of_all)))
        if channel.neighbours is not None:
            channel.neighbours.forget()
    warning = None
    if foreign and evaluations:

        def at_the_end(tile: PredictProgress) -> PredictProgress:
            return PredictProgress(count, count)

        comparison = beaten_by_pretrained(
            evaluations, device=device, orientations=min(TRIAL_VIEWS, orientations)
        )
        warning = yield from relay(comparison, at_the_end)
    notes = [warning, *(beside.warning for beside in others if beside is not None)]
    warnings = tuple(note for note in notes if note is not None)
    checksum = prepared.source.checksum()
    return ScoreMap(
        prepared,
        tuple(levels),
        tuple(evaluations),
        models,
        checksum,
        warnings,
        tuple(others),
        tuple(responses),
    )


def _others_of(
    channel: PreparedChannel, model: ScoreModel, device: str
) -> Generator[PredictProgress, None, tuple[WithContext | None, Mapping[str, Response]]]:
    """What the other planes of a channel say beside a model, and what that smooths."""
    if channel.neighbours is None:
        return None, {}
    beside = yield from choose_blend(model, model_beside(model, channel), channel, device=device)
    if not beside.used:
        return beside, {}
    return beside, (yield from measure_responses(model, beside, channel, device=device))


def score_with(
    model: ScoreModel | Sequence[ScoreModel],
    prepared: Prepared,
    settings: DenoiseSettings,
    *,
    foreign: bool = False,
    on_demand: bool = False,
    keep_levels: bool = True,
) -> Generator[PredictProgress, None, ScoreMap]:
    """Apply a score model to an image with the given settings; see `score_image_steps`."""
    return score_image_steps(
        model,
        prepared,
        device=settings.training.device,
        orientations=settings.views(prepared.source.size),
        sigma_a=settings.left_in,
        foreign=foreign,
        on_demand=on_demand,
        keep_levels=keep_levels,
        context=settings.context,
    )


def result_from(
    score_map: ScoreMap,
    settings: DenoiseSettings,
    *,
    begin: float,
    noise: NoiseRequest | None = None,
    number: int = 0,
    on_demand: bool = False,
) -> Denoised:
    """The clean image of a score map, with its report.

    Parameters
    ----------
    score_map : ScoreMap
        The score of an image.
    settings : DenoiseSettings
        Form of the correction, data type, and settings for the report.
    begin : float
        Start of the work on the image, from `time.perf_counter`.
    noise : NoiseRequest, optional
        Noise to correct for, if it is not that of the training.
    number : int
        Number of the image.
    on_demand : bool
        Whether the planes of the clean image are computed when they are read; always so if the
        clean levels are predicted on demand.

    Raises
    ------
    InputError
        If a noise parameter is not given and could not be estimated.
    """
    on_demand = on_demand or score_map.on_demand
    dtype = settings.dtype_of(score_map.prepared.source)
    if on_demand:
        plan = plan_correction(score_map, noise, settings.correction)
        corrected = CleanImage(ImageCorrection(plan, dtype)).corrected()
    else:
        corrected = correct_image(score_map, noise, settings.correction, dtype)
    report = describe(corrected, score_map, settings)
    if on_demand:
        report['warnings'].append(_NOT_CHECKED)
    report['seconds'] = round(time.perf_counter() - begin, 3)
    return Denoised(corrected, score_map, report, number)


def checked(
    result: Denoised, settings: DenoiseSettings, *, begin: float, image: Any = None
) -> Denoised:
    """A result whose planes were computed, with the checks of these planes in its report.

    Parameters
    ----------
    result : Denoised
        A result that is computed when it is read.
    settings : DenoiseSettings
        As in `result_from`.
    begin : float
        Start of the reading, from `time.perf_counter`.
    image : array-like, optional
        The clean image, if it was stored elsewhere; with ``size`` and ``dtype``.
    """
    clean: Any = result.image
    if not isinstance(clean, CleanImage):
        return result
    corrected = clean.corrected() if image is None else clean.correction.result(image)
    report = describe(corrected, result.score_map, settings)
    earlier = [words for words in result.report['warnings'] if words != _NOT_CHECKED]
    report['warnings'] = list(dict.fromkeys([*report['warnings'], *earlier]))
    spent = time.perf_counter() - begin
    report['seconds'] = round(result.report['seconds'] + spent, 3)
    return Denoised(corrected, result.score_map, {**result.report, **report}, result.number)
