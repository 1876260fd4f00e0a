"""Jobs that correct again: whole layers, or their displayed parts."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_noise2score._widget.jobs.events import (
    Event,
    Failed,
    Job,
    Live,
    Result,
    Scored,
    Stage,
    Trained,
    Update,
    View,
)
from napari_noise2score._widget.jobs.loading import load_torch, one_core_free
from napari_noise2score._widget.jobs.saving import Destination, computed, saved
from napari_noise2score.images.source import ImageSource
from napari_noise2score.progress import relay, seconds_left
from napari_noise2score.settings import DenoiseSettings

if TYPE_CHECKING:
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.score.predict import PredictProgress


def correct_job(
    images: Sequence[tuple[ImageSource, Scored | None]],
    latest: Trained,
    settings: DenoiseSettings,
    destinations: Sequence[Destination] = (),
) -> Job:
    """Correct images from their scores; those without a score get one from the latest model.

    With ``destinations``, one for each image, the results are saved while they are computed.
    """
    yield Update(Stage.LOAD, 0.0)
    load_torch()
    from napari_noise2score.pipeline import results
    from napari_noise2score.pipeline.schedule import tolerant

    count = len(images)
    with one_core_free():
        for number, (source, scored) in enumerate(images):
            yield Update(Stage.CORRECT, number / count)
            where = destinations[number] if destinations else None
            steps = _correct_one(source, scored, latest, settings, (number, count), where)
            for event in tolerant(steps, number, keep_going=count > 1):
                match event:
                    case results.Failed():
                        yield Failed(event.number, event.error)
                    case _:
                        yield event
                del event


def _correct_one(
    source: ImageSource,
    scored: Scored | None,
    latest: Trained,
    settings: DenoiseSettings,
    place: tuple[int, int],
    destination: Destination | None,
) -> Job:
    """Correct one image; ``place`` is its number and the number of images."""
    from napari_noise2score.pipeline.stages import result_from

    begin, number = time.perf_counter(), place[0]
    trained = latest.settings if scored is None else scored.settings
    training = replace(trained.training, device=settings.training.device)
    trained = replace(trained, context=settings.context, training=training)
    trained.context.axis_of(source.axes, source.shape)  # raises if there is no such axis
    if scored is None or not (scored.is_valid_for(source) and scored.saw(trained.context)):
        again = _scored_again(
            source, scored, latest, trained, settings, place, on_demand=destination is not None
        )
        scored = yield from again
    now = replace(
        trained, noise=settings.noise, correction=settings.correction, output=settings.output
    )
    noise, score_map = settings.noise, scored.score_map
    on_demand = destination is not None or score_map.on_demand
    result = result_from(
        score_map, now, begin=begin, noise=noise, number=number, on_demand=on_demand
    )
    if destination is not None:
        yield from saved(result, scored, destination, now, place)
    elif on_demand:
        yield from computed(result, scored, now, place)
    else:
        yield Result(number, scored, result.corrected, result.report)


def _scored_again(
    source: ImageSource,
    scored: Scored | None,
    latest: Trained,
    trained: DenoiseSettings,
    settings: DenoiseSettings,
    place: tuple[int, int],
    *,
    on_demand: bool,
) -> Generator[Event, None, Scored]:
    """A new score of an image, from the models of its last score or from the latest model."""
    from napari_noise2score.pipeline.refine import prepare_image
    from napari_noise2score.pipeline.stages import score_with

    axes = trained.model_per.axes
    prepared = prepare_image(source, settings.noise, axes, device=settings.training.device)
    begin = time.perf_counter()

    def update(tile: PredictProgress) -> Update:
        left = seconds_left(begin, tile.fraction)
        return Update(Stage.CORRECT, (place[0] + tile.fraction) / place[1], left=left)

    model: ScoreModel | Sequence[ScoreModel] = latest.model
    start = latest.start
    if scored is not None:
        distinct, start = scored.score_map.distinct, scored.start
        model = distinct[0] if len(distinct) == 1 else scored.score_map.models
    steps = score_with(model, prepared, trained, foreign=scored is None, on_demand=on_demand)
    return Scored((yield from relay(steps, update)), trained, start)


def preview_job(
    images: Sequence[tuple[ImageSource, Scored | None, View]], settings: DenoiseSettings
) -> Job:
    """Correct the displayed parts of images from their scores, with other noise or another form.

    An image that has changed since its score was computed is skipped.
    """
    load_torch()
    from napari_noise2score.pipeline.correct import plan_correction

    for number, (source, scored, view) in enumerate(images):
        if scored is None or not scored.is_valid_for(source):
            continue
        plan = plan_correction(scored.score_map, settings.noise, settings.correction)
        for position, channel in enumerate(scored.score_map.prepared.channels):
            plane = channel.channel.plane_at(view.place)
            if plane is not None:
                with one_core_free():
                    clean = plan.plane(position, plane).clean
                yield Live(number, *channel.channel.laid(plane, clean))
