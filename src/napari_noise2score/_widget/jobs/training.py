"""Job that trains and corrects: the pipeline with previews and autosave."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_noise2score._widget.autosave import Autosave
from napari_noise2score._widget.jobs import events
from napari_noise2score._widget.jobs.events import Job, Watched
from napari_noise2score._widget.jobs.live_preview import LivePreview, previews
from napari_noise2score._widget.jobs.loading import load_torch, one_core_free
from napari_noise2score._widget.jobs.saving import Destination, saved
from napari_noise2score._widget.stored_run import StoredRun
from napari_noise2score.errors import CheckpointError, InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.settings import StartFrom

if TYPE_CHECKING:
    from napari_noise2score.pipeline import results
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.score.train import Stop
    from napari_noise2score.settings import DenoiseSettings


log = logging.getLogger(__name__)


def unwatched(number: int) -> None:
    """No image is displayed: for a training without previews."""


def train_job(
    sources: Sequence[ImageSource],
    settings: DenoiseSettings,
    stop: Stop,
    watched: Watched = unwatched,
    training_parts: Sequence[Sequence[ImageSource]] = (),
    start: ScoreModel | None = None,
    interrupted: StoredRun | None = None,
    destinations: Sequence[Destination] = (),
) -> Job:
    """Train a model on all images together, or one for each part, and correct each image.

    ``start`` has the initial weights, instead of those of the settings. ``stop`` ends the
    training, and the trained model is applied; before the first step, the job ends without a
    result. The displayed planes (``watched``) are corrected repeatedly during the training.
    ``training_parts`` are parts of each image to train on, instead of the whole image. An
    ``interrupted`` run of these images is continued. With ``destinations``, one for each image,
    the results are saved while they are computed.
    """
    yield events.Update(events.Stage.LOAD, 0.0)
    load_torch()
    from napari_noise2score.pipeline.run import denoise_steps

    with one_core_free(), _stored(sources, training_parts, settings, interrupted) as run:
        steps = denoise_steps(
            sources,
            settings,
            training_parts=training_parts,
            start=start,
            stop=stop,
            keep_going=len(sources) > 1,
            check_first=True,
            on_demand=bool(destinations),
            folder=None if run is None else run.trainings(resume=interrupted is not None),
        )
        yield from _PanelEvents(settings, stop, watched, start, destinations).convert(steps)


@contextmanager
def _stored(
    sources: Sequence[ImageSource],
    training_parts: Sequence[Sequence[ImageSource]],
    settings: DenoiseSettings,
    interrupted: StoredRun | None,
) -> Iterator[StoredRun | None]:
    """The run on disk during the training; None if it could not be continued after a crash.

    That is the case with a model that is not in a file, with maps of pixels, and if nothing is
    saved.
    """
    training = settings.training
    stored = training.trains and training.save_every and settings.noise.maps is None
    run = interrupted
    try:
        if run is not None:
            run.claim()
        elif stored and training.init != StartFrom.UNSAVED:
            run = StoredRun.begin(sources, training_parts, settings)
    except OSError:
        log.debug('the run could not be stored', exc_info=True)
    refused = False
    try:
        yield run
    except CheckpointError:
        refused = True
        raise
    finally:
        if run is not None and not refused:
            run.remove()


class _PanelEvents:
    """Converts the events of the pipeline to those of the panel, and adds previews.

    Parameters
    ----------
    settings, stop, watched, start, destinations
        As in `train_job`.
    """

    def __init__(
        self,
        settings: DenoiseSettings,
        stop: Stop,
        watched: Watched,
        start: ScoreModel | None,
        destinations: Sequence[Destination] = (),
    ) -> None:
        self._settings, self._stop, self._watched = settings, stop, watched
        self._start, self._destinations = start, destinations
        self._autosave = Autosave()
        self._live_preview: LivePreview | None = None
        self._ready: results.ReadyToTrain | None = None
        self._current_model: Callable[[], ScoreModel] | None = None

    def convert(self, steps: Generator[results.Event, None, None]) -> Job:
        """The events of the panel for those of the pipeline."""
        try:
            for event in steps:
                yield from self._converted(event)
                del event  # releases the memory of a result before the work on the next image
        except (InputError, OSError, MemoryError, RuntimeError):
            yield from self._unfinished_model()
            raise
        finally:
            steps.close()

    def _converted(self, event: results.Event) -> Job:
        from napari_noise2score.pipeline import results

        match event:
            case results.Progress():
                yield from self._progress(event)
            case results.Estimated():
                for channel in event.image.channels:
                    if channel.fit is not None:
                        place = channel.channel.place
                        yield events.Estimated(event.image.source, place, channel.fit)
            case results.ReadyToTrain():
                yield from self._preview(event)
            case results.Trained():
                self._current_model = None
                if self._settings.training.trains:
                    self._autosave.save(event.model)
                yield events.Trained(event.model, self._settings, self._start)
            case results.Denoised():
                yield from self._result(event)
            case results.Failed():
                if isinstance(event.error, (InputError, OSError, MemoryError, RuntimeError)):
                    yield from self._unfinished_model()
                self._current_model = None
                yield events.Failed(event.number, event.error)

    def _result(self, result: results.Denoised) -> Job:
        from napari_noise2score.pipeline import results
        from napari_noise2score.pipeline.schedule import tolerant

        scored = events.Scored(result.score_map, self._settings, self._start)
        if not self._destinations:
            yield events.Result(result.number, scored, result.corrected, result.report)
            return
        number, count = result.number, len(self._destinations)
        steps = saved(result, scored, self._destinations[number], self._settings, (number, count))
        for event in tolerant(steps, number, keep_going=count > 1):
            match event:
                case results.Failed():
                    yield events.Failed(number, event.error)
                case _:
                    yield event

    def _progress(self, event: results.Progress) -> Job:
        at, stage = event.training, events.Stage(event.stage)
        if at is None:
            yield events.Update(stage, event.fraction, left=event.left)
            return
        yield events.Update(
            stage,
            event.fraction,
            at.step,
            at.loss,
            at.seconds,
            event.left,
            at.start_risk,
            at.risk,
            event.part,
        )
        if (
            at.model is None
            or event.part is None
            or self._ready is None
            or self._live_preview is None
        ):
            return
        self._current_model = at.model
        self._autosave.save_if_due(at.model)
        yield from self._live_preview.show(at.model, self._ready.groups[event.part[0] - 1])

    def _preview(self, ready: results.ReadyToTrain) -> Job:
        images = list(ready.images.values())
        self._ready, self._live_preview = ready, LivePreview(images, self._settings, self._watched)
        if self._settings.training.trains and not self._stop.is_set():
            yield from previews(images, self._live_preview, ready.start(), self._stop)

    def _unfinished_model(self) -> Job:
        """The model of a training that has failed: it can be used."""
        if self._current_model is not None:
            model = self._current_model()
            self._autosave.save(model)
            yield events.Trained(model, self._settings, self._start)
