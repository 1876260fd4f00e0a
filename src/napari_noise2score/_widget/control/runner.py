"""One background job at a time: its phase, its kind, and how it ended.

A run has a number. Events of an earlier run, which may still arrive, are dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from napari_noise2score._widget.jobs import Event, MakeJob


class Phase(StrEnum):
    """Whether a job runs."""

    IDLE = 'idle'
    RUNNING = 'running'
    PAUSED = 'paused'
    STOPPING = 'stopping'


class JobKind(StrEnum):
    """What a job does."""

    ESTIMATING = 'estimating'
    CALIBRATING = 'calibrating'
    TRAINING = 'training'
    CORRECTING = 'correcting'
    COMPARING = 'comparing'
    PREVIEWING = 'previewing'
    LOADING = 'loading'
    EXPORTING = 'exporting'
    SEARCHING = 'searching'


class FinishReason(StrEnum):
    """Why a job ended.

    A stopped job delivers what it has so far; a cancelled one delivers nothing more.
    """

    COMPLETED = 'completed'
    STOPPED = 'stopped'
    CANCELLED = 'cancelled'
    FAILED = 'failed'


@dataclass(frozen=True, slots=True)
class RunnerStatus:
    """A snapshot of a runner.

    Attributes
    ----------
    phase : Phase
        Whether a job runs.
    job : JobKind or None
        The job that runs, or ran last; None before the first.
    reason : FinishReason or None
        Why the last job ended. In the phase ``STOPPING`` what was requested, `STOPPED` or
        `CANCELLED`; None in any other phase of a job, and before the first.
    """

    phase: Phase = Phase.IDLE
    job: JobKind | None = None
    reason: FinishReason | None = None

    @property
    def idle(self) -> bool:
        """Whether a job can be started."""
        return self.phase is Phase.IDLE


class Run(Protocol):
    """Handle of a job under way."""

    def stop(self) -> None:
        """End the job soon, and deliver what it has so far."""

    def cancel(self) -> None:
        """End the job at its next step, and deliver nothing more."""

    def pause(self) -> None:
        """Wait after the next step."""

    def resume(self) -> None:
        """Continue after a pause."""


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


class Runner:
    """Runs one job at a time.

    Parameters
    ----------
    start : callable
        Runs a job in the background.
    """

    def __init__(self, start: Start) -> None:
        self._start = start
        self._run: Run | None = None
        self._number = 0
        self._status = RunnerStatus()

    @property
    def status(self) -> RunnerStatus:
        """A snapshot."""
        return self._status

    def start(
        self,
        job: JobKind,
        make_job: MakeJob,
        *,
        title: str,
        on_event: Callable[[Event], None],
        on_end: Callable[[FinishReason, Exception | None], None],
    ) -> None:
        """Start a job; an earlier one, if it still runs, is abandoned.

        Parameters
        ----------
        job : JobKind
            What the job does.
        make_job : callable
            Makes the job from its stop flag.
        title : str
            Name of the job for napari's activity dock.
        on_event : callable
            Called with each event of the job.
        on_end : callable
            Called once, when the runner is idle again, with the reason and the error, if any.
        """
        self.abandon()
        self._status = RunnerStatus(Phase.RUNNING, job)
        number = self._number

        def event_arrived(event: Event) -> None:
            if number == self._number:
                on_event(event)

        def ended(error: Exception | None) -> None:
            if number == self._number:
                on_end(self._finish(error), error)

        self._run = self._start(make_job, title=title, on_event=event_arrived, on_end=ended)

    def pause(self) -> None:
        """Hold the job after its next step."""
        if self._run is not None and self._status.phase is Phase.RUNNING:
            self._run.pause()
            self._status = replace(self._status, phase=Phase.PAUSED)

    def resume(self) -> None:
        """Continue a paused job."""
        if self._run is not None and self._status.phase is Phase.PAUSED:
            self._run.resume()
            self._status = replace(self._status, phase=Phase.RUNNING)

    def stop(self) -> None:
        """End the job soon; it delivers what it has so far."""
        if self._run is not None and self._status.phase is not Phase.STOPPING:
            self._run.stop()
            self._set_end(FinishReason.STOPPED)

    def cancel(self) -> None:
        """End the job at its next step; it delivers nothing more."""
        if self._run is not None:
            self._run.cancel()
            self._set_end(FinishReason.CANCELLED)

    def abandon(self) -> None:
        """Cancel the job and drop all its further events, its end included."""
        self._number += 1
        if self._run is not None:
            self._run.cancel()
            self._run = None
            self._set_end(FinishReason.CANCELLED, Phase.IDLE)

    def _set_end(self, reason: FinishReason, phase: Phase = Phase.STOPPING) -> None:
        self._status = replace(self._status, phase=phase, reason=reason)

    def _finish(self, error: Exception | None) -> FinishReason:
        requested = self._status.reason or FinishReason.COMPLETED
        reason = requested if error is None else FinishReason.FAILED
        self._run = None
        self._set_end(reason, Phase.IDLE)
        return reason
