"""Train, then correct."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from napari_noise2score._widget.jobs.events import (
    Estimated,
    Event,
    Job,
    Stage,
    Trained,
    Update,
    Watched,
)
from napari_noise2score._widget.jobs.loading import engine, one_core_free
from napari_noise2score._widget.jobs.scoring import result_of, score, tolerant
from napari_noise2score._widget.jobs.screen import Screen, previews
from napari_noise2score._widget.kept import Kept
from napari_noise2score.errors import InputError
from napari_noise2score.images.footprint import check_room
from napari_noise2score.images.source import ImageSource

if TYPE_CHECKING:
    from napari_noise2score.prepare import Prepared, PreparedChannel
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.score.progress import TrainProgress
    from napari_noise2score.score.train import Stop
    from napari_noise2score.settings import DenoiseSettings


def unwatched(number: int) -> None:
    """For a training that nobody looks at."""


def train_job(
    sources: Sequence[ImageSource],
    settings: DenoiseSettings,
    stop: Stop,
    watched: Watched = unwatched,
    lessons: Sequence[Sequence[ImageSource]] = (),
    start: ScoreModel | None = None,
) -> Job:
    """Train a score on all images together, or one for each part, and correct each image.

    ``start`` are weights to begin with, instead of those that the settings name. ``stop`` ends
    the training; what was learned is applied. Stopped before its first step, the job ends without
    a result. Planes that are watched are corrected again and again meanwhile. Where there are
    ``lessons``, parts of each image, they are learned from instead of the whole.
    """
    yield Update(Stage.LOAD, 0.0)
    engine()
    with one_core_free():
        yield from _train(sources, settings, stop, watched, lessons, start)


def _train(
    sources: Sequence[ImageSource],
    settings: DenoiseSettings,
    stop: Stop,
    watched: Watched,
    lessons: Sequence[Sequence[ImageSource]],
    start: ScoreModel | None,
) -> Job:
    pipeline, training = engine(), settings.training
    from napari_noise2score.apart import lessons_of, units
    from napari_noise2score.score.train import beginning

    axes = settings.apart.axes
    ready: dict[ImageSource, Prepared] = {}
    every = list(dict.fromkeys([*sources, *chain.from_iterable(lessons)]))
    for source in sources:
        check_room(source, settings.dtype_of(source))
    for number, source in enumerate(every):
        yield Update(Stage.ESTIMATE, number / len(every))
        ready[source] = pipeline.prepare_image(
            source, settings.noise, axes, device=training.device, constant_too=True
        )
    prepared = [ready[source] for source in sources]
    pipeline.check_noisy(prepared)
    before = [source.checksum() for source in sources]
    taught = [[ready[part] for part in parts] for parts in lessons]
    for image in prepared:
        yield from _fits_of(image)
    screen = Screen(prepared, settings, watched)
    found = units(prepared, settings.apart)
    if training.trains and not stop.is_set():
        channels = [
            channel
            for unit in found
            for part in lessons_of(unit, prepared, taught)
            for channel in part.channels
        ]
        first = beginning(channels, training, start)
        yield from previews(prepared, screen, first, stop)
    models: dict[tuple[int, int], ScoreModel] = {}
    kept = Kept()
    learned: list[Callable[[], ScoreModel]] = []
    for number, unit in enumerate(found):
        own = [(image, place) for image, places in unit for place in places]
        shown = [prepared[image].channels[place] for image, place in own]
        part = (number + 1, len(found))

        def show(
            at: TrainProgress,
            shown: Sequence[PreparedChannel] = shown,
            part: tuple[int, int] = part,
        ) -> Job:
            yield _training_update(at, training.seconds, part)
            if at.model is not None:
                learned[:] = [at.model]
                kept.sometimes(at.model)
                yield from screen.show(at.model, shown)

        learned.clear()
        steps = pipeline.train_score(
            lessons_of(unit, prepared, taught), training, start=start, stop=stop
        )
        try:
            model = yield from _shown(steps, show)
        except (InputError, OSError, MemoryError, RuntimeError):
            for so_far in learned:  # what was learned until then can be used
                model = so_far()
                kept.save(model)
                yield Trained(model, settings, start)
            raise
        untrained = training.trains and not model.training['steps_done']
        if untrained and (not models or training.init == 'scratch'):
            return
        if training.trains:
            kept.save(model)
        yield Trained(model, settings, start)
        models |= dict.fromkeys(own, model)

    def corrected(number: int, image: Prepared) -> Job:
        owners = [models[number, place] for place in range(len(image.channels))]
        scored = yield from score(owners, settings, image, number, len(prepared))
        result = result_of(number, replace(scored, start=start), None, settings)
        if scored.score_map.checksum != before[number]:
            result.report['warnings'].append(
                'The layer was changed while it was learned from: the result is of what it is '
                'now, with the noise of before. Train again if that differs.'
            )
        yield result

    for number, image in enumerate(prepared):
        yield from tolerant(corrected(number, image), number, len(prepared))


def _training_update(at: TrainProgress, seconds: float | None, part: tuple[int, int]) -> Update:
    """Where the training is of which this is one ``part`` of so many."""
    number, count = part
    left = None
    if seconds is not None:
        left = max(0.0, seconds - at.seconds) + (count - number) * seconds
    fraction = (number - 1 + at.fraction) / count
    risks = at.start_risk, at.risk
    return Update(Stage.TRAIN, fraction, at.step, at.loss, at.seconds, left, *risks, part)


def _shown(
    steps: Generator[TrainProgress, None, ScoreModel], show: Callable[[TrainProgress], Job]
) -> Generator[Event, None, ScoreModel]:
    """What a training returns, with what ``show`` makes of each of its steps."""
    try:
        while True:
            try:
                at = next(steps)
            except StopIteration as end:
                model: ScoreModel = end.value
                return model
            yield from show(at)
    finally:
        steps.close()


def _fits_of(image: Prepared) -> Job:
    for channel in image.channels:
        if channel.fit is not None:
            yield Estimated(image.source, channel.channel.place, channel.fit)
