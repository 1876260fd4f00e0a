"""A stand-in for the worker, so that a test plays the job."""

from __future__ import annotations

from typing import Any


class PlayedRun:
    """A run that notes what is requested; the test calls ``on_event`` and ``on_end``."""

    def __init__(self, make_job: Any, title: str, on_event: Any, on_end: Any) -> None:
        self.make_job, self.title = make_job, title
        self.on_event, self.on_end = on_event, on_end
        self.requests: list[str] = []

    def stop(self) -> None:
        self.requests.append('stop')

    def cancel(self) -> None:
        self.requests.append('cancel')

    def pause(self) -> None:
        self.requests.append('pause')

    def resume(self) -> None:
        self.requests.append('resume')


class PlayedRuns(list[PlayedRun]):
    """Starts runs that the test plays; the list of all that were started."""

    def __call__(self, make_job: Any, *, title: str, on_event: Any, on_end: Any) -> PlayedRun:
        self.append(PlayedRun(make_job, title, on_event, on_end))
        return self[-1]
