"""How far the work is, on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

from napari_noise2score.memory import LIMIT

_LINE = '{desc} [{elapsed}]'
_BAR = '{desc} |{bar}| {percentage:3.0f} % [{elapsed}<{remaining}]'

_EVERY = 1.0
"""Seconds between two drawings of a bar while nothing is told."""
_begun: list[Any] = []
"""The line of a call that has no bar yet; at most one."""


def duration(seconds: float) -> str:
    """A length of time in words, such as ``4 min``."""
    if seconds < 90:
        return f'{max(1, round(seconds))} s'
    if seconds < 90 * 60:
        return f'{round(seconds / 60)} min'
    return f'{seconds / 3600:.1f} h'


@contextmanager
def begun() -> Iterator[None]:
    """A line on a terminal from the first moment on, until `run` has a bar, or to the end.

    What is printed meanwhile is printed above it.
    """
    with _bar(_LINE) as line:
        _begun.append(line)
        try:
            yield
        finally:
            _begun.clear()


def tell(words: str) -> None:
    """Say on the first line what is done now, as long as it is there."""
    for line in _begun:
        line.set_description_str(words)


def run(steps: Any, where: Callable[[], str] = str) -> Any:
    """Run a generator of progress to its end, with a bar on a terminal.

    ``where`` gives the words before those of the stage, such as which of several files it is.

    Raises
    ------
    MemoryLimitError
        If the work uses clearly more memory than it may.
    """
    from napari_noise2score.progress import STAGES, finish

    for line in _begun:
        line.close()
    _begun.clear()
    with _bar(_BAR) as bar:
        before = ''

        def show(progress: Any) -> None:
            nonlocal before
            LIMIT.check()
            training = getattr(progress, 'training', progress)
            stage = getattr(progress, 'stage', 'train' if hasattr(progress, 'step') else '')
            loss = getattr(training, 'loss', None)
            words = STAGES.get(stage, 'computing')
            text = words if loss is None else f'{words}, step {training.step}, loss {loss:.3f}'
            bar.set_description_str(', '.join(filter(None, [where(), text])), refresh=False)
            bar.n = round(1000 * progress.fraction)
            at_once = progress.fraction >= 1 or words != before
            before = words
            bar.refresh() if at_once else bar.update(0)

        return finish(steps, show)


@contextmanager
def _bar(look: str) -> Iterator[Any]:
    """A bar on a terminal that moves on every second, or one that shows nothing elsewhere."""
    from tqdm import tqdm

    options: dict[str, Any] = {'disable': None, 'file': sys.stderr, 'leave': False}
    options |= size_of(sys.stderr)
    with tqdm(desc='starting', total=1000, bar_format=look, **options) as bar:
        end = threading.Event()

        def move() -> None:
            while not end.wait(_EVERY) and not bar.disable:  # it is once it is closed
                bar.refresh()

        moving = threading.Thread(target=move, name='progress', daemon=True)
        if not bar.disable:
            moving.start()
        try:
            yield bar
        finally:
            end.set()
            if moving.ident is not None:
                moving.join()


def size_of(stream: TextIO) -> dict[str, int]:
    """The size to assume of a terminal that says that it has none, for tqdm; empty elsewhere.

    Terminals that programs such as ``script`` open have no size if there is no other terminal;
    tqdm would show nothing there.
    """
    try:
        found = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError, AttributeError):  # no terminal
        return {}
    if found.columns and found.lines:
        return {}
    assumed = shutil.get_terminal_size()
    return {'ncols': (found.columns or assumed.columns) - 1, 'nrows': found.lines or assumed.lines}


@dataclass(slots=True)
class Pace:
    """How long the images take, and how long those that are left will.

    Attributes
    ----------
    finished : int
        Images that are done or left out.
    """

    finished: int = 0
    _worked: int = 0
    _begin: float = field(default_factory=time.perf_counter)
    _last: float = field(default_factory=time.perf_counter)

    def restart(self) -> None:
        """Count from now on: what went before is not repeated for every image."""
        self._begin = self._last = time.perf_counter()

    def finish(self, *, worked: bool) -> float:
        """The next image is finished; the seconds that it took."""
        before, self._last = self._last, time.perf_counter()
        self.finished += 1
        self._worked += worked
        return self._last - before

    @property
    def seconds(self) -> float:
        """Seconds since the last image was finished."""
        return time.perf_counter() - self._last

    def left(self, count: int) -> float | None:
        """Seconds until the end of ``count`` images; None before the first is done."""
        if not self._worked:
            return None
        return (self._last - self._begin) / self._worked * (count - self.finished)
