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
from typing import Any

from napari.qt.threading import GeneratorWorker, create_worker
from napari.utils import progress

from napari_noise2score._widget.jobs import Event, Job, Update, engine

INTERVAL = 0.1
"""Least time between two updates, s."""

_PERCENT = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Flags:
    """What the viewer's thread tells a job.

    Attributes
    ----------
    stop : Event
        End the training and apply what was learned.
    cancel : Event
        End at the next step and forget the rest.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    cancel: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """The error that ended a job."""

    error: Exception


class JobWorker(GeneratorWorker):
    """A generator worker that ends at its job's next step when napari asks it to quit."""

    flags: Flags

    def quit(self) -> None:
        """Cancel the job. It ends by itself, so that it releases what it holds."""
        self.flags.stop.set()
        self.flags.cancel.set()


def start(
    job: Job,
    flags: Flags,
    *,
    title: str,
    on_event: Callable[[Event], None],
    on_end: Callable[[Failure | None], None],
) -> JobWorker:
    """Run a job in the background, known to napari's task manager and activity dock.

    To be called in the viewer's thread, where the callbacks are called as well.

    Parameters
    ----------
    job : generator
        The job; what it yields goes to ``on_event``, updates at most ten times a second.
    flags : Flags
        Tells the job to stop or to cancel.
    title : str
        What the activity dock says.
    on_event, on_end : callable
        ``on_end`` is called exactly once, with the error if there was one.
    """
    worker = create_worker(background_job, job, flags, _worker_class=JobWorker)
    worker.flags = flags
    bar = progress(total=_PERCENT, desc=title)
    ends: list[Failure | None] = [None]

    def show(event: Event) -> None:
        if isinstance(event, Update):
            bar.update(round(_PERCENT * event.fraction) - bar.n)
        on_event(event)

    def keep(failure: Failure | None) -> None:
        ends[0] = failure

    def finish() -> None:
        bar.close()
        on_end(ends[0])

    worker.yielded.connect(show)
    worker.returned.connect(keep)
    worker.finished.connect(finish)
    worker.start()
    return worker


def background_job(job: Job, flags: Flags) -> Generator[Event, None, Failure | None]:
    """Drive a job: thin out its updates, look at the flags, and turn any error into a value."""
    last = -INTERVAL
    try:
        for event in job:
            if flags.cancel.is_set():
                return None
            if isinstance(event, Update):
                now = time.perf_counter()
                if now - last < INTERVAL:
                    continue
                last = now
            yield event
    except Exception as error:  # noqa: BLE001 - whatever it is, the panel has to hear of it
        log.debug('job failed', exc_info=True)
        return Failure(error)
    finally:
        job.close()
    return None


def preload() -> threading.Thread:
    """Load PyTorch in the background, so that the first job starts without delay.

    Loading holds Python's lock for a quarter of a second at a time; better just after the panel
    has opened than when a training starts. An error shows when a job needs it.
    """

    def load() -> None:
        try:
            engine()
        except Exception:  # noqa: BLE001 - the job that needs it will say so
            log.debug('PyTorch could not be loaded ahead', exc_info=True)

    thread = threading.Thread(target=load, name='noise2score-preload')
    thread.start()
    return thread


Start = Callable[..., Any]
"""Type of `start`, for those who take another in its place."""
