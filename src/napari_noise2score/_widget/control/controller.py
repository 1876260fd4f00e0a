"""What runs now, what was learned so far, and what comes of it. No Qt in here.

One run at a time. Each has a number, and what an earlier run still says is dropped. Models and
scores stay until something better takes their place: an error costs nothing but the run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from napari_noise2score._widget import jobs
from napari_noise2score._widget.control.messages import (
    change_name,
    error_words,
    residual_name,
    result_name,
    update_words,
)
from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.jobs import (
    Estimated,
    Event,
    MakeJob,
    Result,
    Scored,
    View,
)
from napari_noise2score.errors import CheckpointError, InputError, TrainingError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.calibrate import Calibration
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.report import gain_words
from napari_noise2score.settings import DenoiseSettings, StartFrom

log = logging.getLogger(__name__)


class State(StrEnum):
    """What the panel is doing."""

    IDLE = 'idle'
    ESTIMATING = 'estimating'
    CALIBRATING = 'calibrating'
    TRAINING = 'training'
    CORRECTING = 'correcting'
    LOADING = 'loading'
    EXPORTING = 'exporting'
    PAUSED = 'paused'
    STOPPING = 'stopping'


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot for the panel.

    Attributes
    ----------
    state : State
        What is going on.
    text : str
        The same in words.
    fraction : float
        Share of the stage that is done, 0 to 1.
    has_model : bool
        Whether there is a trained score to correct with.
    """

    state: State
    text: str
    fraction: float
    has_model: bool


class Listener(Protocol):
    """Who shows it: the panel. Everything is called in the viewer's thread."""

    def show_status(self, status: Status) -> None:
        """Show a snapshot."""

    def show_error(self, text: str) -> None:
        """Show what went wrong, in the panel and as a notification."""

    def show_learning(self, history: Sequence[tuple[float, float]]) -> None:
        """Show the course of a training: time in seconds and loss."""

    def show_model(self, trained: jobs.Trained) -> None:
        """Show the model that is in use now."""

    def show_notes(self, notes: Sequence[str]) -> None:
        """Show what a user should know of a result."""

    def show_estimates(self, estimates: Sequence[Estimated], asked: bool) -> None:
        """Show the noise that was estimated, because the user asked for it or on the way."""

    def show_calibration(self, calibration: Calibration) -> None:
        """Show the noise that was measured on calibration frames."""

    def add_result(self, target: Target, image: Any, name: str, report: dict[str, Any]) -> None:
        """Add a layer beside its source; in the place of its preview, if there is one."""

    def show_live(
        self, target: Target, index: tuple[int | slice, ...], values: NDArray[np.float32]
    ) -> None:
        """Show a plane of a layer as it would be delivered now."""

    def add_map(self, target: Target, image: Any, name: str, report: dict[str, Any]) -> None:
        """Add a layer with differences, noise standard deviations."""


class Run(Protocol):
    """A job under way."""

    def stop(self) -> None:
        """End the training and apply what was learned."""

    def cancel(self) -> None:
        """End at the next step and forget the rest."""

    def pause(self) -> None:
        """Wait after the next step."""

    def resume(self) -> None:
        """Go on."""


class Start(Protocol):
    """Runs a job in the background, as `napari_noise2score._widget.worker.start` does."""

    def __call__(
        self,
        make_job: MakeJob,
        *,
        title: str,
        on_event: Callable[[Event], None],
        on_end: Callable[[Exception | None], None],
    ) -> Run:
        """Start the job and return its handle."""


