"""Jobs that are shared among several devices, with their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

J = TypeVar('J')
R = TypeVar('R')

_AHEAD = 3
"""Number of jobs per worker that are begun before the oldest result is returned."""


def shared(
    jobs: Iterable[J], workers: Sequence[Callable[[J], R]]
) -> Generator[tuple[J, R], None, None]:
    """Jobs with their results, in the order of the jobs.

    Parameters
    ----------
    jobs : iterable
        They are made in the calling thread, a few ahead of the results.
    workers : sequence of callables
        Each does one job at a time, on its device. A single worker works in the calling thread,
        several work in a thread each. A job goes to the first worker that is free.

    Yields
    ------
    job, result

    Notes
    -----
    The error of a job is raised in its place. When the iterator is closed, jobs that have not
    begun are dropped, and those that are under way are waited for.
    """
    if len(workers) == 1:
        (worker,) = workers
        for job in jobs:
            yield job, worker(job)
        return
    free: SimpleQueue[Callable[[J], R]] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def done(job: J) -> R:
        worker = free.get()
        try:
            return worker(job)
        finally:
            free.put(worker)

    begun: deque[tuple[J, Future[R]]] = deque()
    pool = ThreadPoolExecutor(len(workers), 'noise2score-device')
    try:
        for job in jobs:
            begun.append((job, pool.submit(done, job)))
            if len(begun) >= _AHEAD * len(workers):
                oldest, future = begun.popleft()
                yield oldest, future.result()
        for oldest, future in begun:
            yield oldest, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
