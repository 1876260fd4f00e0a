"""How many threads a training on the CPU should use, found by trying.

Parallel loops wait for their slowest thread. On a machine that something else is busy on, one
thread less can be several times faster than all of them; on an idle one it is slower. So the step
time of both is measured, now and then again, and the faster is used.
"""

from __future__ import annotations

import time
from types import TracebackType

import torch

_TRY = 3
_KEEP = 100


class ThreadTuner:
    """Chooses between all threads and one less, step by step; the number is restored at the end.

    Use as a context, and call `step` before each step. The number of threads can change the last
    bits of a result, so it is not for trainings that must repeat exactly.

    Parameters
    ----------
    active : bool
        Whether to choose at all.
    """

    def __init__(self, active: bool = True) -> None:
        self._most = torch.get_num_threads()
        self._active = active and self._most > 1
        self._using = self._most
        self._mean: dict[int, float] = {}
        self._begin: float | None = None
        self._length, self._done = _TRY, 0

    def __enter__(self) -> ThreadTuner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        torch.set_num_threads(self._most)

    def step(self) -> None:
        """Count a step, and change the number of threads where that is due."""
        if not self._active:
            return
        now = time.perf_counter()
        if self._begin is None:  # the first step after a change pays for new threads
            self._begin = now
            return
        self._done += 1
        if self._done >= self._length:
            self._mean[self._using] = (now - self._begin) / self._done
            self._next()

    def _next(self) -> None:
        """After a stretch: the number that is not known yet, else the faster for a while."""
        other = self._most if self._using < self._most else self._most - 1
        if other in self._mean:
            self._use(min(self._mean, key=lambda threads: self._mean[threads]), _KEEP)
            self._mean = {}
        else:
            self._use(other, _TRY)

    def _use(self, threads: int, steps: int) -> None:
        torch.set_num_threads(threads)
        self._using, self._length, self._done, self._begin = threads, steps, 0, None
