"""A job in napari's background worker: the only module with threads.

`create_worker` alone is not sufficient. A generator worker of superqt ignores a RuntimeError (no
``errored``, no ``finished``), and most errors of PyTorch are RuntimeErrors. Its ``quit`` ends the
generator immediately, so the trained model would be lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from napari.qt.threading import GeneratorWorker, create_worker
from napari.utils import progress

from napari_noise2score._widget.jobs import Event, Job, MakeJob, Update, warm_up

INTERVAL = 0.1
"""Minimum time between two updates, s."""

_POLLING = 0.05
"""Time between two checks whether a pause is over, s."""
_PERCENT = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags with which the thread of the viewer controls a job.

    Attributes
    ----------
    stopped : Event
        End the training and apply the trained model.
    cancelled : Event
        End at the next step without further results.
    paused : Event
        Wait after the next step.
    handled : Event
        The viewer has handled the last event of the job.
    """

    stopped: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    paused: threading.Event = field(default_factory=threading.Event)
    handled: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End the training and apply the trained model."""
        self.stopped.set()

    def cancel(self) -> None:
        """End at the next step without further results."""
        self.stopped.set()
        self.cancelled.set()

    def pause(self) -> None:
        """Wait after the next step."""
        self.paused.set()

    def resume(self) -> None:
        """Continue after a pause."""
        self.paused.clear()

    def wait(self) -> None:
        """Return when the job is not paused, or has to end."""
        while self.paused.is_set() and not self.stopped.wait(_POLLING):
            pass

    def wait_handled(self) -> None:
        """Return when the viewer has handled the last event, or the job has to end.

        Without this wait, both threads would compete for Python's lock, and the viewer would not
        respond for a longer time.
        """
        while not self.handled.wait(_POLLING) and not self.stopped.is_set():
            pass


class JobWorker(GeneratorWorker):
    """A generator worker that ends at the next step of its job when napari requests its end."""

    flags: Flags

    def quit(self) -> None:
        """Cancel the job. It then ends at its next step and releases its memory."""
        self.flags.cancel()


def start(
    make_job: MakeJob,
    *,
    title: str,
    on_event: Callable[[Event], None],
    on_end: Callable[[Exception | None], None],
) -> Flags:
    """Run a job in the background, with an entry in napari's task manager and activity dock.

    It has to be called in the thread of the viewer. The callbacks are called in this thread too.

    Parameters
    ----------
    make_job : callable
        Makes the job, given its stop flag.
    title : str
        Text in the activity dock.
    on_event : callable
        Called with the events of the job; with updates ten times per second at most.
    on_end : callable
        Called exactly once, with the error or None.

    Returns
    -------
    Flags
        Flags to stop, cancel or pause the job.
    """
    flags = Flags()
    worker = create_worker(background_job, make_job(flags.stopped), flags, _worker_class=JobWorker)
    worker.flags = flags
    bar = progress(total=_PERCENT, desc=title)
    errors: list[Exception | None] = [None]

    def show(event: Event) -> None:
        try:
            on_event(event)
        finally:
            flags.handled.set()
        # The bar lets Qt process waiting events, possibly the next one: so it is updated last.
        if isinstance(event, Update) and not bar.disable:
            bar.update(round(_PERCENT * event.fraction) - bar.n)

    def store_error(ending: Ending) -> None:
        errors[0] = ending.error

    def finish() -> None:
        bar.close()
        on_end(errors[0])

    worker.yielded.connect(show)
    worker.returned.connect(store_error)
    worker.finished.connect(finish)
    worker.start()
    return flags


@dataclass(frozen=True, slots=True, eq=False)
class Ending:
    """End of a job, with its error. A worker would raise or ignore an error that is returned."""

    error: Exception | None = None


def background_job(job: Job, flags: Flags) -> Generator[Event, None, Ending]:
    """Run a job: skip frequent updates, check the flags, and return any error as a value."""
    last, stage = -INTERVAL, ''
    try:
        for event in job:
            if flags.cancelled.is_set():
                break
            flags.wait()
            if isinstance(event, Update):
                now = time.perf_counter()
                if event.stage == stage and now - last < INTERVAL:
                    continue
                last, stage = now, event.stage
            flags.handled.clear()
            yield event
            flags.wait_handled()
    except Exception as error:
        log.debug('job failed', exc_info=True)
        return Ending(error)
    finally:
        job.close()
    return Ending()


def preload() -> threading.Thread:
    """Load PyTorch in the background, so that the first job starts without delay.

    Loading locks Python for up to half a second at a time, which disturbs less just after the
    panel has opened than during a job. An error is reported when a job needs PyTorch.
    """

    def load() -> None:
        try:
            warm_up()
        except Exception:
            log.debug('PyTorch could not be preloaded', exc_info=True)

    thread = threading.Thread(target=load, name='noise2score-preload')
    thread.start()
    return thread
