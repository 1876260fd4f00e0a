"""Correct again: whole layers, or what is in sight of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_noise2score._widget.jobs.events import Job, Live, Scored, Stage, Trained, Update, View
from napari_noise2score._widget.jobs.loading import engine, one_core_free
from napari_noise2score._widget.jobs.scoring import result_of, score, tolerant
from napari_noise2score.images.source import ImageSource
from napari_noise2score.settings import DenoiseSettings


def correct_job(
    images: Sequence[tuple[ImageSource, Scored | None]], latest: Trained, settings: DenoiseSettings
) -> Job:
    """Correct images from their scores; those without a score get one from the latest model."""
    yield Update(Stage.LOAD, 0.0)
    engine()
    with one_core_free():
        yield from _correct(images, latest, settings)


def _correct(
    images: Sequence[tuple[ImageSource, Scored | None]], latest: Trained, settings: DenoiseSettings
) -> Job:
    for number, (source, scored) in enumerate(images):
        yield Update(Stage.CORRECT, number / len(images))
        one = _correct_one(source, scored, latest, settings, number, len(images))
        yield from tolerant(one, number, len(images))


def _correct_one(
    source: ImageSource,
    scored: Scored | None,
    latest: Trained,
    settings: DenoiseSettings,
    number: int,
    count: int,
) -> Job:
    trained = latest.settings if scored is None else scored.settings
    trained = replace(trained, training=replace(trained.training, device=settings.training.device))
    if scored is None or not scored.holds_for(source):
        prepared = engine().prepare_image(
            source, settings.noise, trained.apart.axes, device=settings.training.device
        )
        start = latest.start if scored is None else scored.start
        owners = [latest.model] if scored is None else scored.score_map.models
        scored = yield from score(owners, trained, prepared, number, count, scored is None)
        scored = replace(scored, start=start)
    now = replace(
        trained, noise=settings.noise, correction=settings.correction, output=settings.output
    )
    yield result_of(number, scored, settings.noise, now)


def glance_job(
    images: Sequence[tuple[ImageSource, Scored | None, View]], settings: DenoiseSettings
) -> Job:
    """What is looked at of images, corrected from their scores for other noise or another form.

    Nothing of an image that is no longer the one that was scored.
    """
    engine()
    from napari_noise2score.correcting import choose_way

    for number, (source, scored, view) in enumerate(images):
        if scored is None or not scored.holds_for(source):
            continue
        way = choose_way(scored.score_map, settings.noise, settings.correction)
        for position, channel in enumerate(scored.score_map.prepared.channels):
            plane = channel.channel.plane_at(view.place)
            if plane is not None:
                clean = way.plane(position, plane).clean
                yield Live(number, *channel.channel.laid(plane, clean))
