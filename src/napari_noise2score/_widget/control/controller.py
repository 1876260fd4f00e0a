"""Requests of the user to the panel, and handling of the events of a job.

An error ends one run only: models, scores and layers do not change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_noise2score._widget import jobs
from napari_noise2score._widget.control.events import Events, Status
from napari_noise2score._widget.control.messages import (
    busy_words,
    change_name,
    end_words,
    error_words,
    residual_name,
    result_name,
    result_notes,
    update_words,
)
from napari_noise2score._widget.control.model_store import ModelStore
from napari_noise2score._widget.control.runner import (
    FinishReason,
    JobKind,
    Phase,
    Runner,
    RunnerStatus,
    Start,
)
from napari_noise2score._widget.control.target import Target, destinations_of
from napari_noise2score._widget.jobs import Estimated, Event, MakeJob, Result, Stage, View
from napari_noise2score._widget.stored_run import StoredRun
from napari_noise2score.errors import CheckpointError, InputError, TrainingError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.settings import Context, DenoiseSettings, StartFrom

log = logging.getLogger(__name__)


class Controller:
    """Runs the jobs of a panel.

    Parameters
    ----------
    start : callable
        Runs a job in the background.

    Attributes
    ----------
    events : Events
        Signals for the display of results.
    store : ModelStore
        The model in use and the scores of layers.
    """

    def __init__(self, start: Start) -> None:
        self.events = Events()
        self.store = ModelStore()
        self._runner, self._previews = Runner(start), Runner(start)
        self._stage = Stage.LOAD
        self._text = 'Choose the layers, then press Train.'
        self._fraction = 0.0
        self._estimates: list[Estimated] = []
        self._targets: Sequence[Target] = ()
        self._added = self._failed = 0
        self._preview_error = ''

    @property
    def run(self) -> RunnerStatus:
        """State of the runner and its job."""
        return self._runner.status

    @property
    def status(self) -> Status:
        """A snapshot of the state."""
        return Status(self.run, self._text, self._fraction, self.store.model is not None)

    def estimate(self, targets: Sequence[Target]) -> None:
        """Estimate the noise of layers."""
        if self._may_begin(targets):
            sources = [target.source for target in targets]
            self._begin(
                JobKind.ESTIMATING,
                'Estimating the noise',
                lambda stop: jobs.estimate_job(sources),
                targets,
            )

    def calibrate(self, dark: ImageSource | None, flat: ImageSource | None) -> None:
        """Measure the noise of the camera on dark frames, on a flat field, or on both."""
        if not self._is_free():
            return
        if dark is None and flat is None:
            self.events.error_reported.emit(
                'No calibration frames are chosen; choose a layer with dark frames, with a flat '
                'field, or both.'
            )
            return
        self._begin(
            JobKind.CALIBRATING,
            'Measuring on the calibration frames',
            lambda stop: jobs.calibrate_job(dark, flat),
        )

    def train(
        self,
        targets: Sequence[Target],
        settings: DenoiseSettings,
        watched: Callable[[Target], View | None] = lambda target: None,
        interrupted: StoredRun | None = None,
    ) -> None:
        """Train a model on the layers and correct each of them.

        It starts from the model in use if ``init`` in the settings is `store.init`, or continues
        an ``interrupted`` run. ``watched`` returns the displayed part of a layer, in any thread.
        """
        if not self._may_begin(targets):
            return
        latest, init = self.store.model, settings.training.init
        start = latest.model if latest is not None and init == self.store.init else None
        if start is None and init == StartFrom.UNSAVED:
            self.events.error_reported.emit(
                'There is no model to continue from yet; load one, or start from other weights.'
            )
            return
        sources = [target.source for target in targets]
        parts = [target.training_parts for target in targets]
        more = parts, start, interrupted, destinations_of(targets)
        self._begin(
            JobKind.TRAINING,
            'Training the score',
            lambda stop: jobs.train_job(
                sources, settings, stop, lambda number: watched(targets[number]), *more
            ),
            targets,
        )

    def correct(self, targets: Sequence[Target], settings: DenoiseSettings) -> None:
        """Correct layers from their own scores; a layer without one gets it from the model in use.

        After a model was loaded, all layers get their scores from it.
        """
        if not self._may_begin(targets):
            return
        latest = self.store.model
        if latest is None:
            self.events.error_reported.emit('There is no trained model yet; press Train first.')
            return
        images = [(target.source, self.store.score_in_use(target.layer)) for target in targets]
        self._begin(
            JobKind.CORRECTING,
            'Correcting',
            lambda stop: jobs.correct_job(images, latest, settings, destinations_of(targets)),
            targets,
        )

    def show_change(self, targets: Sequence[Target]) -> None:
        """Show the effect of the training on corrected layers."""
        if not self._may_begin(targets):
            return
        images = [(target.source, self.store.score_of(target.layer)) for target in targets]
        self._begin(
            JobKind.COMPARING,
            'Comparing with the pretrained weights',
            lambda stop: jobs.change_job(images),
            targets,
        )

    def compare(
        self, images: Sequence[tuple[Target, ImageSource, Sequence[NoiseFamily | None]]]
    ) -> None:
        """Show the removed noise of layers, from their clean images and their noise models."""
        targets = [target for target, _, _ in images]
        if self._may_begin(targets):
            pairs = [(target.source, clean, families) for target, clean, families in images]
            self._begin(
                JobKind.COMPARING,
                'Comparing noisy and clean',
                lambda stop: jobs.residual_job(pairs),
                targets,
            )

    def report(
        self, images: Sequence[tuple[Target, jobs.ToReport]], settings: DenoiseSettings
    ) -> None:
        """Write reports on layers and their clean images."""
        targets = [target for target, _ in images]
        if self._may_begin(targets):
            pages = [page for _, page in images]
            device = str(settings.training.device)
            self._begin(
                JobKind.REPORTING,
                'Measuring for the report',
                lambda stop: jobs.report_job(pages, settings.noise, device),
                targets,
            )

    def preview(
        self, targets: Sequence[Target], settings: DenoiseSettings, views: Sequence[View]
    ) -> bool:
        """Correct the displayed part of layers from the scores from which `correct` does; False
        if none has such a score.

        A new job or a new preview ends a preview.
        """
        scored = [self.store.score_in_use(target.layer) for target in targets]
        if not self.run.idle or not any(scored):
            return False
        sources = [target.source for target in targets]
        images = list(zip(sources, scored, views, strict=True))

        def show(event: Event) -> None:
            if isinstance(event, jobs.Live):
                self.events.plane_ready.emit(targets[event.number], event.index, event.values)

        def end(reason: FinishReason, error: Exception | None) -> None:
            self.events.error_withdrawn.emit(self._preview_error)
            self._preview_error = '' if error is None else error_words(error)
            if error is not None:
                self.events.error_reported.emit(self._preview_error)

        self._previews.start(
            JobKind.PREVIEWING,
            lambda stop: jobs.preview_job(images, settings),
            title='Correcting the displayed part',
            on_event=show,
            on_end=end,
        )
        return True

    def load(self, path: Path) -> None:
        """Load a model file as the model in use; after an error the previous model stays."""
        if self._is_free():
            self._begin(JobKind.LOADING, f'Loading {path.name}', lambda stop: jobs.load_job(path))

    def use(self, trained: jobs.Trained) -> None:
        """Make a model the model in use, for corrections and for the continuation of trainings."""
        self.store.use(trained)
        self.events.model_changed.emit(trained)

    def save(self, path: Path) -> bool:
        """Write the model in use to a file; returns whether it was written."""
        if self.store.model is None:
            self.events.error_reported.emit('There is no model to save yet; press Train first.')
            return False
        try:
            saved = self.store.save(path)
        except OSError as error:
            self.events.error_reported.emit(
                f'{path}: the model could not be saved ({error.strerror or error}). It is still '
                'available in the panel; save it in another folder.'
            )
            return False
        self.use(saved)
        return True

    def export(self, path: Path) -> None:
        """Write the model in use as a package for bioimage.io."""
        latest = self.store.model
        if latest is None:
            self.events.error_reported.emit('There is no model to export yet; press Train first.')
        elif self._is_free():
            self._begin(
                JobKind.EXPORTING,
                f'Exporting {path.name}',
                lambda stop: jobs.export_job(latest.model, path, path.stem),
            )

    def pause(self) -> None:
        """Pause the job, or resume it."""
        if self.run.phase is Phase.PAUSED:
            self._runner.resume()
            self._show('Continuing ...')
        elif self.run.phase is Phase.RUNNING:
            self._runner.pause()
            self._show(f'Paused. {self._text}')

    def stop(self) -> None:
        """End a training and apply its model; any other job, or a second request, is cancelled."""
        if self.run.idle:
            return
        learning = self.run.job is JobKind.TRAINING and not self._stage.applies_model
        if learning and self.run.phase is not Phase.STOPPING:
            self._runner.stop()
            self._show('Stopping; applying the trained model ...')
        else:
            self._runner.cancel()
            self._show('Cancelling ...')

    def close(self) -> None:
        """Cancel all jobs, and ignore their further events."""
        self._previews.abandon()
        self._runner.abandon()

    def _is_free(self) -> bool:
        if not self.run.idle:
            self.events.error_reported.emit(busy_words(self.run, self._stage))
        return self.run.idle

    def _may_begin(self, targets: Sequence[Target]) -> bool:
        if not self._is_free():
            return False
        if not targets:
            self.events.error_reported.emit('No layer is chosen; tick at least one Image layer.')
        return bool(targets)

    def _begin(
        self, kind: JobKind, title: str, make_job: MakeJob, targets: Sequence[Target] = ()
    ) -> None:
        self._previews.abandon()
        self._targets, self._estimates = targets, []
        self._added = self._failed = 0
        self._stage = Stage.LOAD
        self.store.begin_history()
        self._runner.start(
            kind, make_job, title=title, on_event=self._handle, on_end=self._finished
        )
        self._show(f'{title} ...', 0.0)

    def _handle(self, event: Event) -> None:
        match event:
            case jobs.Update():
                self._handle_update(event)
            case jobs.Estimated():
                self._estimates.append(event)
            case jobs.Noted():
                self.events.notes_reported.emit(event.notes)
            case jobs.Calibrated():
                self.events.noise_calibrated.emit(event.calibration)
            case jobs.Trained():
                self.use(event)
            case jobs.Result():
                self._handle_result(event)
            case jobs.Failed():
                self._handle_failure(event)
            case jobs.Live():
                target = self._targets[event.number]
                self.events.plane_ready.emit(target, event.index, event.values)
            case jobs.Changed():
                places = [place.to_dict() for place in event.change.largest]
                self._add_map(event.number, change_name, event.change.image, largest=places)
            case jobs.Reported():
                name = self._targets[event.number].source.name
                notes = [f'{name}: {sentence}' for sentence in event.doubtful]
                self.events.request_answered.emit((*notes, f'report: {event.page}'))
                self.events.report_written.emit(event.page)
            case jobs.Residual():
                self._add_map(event.number, residual_name, event.image)

    def _handle_update(self, update: jobs.Update) -> None:
        if update.stage is Stage.TRAIN:
            self._show_estimates()
        if self.run.phase is Phase.PAUSED:  # sent before the job paused
            return
        if update.stage is Stage.TRAIN and self.store.add_loss(update):
            self.events.loss_changed.emit(self.store.history)
        self._stage = update.stage
        text = update_words(update)
        if self.run.phase is Phase.STOPPING:
            if not update.stage.applies_model or self.run.reason is FinishReason.CANCELLED:
                return
            text = f'Stopped; {text[0].lower()}{text[1:]}'
        self._show(text, update.fraction)

    def _show_estimates(self) -> None:
        """Show the noise estimates of a run once."""
        if self._estimates:
            self.events.noise_estimated.emit(tuple(self._estimates), False)
            self._estimates = []

    def _handle_result(self, result: Result) -> None:
        self._show_estimates()  # not shown yet if there was no training
        target, corrected = self._targets[result.number], result.corrected
        context = Context(result.report['settings']['context'])
        name = result_name(target.source.name, corrected.families, corrected.correction, context)
        self.store.store_score(target.layer, result.scored)
        self.events.result_ready.emit(target, result.saved or corrected.image, name, result.report)
        self._added += 1
        trainings = [model.training for model in result.scored.score_map.distinct]
        notes = result_notes(target.source.name, result.report, trainings)
        self.events.notes_reported.emit(notes)

    def _handle_failure(self, failed: jobs.Failed) -> None:
        name, words = self._targets[failed.number].source.name, error_words(failed.error)
        self._failed += 1
        log.error('%s failed', name, exc_info=failed.error)
        self.events.error_reported.emit(words if words.startswith(name) else f'{name}: {words}')

    def _add_map(self, number: int, name: Callable[[str], str], image: Any, **report: Any) -> None:
        target = self._targets[number]
        self.events.map_ready.emit(target, image, name(target.source.name), report)
        self._added += 1

    def _finished(self, reason: FinishReason, error: Exception | None) -> None:
        estimates, self._targets, self._estimates = tuple(self._estimates), (), []
        if self.run.job is JobKind.ESTIMATING and reason is FinishReason.COMPLETED:
            self.events.noise_estimated.emit(estimates, True)
        words = end_words(self.run, self._added, self._failed, self.store.model is not None)
        self._show(*words)
        if error is not None:
            if not isinstance(error, (InputError, TrainingError, CheckpointError)):
                log.error('unexpected error', exc_info=error)
            self.events.error_reported.emit(error_words(error))

    def _show(self, text: str, fraction: float | None = None) -> None:
        self._text = text
        self._fraction = self._fraction if fraction is None else fraction
        self.events.status_changed.emit(self.status)