class Controller:
    """Runs the jobs of a panel.

    Parameters
    ----------
    listener : Listener
        The panel.
    start : callable
        Runs a job in the background.
    """

    def __init__(self, listener: Listener, start: Start) -> None:
        self._listener = listener
        self._start = start
        self._number = 0
        self._run: Run | None = None
        self._glance: Run | None = None
        self._glances = 0
        self._cancelled = False
        self._state = State.IDLE
        self._paused = State.IDLE
        self._text = 'Choose the layers, then press Train.'
        self._fraction = 0.0
        self._latest: jobs.Trained | None = None
        self._scored: WeakKeyDictionary[Any, Scored] = WeakKeyDictionary()
        self._estimates: list[Estimated] = []
        self._targets: Sequence[Target] = ()
        self._added = self._failed = 0
        self._history: list[tuple[float, float]] = []

    @property
    def state(self) -> State:
        """What is going on."""
        return self._state

    @property
    def status(self) -> Status:
        """A snapshot."""
        return Status(self._state, self._text, self._fraction, self._latest is not None)

    @property
    def model(self) -> jobs.Trained | None:
        """The model in use: the last one that was trained or loaded."""
        return self._latest

    @property
    def init(self) -> str:
        """How a training that goes on from the model in use names its start."""
        path = self._latest.path if self._latest is not None else None
        return StartFrom.UNSAVED if path is None else str(path)

    def score_of(self, layer: Any) -> Scored | None:
        """The learned score of a layer, if it has one."""
        return self._scored.get(layer)

    def estimate(self, targets: Sequence[Target]) -> None:
        """Estimate the noise of layers."""
        if self._may_begin(targets):
            sources = [target.source for target in targets]
            self._begin(
                State.ESTIMATING,
                'Estimating the noise',
                targets,
                lambda stop: jobs.estimate_job(sources),
            )

    def calibrate(self, dark: ImageSource | None, flat: ImageSource | None) -> None:
        """Measure the noise of the camera on its dark frames, its flat field, or both."""
        if not self._is_free():
            return
        if dark is None and flat is None:
            self._listener.show_error(
                'No calibration frames are chosen; choose a layer with dark frames, with a flat '
                'field, or both.'
            )
            return
        self._begin(
            State.CALIBRATING,
            'Measuring on the calibration frames',
            (),
            lambda stop: jobs.calibrate_job(dark, flat),
        )

    def train(
        self,
        targets: Sequence[Target],
        settings: DenoiseSettings,
        watched: Callable[[Target], View | None] = lambda target: None,
    ) -> None:
        """Train one score on all layers together and correct each of them.

        From the model in use, if the settings begin with `init`. ``watched`` tells what of a layer
        is looked at, None if nothing is; it is called in the thread of the training.
        """
        if not self._may_begin(targets):
            return
        sources = [target.source for target in targets]
        lessons = [target.lessons for target in targets]
        start = None
        if self._latest is not None and settings.training.init == self.init:
            start = self._latest.model
        elif settings.training.init == StartFrom.UNSAVED:
            self._listener.show_error(
                'There is no model to continue from yet; load one, or start from other weights.'
            )
            return
        self._begin(
            State.TRAINING,
            'Training the score',
            targets,
            lambda stop: jobs.train_job(
                sources,
                settings,
                stop,
                lambda number: watched(targets[number]),
                lessons,
                start,
            ),
        )

    def load(self, path: Path) -> None:
        """Read a model file and use it from then on; the model in use stays if that fails."""
        if self._is_free():
            self._begin(
                State.LOADING,
                f'Loading {path.name}',
                (),
                lambda stop: jobs.load_job(path),
            )

    def use(self, trained: jobs.Trained) -> None:
        """Correct with this model, and continue trainings from it, from now on."""
        self._latest = trained
        self._listener.show_model(trained)

    def save(self, path: Path) -> bool:
        """Write the model in use to a file; whether that worked."""
        if self._latest is None:
            self._listener.show_error('There is no model to save yet; press Train first.')
            return False
        try:
            self._latest.model.save(path)
        except OSError as error:
            self._listener.show_error(
                f'{path}: the model could not be saved ({error.strerror or error}); it is kept '
                'here, save it elsewhere.'
            )
            return False
        self.use(replace(self._latest, path=path))
        return True

    def export(self, path: Path) -> None:
        """Write the model in use as a package for bioimage.io."""
        latest = self._latest
        if latest is None:
            self._listener.show_error('There is no model to export yet; press Train first.')
        elif self._is_free():
            self._begin(
                State.EXPORTING,
                f'Exporting {path.name}',
                (),
                lambda stop: jobs.export_job(latest.model, path, path.stem),
            )

    def correct(self, targets: Sequence[Target], settings: DenoiseSettings) -> None:
        """Correct layers: from their own score; where they have none, with the latest model.

        With a model that was loaded, all of them.
        """
        if not self._may_begin(targets):
            return
        latest = self._latest
        if latest is None:
            self._listener.show_error('There is no trained score yet; press Train first.')
            return
        images = [(target.source, self._score_by(latest, target.layer)) for target in targets]
        self._begin(
            State.CORRECTING,
            'Correcting',
            targets,
            lambda stop: jobs.correct_job(images, latest, settings),
        )

    def _score_by(self, latest: jobs.Trained, layer: Any) -> Scored | None:
        """The score of a layer; where a model was loaded, only if it is from that."""
        scored = self._scored.get(layer)
        other = (
            scored is not None and latest.loaded and latest.model not in scored.score_map.models
        )
        return None if other else scored

    def show_change(self, targets: Sequence[Target]) -> None:
        """Show what the training changed in layers that were corrected."""
        if not self._may_begin(targets):
            return
        scored = [(target.source, self._scored.get(target.layer)) for target in targets]
        images = [
            (source, score)
            for source, score in scored
            if score is not None and score.holds_for(source)
        ]
        if len(images) < len(targets):
            self._listener.show_error(
                'Not every ticked layer was denoised here as it is now; press Train first.'
            )
            return
        self._begin(
            State.CORRECTING,
            'Comparing with the pretrained weights',
            targets,
            lambda stop: jobs.change_job(images),
        )

    def compare(
        self, images: Sequence[tuple[Target, ImageSource, Sequence[NoiseFamily | None]]]
    ) -> None:
        """Show what was removed from layers: each with its clean image and its noise."""
        targets = [target for target, _, _ in images]
        if self._may_begin(targets):
            pairs = [(target.source, clean, families) for target, clean, families in images]
            self._begin(
                State.CORRECTING,
                'Comparing noisy and clean',
                targets,
                lambda stop: jobs.residual_job(pairs),
            )

    def glance(
        self, targets: Sequence[Target], settings: DenoiseSettings, views: Sequence[View]
    ) -> bool:
        """Correct what is looked at of layers from their scores; whether any has one.

        Gives way to any run, and to a later glance.
        """
        scored = [self._scored.get(target.layer) for target in targets]
        if self._state is not State.IDLE or not any(scored):
            return False
        sources = [target.source for target in targets]
        images = list(zip(sources, scored, views, strict=True))
        self._end_glance()
        number = self._glances

        def show(event: Event) -> None:
            if number == self._glances and isinstance(event, jobs.Live):
                self._listener.show_live(targets[event.number], event.index, event.values)

        def end(error: Exception | None) -> None:
            if number == self._glances:
                self._glance = None
                if error is not None:
                    self._listener.show_error(error_words(error))

        self._glance = self._start(
            lambda stop: jobs.glance_job(images, settings),
            title='Correcting what is in sight',
            on_event=show,
            on_end=end,
        )
        return True

    def pause(self) -> None:
        """Hold the run where it is, or let it go on."""
        if self._run is None or self._state is State.STOPPING:
            return
        if self._state is State.PAUSED:
            self._run.resume()
            self._show(self._paused, 'Going on ...')
        else:
            self._run.pause()
            self._paused = self._state
            self._show(State.PAUSED, f'Paused. {self._text}')

    def stop(self) -> None:
        """End a training and apply what it learned; cancel anything else, or a second time."""
        if self._run is None:
            return
        state = self._paused if self._state is State.PAUSED else self._state
        first = state is State.TRAINING
        if first:
            self._run.stop()
        else:
            self._cancelled = True
            self._run.cancel()
        text = 'Stopping; applying what was learned ...' if first else 'Cancelling ...'
        self._show(State.STOPPING, text)

    def close(self) -> None:
        """Cancel the run and hear no more of it."""
        self._number += 1
        self._state = State.IDLE
        self._end_glance()
        if self._run is not None:
            self._run.cancel()
            self._run = None

    def _is_free(self) -> bool:
        if self._state is State.IDLE:
            return True
        self._listener.show_error(
            f'One run at a time: the panel is still {self._state}. '
            'Wait for its end, or press Stop.'
        )
        return False

    def _may_begin(self, targets: Sequence[Target]) -> bool:
        if not self._is_free():
            return False
        if not targets:
            self._listener.show_error('No layer is chosen; tick at least one Image layer.')
            return False
        return True

    def _begin(
        self, state: State, title: str, targets: Sequence[Target], make_job: MakeJob
    ) -> None:
        self._number += 1
        self._end_glance()
        self._targets, self._estimates, self._history = targets, [], []
        self._cancelled, self._added, self._failed = False, 0, 0
        self._show(state, f'{title} ...', 0.0)
        self._run = self._start(
            make_job,
            title=title,
            on_event=self._of_this_run(self._hear),
            on_end=self._of_this_run(self._end),
        )

    def _end_glance(self) -> None:
        self._glances += 1
        if self._glance is not None:
            self._glance.cancel()
            self._glance = None

    def _of_this_run(self, act: Callable[[Any], None]) -> Callable[[Any], None]:
        number = self._number

        def if_current(value: Any) -> None:
            if number == self._number:
                act(value)

        return if_current

    def _hear(self, event: Event) -> None:
        match event:
            case jobs.Update():
                self._hear_update(event)
            case jobs.Estimated():
                self._estimates.append(event)
            case jobs.Noted():
                self._listener.show_notes(event.notes)
            case jobs.Calibrated():
                self._listener.show_calibration(event.calibration)
            case jobs.Trained():
                self.use(event)
            case jobs.Result():
                self._hear_result(event)
            case jobs.Failed():
                self._hear_failure(event)
            case jobs.Live():
                target = self._targets[event.number]
                self._listener.show_live(target, event.index, event.values)
            case jobs.Changed():
                places = [place.to_dict() for place in event.change.largest]
                self._hear_map(event.number, change_name, event.change.image, {'largest': places})
            case jobs.Residual():
                self._hear_map(event.number, residual_name, event.image, {})

    def _hear_update(self, update: jobs.Update) -> None:
        if update.stage == 'train':
            self._show_estimates()
        state = self._state
        if state is State.PAUSED:  # said before it paused
            return
        if state is State.TRAINING and update.stage == 'correct':
            state = State.CORRECTING
        if update.stage == 'train' and update.loss is not None and update.spent is not None:
            if self._history and update.spent < self._history[-1][0]:  # the next of several
                self._history = []
            self._history.append((update.spent, update.loss))
            self._listener.show_learning(self._history)
        text = update_words(update)
        if state is State.STOPPING:
            if update.stage != 'correct' or self._cancelled:
                return
            text = f'Stopped; {text[0].lower()}{text[1:]}'
        self._show(state, text, update.fraction)

    def _show_estimates(self) -> None:
        """Show what was estimated on the way to a result, once."""
        if self._estimates:
            self._listener.show_estimates(self._estimates, asked=False)
            self._estimates = []

    def _hear_result(self, result: Result) -> None:
        self._show_estimates()  # nothing was trained
        target, corrected = self._targets[result.number], result.corrected
        name = result_name(target.source.name, corrected.families, corrected.correction)
        self._scored[target.layer] = result.scored
        self._listener.add_result(target, corrected.image, name, result.report)
        self._added += 1
        notes = [f'{target.source.name}: {note}' for note in result.report['warnings']]
        gains = [gain_words(model.training) for model in result.scored.score_map.distinct]
        if len(gains) > 1:
            gains = [f'{len(gains)} scores were trained; the report says what each gained.']
        self._listener.show_notes([*notes, *filter(None, gains)])

    def _hear_failure(self, failed: jobs.Failed) -> None:
        name, words = self._targets[failed.number].source.name, error_words(failed.error)
        self._failed += 1
        log.error('%s failed', name, exc_info=failed.error)
        self._listener.show_error(words if words.startswith(name) else f'{name}: {words}')

    def _hear_map(
        self, number: int, name: Callable[[str], str], image: Any, report: dict[str, Any]
    ) -> None:
        target = self._targets[number]
        self._listener.add_map(target, image, name(target.source.name), report)
        self._added += 1

    def _end(self, error: Exception | None) -> None:
        was, self._run, self._targets = self._state, None, ()
        if error is not None:
            self._show(State.IDLE, self._ending('Failed; see below.'), 0.0)
            if not isinstance(error, (InputError, TrainingError, CheckpointError)):
                log.error('unexpected error', exc_info=error)
            self._listener.show_error(error_words(error))
        elif self._estimates and was is State.ESTIMATING:
            self._listener.show_estimates(self._estimates, asked=True)
            self._show(State.IDLE, 'The noise was estimated.', 1.0)
        elif self._cancelled:
            self._show(State.IDLE, self._ending('Cancelled.'), 0.0)
        elif was is State.LOADING:
            self._show(State.IDLE, 'The model was loaded.', 1.0)
        elif was is State.CALIBRATING:
            self._show(State.IDLE, 'The noise was measured on the calibration frames.', 1.0)
        elif was is State.EXPORTING:
            self._show(State.IDLE, 'The model was exported.', 1.0)
        elif self._added:
            count = 'one layer' if self._added == 1 else f'{self._added} layers'
            text = f'Done: {count} added.'
            if self._failed:
                text = f'{count.capitalize()} added, {self._failed} failed; see below.'
            self._show(State.IDLE, text, 1.0)
        elif self._failed:
            self._show(State.IDLE, self._ending('Failed; see below.'), 0.0)
        else:
            self._show(State.IDLE, 'Stopped before the training began.', 0.0)

    def _ending(self, text: str) -> str:
        return f'{text} The trained score is kept.' if self._latest is not None else text

    def _show(self, state: State, text: str, fraction: float | None = None) -> None:
        self._state, self._text = state, text
        self._fraction = self._fraction if fraction is None else fraction
        self._listener.show_status(self.status)
