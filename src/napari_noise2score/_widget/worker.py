"""A job in napari's background worker. The one place where threads are known.

Why not `create_worker` alone: a generator worker of superqt swallows RuntimeError (no
``errored``, no ``finished``), and most errors of PyTorch are RuntimeErrors; and its ``quit``
drops the generator where it stands, so that what was learned would be lost.
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
"""Least time between two updates, s."""

_GLANCE = 0.05
"""Time between two looks at whether a pause is over, s."""
_PERCENT = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Flags:
    """What the viewer's thread tells a job.

    Attributes
    ----------
    stopped : Event
        End the training and apply what was learned.
    cancelled : Event
        End at the next step and forget the rest.
    paused : Event
        Wait after the next step.
    heard : Event
        What the job has yielded was dealt with.
    """

    stopped: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)
    paused: threading.Event = field(default_factory=threading.Event)
    heard: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End the training and apply what was learned."""
        self.stopped.set()

    def cancel(self) -> None:
        """End at the next step and forget the rest."""
        self.stopped.set()
        self.cancelled.set()

    def pause(self) -> None:
        """Wait after the next step."""
        self.paused.set()

    def resume(self) -> None:
        """Go on."""
        self.paused.clear()

    def wait(self) -> None:
        """Return when the job may go on: not paused, or to be ended."""
        while self.paused.is_set() and not self.stopped.wait(_GLANCE):
            pass

    def wait_heard(self) -> None:
        """Return when the viewer has dealt with what was yielded, or the job is to be ended.

        Both would want Python's lock meanwhile, and the viewer would stall for longer.
        """
        while not self.heard.wait(_GLANCE) and not self.stopped.is_set():
            pass


class JobWorker(GeneratorWorker):
    """A generator worker that ends at its job's next step when napari asks it to quit."""

    flags: Flags

    def quit(self) -> None:
        """Cancel the job. It ends by itself, so that it releases what it holds."""
        self.flags.cancel()


def start(
    make_job: MakeJob,
    *,
    title: str,
    on_event: Callable[[Event], None],
    on_end: Callable[[Exception | None], None],
) -> Flags:
    """Run a job in the background, known to napari's task manager and activity dock.

    To be called in the viewer's thread, where the callbacks are called as well.

    Parameters
    ----------
    make_job : callable
        Makes the job, given its stop flag.
    title : str
        What the activity dock says.
    on_event : callable
        Gets what the job yields, updates at most ten times a second.
    on_end : callable
        Called exactly once, with the error if there was one.

    Returns
    -------
    Flags
        To stop or cancel the job.
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
            flags.heard.set()
        # The bar lets Qt deliver what is waiting, so it comes last: the next event may be next.
        if isinstance(event, Update) and not bar.disable:
            bar.update(round(_PERCENT * event.fraction) - bar.n)

    def keep(ending: Ending) -> None:
        errors[0] = ending.error

    def finish() -> None:
        bar.close()
        on_end(errors[0])

    worker.yielded.connect(show)
    worker.returned.connect(keep)
    worker.finished.connect(finish)
    worker.start()
    return flags


@dataclass(frozen=True, slots=True, eq=False)
class Ending:
    """How a job ended. An error as a bare return value would be raised again, or swallowed."""

    error: Exception | None = None


def background_job(job: Job, flags: Flags) -> Generator[Event, None, Ending]:
    """Drive a job: thin out its updates, look at the flags, and turn any error into a value."""
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
            flags.heard.clear()
            yield event
            flags.wait_heard()
    except Exception as error:
        log.debug('job failed', exc_info=True)
        return Ending(error)
    finally:
        job.close()
    return Ending()


def preload() -> threading.Thread:
    """Load PyTorch in the background, so that the first job starts without delay.

    Loading holds Python's lock for up to half a second at a time; better just after the panel
    has opened than when a training starts. An error shows when a job needs it.
    """

    def load() -> None:
        try:
            warm_up()
        except Exception:
            log.debug('PyTorch could not be loaded ahead', exc_info=True)

    thread = threading.Thread(target=load, name='noise2score-preload')
    thread.start()
    return thread
