"""How many threads a network should use on the CPU, found by trying.

Parallel loops wait for their slowest thread. On a machine that something else is busy on, one
thread less can be several times faster than all of them; on an idle one it is slower. So it is
measured, now and then again, and the fastest number is used: in a training with a time limit by
the time that its steps take (`ThreadTuner`), else, where there may be few steps and each of them
may take seconds, by a short trial beforehand (`ThreadChooser`).

The gradient of a network can differ in the last bits with the number of threads. A training that
must repeat exactly therefore keeps the number that the machine allows, whatever else runs there;
its threads do at least not wait for each other for longer than need be, which the package sees to
when it is imported. What a network gives, without a gradient, is computed pixel by pixel, and
does not depend on the number of threads, except in planes that are so small that several threads
share the sum of one pixel. These are left to one thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_noise2score.score.cores import usable_cores

_TRY = 3
_KEEP = 100
_HOPELESS = 2.0
"""A number of threads that takes so many times as long as another is not tried any further."""
_LONGER = 5.0
"""So many times as long is a number kept where the other one takes much longer."""

_CHANNELS = 32
_WORK = 1 << 14
"""Pixels that a trial computes with each number of threads, in loops as long as those of the
network, but in three at least."""
_LOOPS = 3
_SMALL = 64 * 64
"""Fewer pixels are left to one thread: with AVX-512 its last bits differ from those of several
threads up to 200 pixels in the coarsest maps of a network, and up to 600 in its finest."""
_SHARE = 0.02
"""Share of the time that trials may take."""
_SHORTEST = 1.0
"""Least time from one trial to the next, s."""
_SLOWER = 1.2
"""Half as many threads that take so many times as long show that no fewer need to be tried."""


class _Lent(threading.local):
    """What the thread that asks has done: how deep it is in `using`."""

    depth = 0


class Threads:
    """PyTorch's number of threads, and the one that is usual: outside of `using`.

    PyTorch keeps a number for each thread of Python, and a new one begins with what was set last
    in any of them.

    Parameters
    ----------
    get, use : callable
        Return and change the number of threads of the thread of Python that asks.
    cores : callable
        Returns how many cores the process may use; None if nothing limits them.
    """

    def __init__(
        self,
        get: Callable[[], int] = torch.get_num_threads,
        use: Callable[[int], object] = torch.set_num_threads,
        cores: Callable[[], int | None] = usable_cores,
    ) -> None:
        self.get, self.use, self._cores = get, use, cores
        self._lock, self._inside, self._number = threading.Lock(), 0, 1
        self._lent = _Lent()

    @property
    def usual(self) -> int:
        """The usual number; in `using` the one that is used."""
        with self._lock:
            lent_elsewhere = self._inside and not self._lent.depth
            return self._number if lent_elsewhere else self.get()

    @property
    def usable(self) -> int:
        """The usual number, but no more than the process may use cores."""
        number = self.usual
        return min(number, self._cores() or number)

    @contextmanager
    def using(self, threads: int) -> Iterator[None]:
        """Compute with so many threads; the number is restored at the end."""
        before = self._enter()
        try:
            self.use(threads)
            yield
        finally:
            self.use(before)
            self._leave()

    def _enter(self) -> int:
        """Begin to use another; the one to be restored."""
        before = self.usual
        with self._lock:
            if not self._lent.depth:
                self._number = before if not self._inside else self._number
                self._inside += 1
            self._lent.depth += 1
        return before

    def _leave(self) -> None:
        """End that."""
        with self._lock:
            self._lent.depth -= 1
            if not self._lent.depth:
                self._inside -= 1


TORCH = Threads()
"""Threads of this process."""


def usable_threads() -> int:
    """Threads that PyTorch would use, but no more than the process may use cores."""
    return TORCH.usable


def using(threads: int) -> AbstractContextManager[None]:
    """Compute with so many threads; the number is restored at the end."""
    return TORCH.using(threads)


class ThreadChooser:
    """Finds how many threads are fastest now, by a trial that is repeated now and then.

    Parameters
    ----------
    trial : callable
        Gives what computes loops over so many pixels.
    clock : callable
        Tells the time, s.
    threads : Threads
        What is changed.
    """

    def __init__(
        self,
        trial: Callable[[int], Callable[[], object]] | None = None,
        clock: Callable[[], float] = time.perf_counter,
        threads: Threads = TORCH,
    ) -> None:
        self._trial, self._clock, self.threads = trial or _loops, clock, threads
        self._found: dict[tuple[int, int], tuple[int, float]] = {}

    def best(self, most: int, pixels: int) -> int:
        """Number of threads, up to ``most``, for a network that sees so many pixels at once."""
        if most <= 1:
            return 1
        pixels = max(1, min(pixels, _WORK))
        size = pixels.bit_length()  # the same trial for about the same size
        threads, until = self._found.get((most, size), (most, -float('inf')))
        begin = self._clock()
        if begin >= until:
            threads = self._fastest(most, pixels)
            end = self._clock()
            until = end + max(_SHORTEST, (end - begin) / _SHARE)
            self._found[most, size] = threads, until
        return threads

    def _fastest(self, most: int, pixels: int) -> int:
        seconds = {most: self._seconds(most, pixels)}
        for threads in _fewer(most):
            seconds[threads] = self._seconds(threads, pixels)
            if threads < most - 1 and seconds[threads] > _SLOWER * min(seconds.values()):
                break
        if min(seconds.values()) < seconds[most]:  # new threads take a while to spread over cores
            seconds[most] = min(seconds[most], self._seconds(most, pixels))
        return min(seconds, key=lambda number: seconds[number])

    def _seconds(self, threads: int, pixels: int) -> float:
        with self.threads.using(threads):
            loop = self._trial(pixels)
            loop()  # the first time pays for new threads
            begin = self._clock()
            for _ in range(max(_LOOPS, _WORK // pixels)):
                loop()
            return self._clock() - begin


def _fewer(most: int) -> Iterator[int]:
    """One thread less, then half of them, a quarter, and so on, down to 1."""
    last, threads = most, most - 1
    while threads >= 1:
        if threads < last:
            yield threads
            last = threads
        most //= 2
        threads = most


def _loops(pixels: int) -> Callable[[], object]:
    """A convolution and a loop over the pixels, as the network has them."""
    side = max(8, int(pixels**0.5))
    x = torch.ones(1, _CHANNELS, side, side).contiguous(memory_format=torch.channels_last)
    weight = torch.ones(_CHANNELS, _CHANNELS, 3, 3)

    @torch.no_grad()
    def loop() -> Tensor:
        return F.relu(F.conv2d(x, weight, padding=1))

    return loop


CHOOSER = ThreadChooser()
"""What is known of this machine, for all of the process."""


@contextmanager
def quickest_threads(
    device: torch.device, pixels: int, chooser: ThreadChooser | None = None
) -> Iterator[None]:
    """Apply a network to so many pixels with as many threads as are fastest now; on the CPU only.

    The number does not change what it gives.
    """
    if device.type != 'cpu':
        yield
        return
    chooser = chooser or CHOOSER
    most = chooser.threads.usable if pixels >= _SMALL else 1
    with chooser.threads.using(chooser.best(most, pixels)):
        yield


class ThreadTuner:
    """Chooses between all threads and one less, step by step; the number is restored at the end.

    Use as a context, and call `step` before each step. The number of threads can change the last
    bits of a result, so it is not for trainings that must repeat exactly.

    Parameters
    ----------
    active : bool
        Whether to choose at all.
    most : int, optional
        All threads; as many as PyTorch uses if not given.
    first : int, optional
        Number to begin with: all if not given.
    threads : Threads
        What is changed.
    clock : callable
        Tells the time, s.
    """

    def __init__(
        self,
        active: bool = True,
        most: int | None = None,
        first: int | None = None,
        *,
        threads: Threads = TORCH,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._threads, self._clock = threads, clock
        self._before = threads.get()
        self._most = self._before if most is None else most
        self._active = active and self._most > 1
        self._using = self._most if first is None else first
        self._mean: dict[int, float] = {}
        self._begin: float | None = None
        self._length, self._done = _TRY, 0

    def __enter__(self) -> ThreadTuner:
        self._threads.use(self._using)
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.use(self._before)

    def step(self) -> None:
        """Count a step, and change the number of threads where that is due."""
        if not self._active:
            return
        now = self._clock()
        if self._begin is None:  # the first step after a change pays for new threads
            self._begin = now
            return
        self._done += 1
        mean = (now - self._begin) / self._done
        if self._done >= self._length or mean > _HOPELESS * min(self._mean.values(), default=mean):
            self._mean[self._using] = mean
            self._next()

    def leave_out(self, seconds: float) -> None:
        """Do not count time in which the caller had the training."""
        if self._begin is not None:
            self._begin += seconds

    def _next(self) -> None:
        """After a stretch: the number that is not known yet, else the faster for a while."""
        other = self._most if self._using < self._most else self._most - 1
        if other in self._mean:
            best = min(self._mean, key=lambda threads: self._mean[threads])
            ratio = max(self._mean.values()) / max(self._mean[best], 1e-9)
            self._mean = {}
            self._use(best, round(_KEEP * min(max(1.0, ratio / _HOPELESS), _LONGER)))
        else:
            self._use(other, _TRY)

    def _use(self, threads: int, steps: int) -> None:
        self._threads.use(threads)
        self._using, self._length, self._done, self._begin = threads, steps, 0, None
