"""How far the work is, on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from napari_noise2score.memory import LIMIT

_BAR = '{desc} |{bar}| {percentage:3.0f} % [{elapsed}<{remaining}]'


def duration(seconds: float) -> str:
    """A length of time in words, such as ``4 min``."""
    if seconds < 90:
        return f'{max(1, round(seconds))} s'
    if seconds < 90 * 60:
        return f'{round(seconds / 60)} min'
    return f'{seconds / 3600:.1f} h'


def run(steps: Any, where: Callable[[], str] = str) -> Any:
    """Run a generator of progress to its end, with a bar on a terminal.

    ``where`` gives the words before those of the stage, such as which of several files it is.

    Raises
    ------
    MemoryLimitError
        If the work uses clearly more memory than it may.
    """
    from tqdm import tqdm

    from napari_noise2score.progress import finish

    with tqdm(total=1000, bar_format=_BAR, disable=None, file=sys.stderr, leave=False) as bar:

        def show(progress: Any) -> None:
            LIMIT.check()
            training = getattr(progress, 'training', progress)
            stage = getattr(progress, 'stage', 'train' if hasattr(progress, 'step') else 'score')
            loss = getattr(training, 'loss', None)
            text = stage if loss is None else f'{stage}, step {training.step}, loss {loss:.3f}'
            bar.set_description_str(', '.join(filter(None, [where(), text])), refresh=False)
            bar.n = round(1000 * progress.fraction)
            bar.refresh() if progress.fraction >= 1 else bar.update(0)

        return finish(steps, show)


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
