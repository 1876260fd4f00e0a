"""One background job at a time: its phase, its kind, and the reason of its end.

Each run has a number. Late events of an earlier run are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from napari_noise2score._widget.jobs import Event, MakeJob


class Phase(StrEnum):
    """Phase of a runner."""

    IDLE = 'idle'
    RUNNING = 'running'
    PAUSED = 'paused'
    STOPPING = 'stopping'


class JobKind(StrEnum):
    """Kind of a job."""

    ESTIMATING = 'estimating'
    CALIBRATING = 'calibrating'
    TRAINING = 'training'
    CORRECTING = 'correcting'
    COMPARING = 'comparing'
    PREVIEWING = 'previewing'
    LOADING = 'loading'
    EXPORTING = 'exporting'
    REPORTING = 'reporting'
    SEARCHING = 'searching'


class FinishReason(StrEnum):
    """Reason of the end of a job.

    A stopped job delivers its results so far; a cancelled one delivers no further results.
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
        Phase of the runner.
    job : JobKind or None
        The current or the last job; None before the first.
    reason : FinishReason or None
        Reason of the end of the last job. In the phase ``STOPPING`` it is the requested one,
        `STOPPED` or `CANCELLED`. It is None in other phases of a job, and before the first job.
    """

    phase: Phase = Phase.IDLE
    job: JobKind | None = None
    reason: FinishReason | None = None

    @property
    def idle(self) -> bool:
        """Whether a job can be started."""
        return self.phase is Phase.IDLE


class Run(Protocol):
    """Handle of a running job."""

    def stop(self) -> None:
        """End the job soon, and deliver its results so far."""

    def cancel(self) -> None:
        """End the job at its next step, without further results."""

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
        """A snapshot of the state."""
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
        """Start a job; an earlier job that is still running is abandoned.

        Parameters
        ----------
        job : JobKind
            Kind of the job.
        make_job : callable
            Makes the job from its stop flag.
        title : str
            Name of the job for napari's activity dock.
        on_event : callable
            Called with each event of the job.
        on_end : callable
            Called once, when the runner is idle again, with the reason and the error or None.
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
        """Pause the job after its next step."""
        if self._run is not None and self._status.phase is Phase.RUNNING:
            self._run.pause()
            self._status = replace(self._status, phase=Phase.PAUSED)

    def resume(self) -> None:
        """Continue a paused job."""
        if self._run is not None and self._status.phase is Phase.PAUSED:
            self._run.resume()
            self._status = replace(self._status, phase=Phase.RUNNING)

    def stop(self) -> None:
        """End the job soon; it delivers its results so far."""
        if self._run is not None and self._status.phase is not Phase.STOPPING:
            self._run.stop()
            self._set_end(FinishReason.STOPPED)

    def cancel(self) -> None:
        """End the job at its next step, without further results."""
        if self._run is not None:
            self._run.cancel()
            self._set_end(FinishReason.CANCELLED)

    def abandon(self) -> None:
        """Cancel the job and ignore all its further events, its end included."""
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
