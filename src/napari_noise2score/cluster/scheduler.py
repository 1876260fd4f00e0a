"""A Dask cluster: where its scheduler is, and work that is done again where a worker is lost."""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from napari_noise2score.errors import InputError
from napari_noise2score.memory import give_back, keeping_freed

LOCAL = 'local:'
"""Begins the name of a cluster of the processor cores of this machine."""
SCHEDULER_FILE = '.json'
"""Ends the name of a scheduler file, in which a scheduler writes its address."""
_NEEDED = (
    'the address of a Dask scheduler is needed, such as tcp://10.0.0.1:8786, its scheduler file '
    f'({SCHEDULER_FILE}), or {LOCAL}N for N processes of this machine'
)
_LOST = 'the connection to the Dask scheduler was lost'
_POLL = 1.0
"""Seconds between two looks at the workers."""
_PATIENCE = 30
"""Seconds that are waited for a scheduler to answer."""
_LEAST_AHEAD, _AHEAD = 16, 4
"""Units that are sent before the first ones are done: at least, and for each worker."""

T = TypeVar('T')

Work = Callable[[Any, Any], Any]
"""Work on one unit: called with what all units share and with the unit, on a worker."""


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    """Versions on which results depend, apart from that of Python."""
    from napari_noise2score.pipeline.record import versions

    return {name: number for name, number in versions().items() if name != 'python'}


@dataclass(slots=True)
class Cluster:
    """A connection to a Dask cluster.

    Attributes
    ----------
    client : Client
        The connection, of `distributed`.
    name : str
        Where the scheduler is, for messages.
    threads : int or None
        Threads that each worker computes with; by default as many as Dask gave it.
    tell : callable
        Is called with a sentence for the user when a worker is lost.
    versions : dict
        Versions that the workers need, by package; those of this process.
    """

    client: Any
    name: str
    threads: int | None = None
    tell: Callable[[str], object] = str
    versions: dict[str, str] = field(default_factory=_versions)
    _workers: dict[str, int] = field(default_factory=dict)
    _looked: float = 0.0

    def results(
        self,
        work: Work,
        units: Iterator[tuple[T, Any]],
        shared: bytes = b'',
        *,
        threads: int | None = None,
    ) -> Iterator[tuple[T, Any] | None]:
        """Results of units, each as soon as it is ready, in any order.

        The units of a worker that is lost are done again by others.

        Parameters
        ----------
        work : callable
            A function of a module.
        units : iterator of (key, unit)
            Taken as workers become free.
        shared : bytes
            What all units share; sent to each worker once.
        threads : int, optional
            Number of threads of each worker, if results depend on it.

        Yields
        ------
        (key, result) or None
            A result; None about once a second while there is none. An error of the work is the
            result, as an exception.

        Raises
        ------
        ConnectionError
            If the scheduler is lost.
        """
        distributed = load_distributed()
        common = self.client.submit(_same, shared, pure=False)
        given = self.versions, threads or self.threads
        waiting: dict[str, tuple[T, Any]] = {}

        def send() -> None:
            room = max(_LEAST_AHEAD, _AHEAD * len(self._workers)) - len(waiting)
            for key, unit in islice(units, room):
                call = self.client.submit(_work_on, work, common, unit, *given, pure=False)
                waiting[call.key] = key, call

        self._look()
        try:
            send()
            while waiting:
                calls = [call for _, call in waiting.values()]
                try:
                    ready = distributed.wait(calls, _POLL, return_when='FIRST_COMPLETED').done
                except TimeoutError:
                    ready = ()
                except CancelledError as error:
                    raise ConnectionError(f'{self.name}: {_LOST}') from error
                for call in ready:
                    yield waiting.pop(call.key)[0], self._outcome(call)
                if time.monotonic() - self._looked > _POLL:
                    self._look()
                    yield None
                send()
        finally:
            for _, call in waiting.values():
                call.cancel()

    def _outcome(self, call: Any) -> Any:
        """The result of a call, or its error."""
        distributed = load_distributed()
        if call.cancelled():
            raise ConnectionError(f'{self.name}: {_LOST}')
        error = call.exception()
        if error is None:
            return call.result()
        if isinstance(error, distributed.scheduler.KilledWorker):
            return ConnectionError(
                'every worker that began this work ended before its end, such as by a lack of '
                'memory; the logs of the workers have the reason'
            )
        return error

    def _look(self) -> None:
        """Which workers there are; those that are gone are told."""
        try:
            found = dict(self.client.nthreads())
        except (OSError, TimeoutError) as error:
            raise ConnectionError(f'{self.name}: {_LOST}') from error
        for address in self._workers.keys() - found.keys():
            self.tell(f'the worker at {address} is gone; its unfinished work is done again')
        self._workers, self._looked = found, time.monotonic()


@contextmanager
def cluster_at(
    place: str, tell: Callable[[str], object] = str, *, patience: float = _PATIENCE
) -> Iterator[Cluster]:
    """A connection to a cluster; a local one is started, and ended afterwards.

    Parameters
    ----------
    place : str
        Address of a scheduler, such as ``tcp://10.0.0.1:8786``, a scheduler file (``.json``), or
        ``local:N`` for N processes of this machine.
    tell : callable
        Is called with sentences for the user.
    patience : float
        Time to wait for a scheduler to answer, s.

    Raises
    ------
    InputError
        If the package distributed is missing, the place is none of these, or no scheduler answers.
    """
    distributed = load_distributed()
    count = local_count(place)
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        if count is not None:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else None
            threads = max(1, (cores or os.cpu_count() or 1) // count)
            own = distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                dashboard_address='127.0.0.1:0',
                silence_logs=logging.CRITICAL,
            )
            stack.enter_context(own)
            client = distributed.Client(own)
        else:
            threads = None
            is_file = place.endswith(SCHEDULER_FILE)
            if is_file and not Path(place).is_file():
                raise InputError(f'{place}: no such file; {_NEEDED}')
            given = {'scheduler_file': place} if is_file else {'address': place}
            try:
                client = distributed.Client(**given, timeout=patience)
            except (OSError, TimeoutError, ValueError) as error:
                raise InputError(f'{place}: no Dask scheduler answers; {_NEEDED}') from error
        stack.enter_context(client)
        yield Cluster(client, place, threads, tell)


def local_count(place: str) -> int | None:
    """Number of processes of ``local:N``; None for the address of a scheduler.

    Raises
    ------
    InputError
        If N is not a whole number of 1 or more.
    """
    if not place.startswith(LOCAL):
        return None
    number = place.removeprefix(LOCAL)
    if not number.isdecimal() or int(number) < 1:
        raise InputError(f'{place}: {LOCAL}N needs a number of processes, such as {LOCAL}4')
    return int(number)


def load_distributed() -> Any:
    """The package distributed.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        return importlib.import_module('distributed')
    except ImportError as error:
        raise InputError(
            '--scheduler needs the package distributed, which is not installed: '
            "pip install 'napari-noise2score[cluster]'"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """What is shared may be as large as a model; Dask warns of it."""
    dask = importlib.import_module('dask')
    with dask.config.set({'distributed.admin.large-graph-warning-threshold': '1 GiB'}):
        yield


def _same(shared: bytes) -> bytes:
    """What all units share, as a result: Dask computes it again where a worker is lost."""
    return shared


_ONE = threading.Lock()
"""A worker does one unit at a time, with all of its threads."""


def _work_on(
    work: Work, shared: bytes, unit: Any, wanted: dict[str, str], threads: int | None
) -> Any:
    """Do one unit, on a worker."""
    from napari_noise2score.score.threads import using

    distributed = load_distributed()
    different = {
        name: number for name, number in _versions().items() if number != wanted.get(name)
    }
    if different:
        theirs, ours = (
            ', '.join(f'{name} {numbers.get(name)}' for name in different)
            for numbers in (different, wanted)
        )
        raise InputError(
            f'a worker has {theirs}, but the process of the call {ours}; the same versions are '
            'needed for the same result'
        )
    with _ONE, using(threads or distributed.get_worker().state.nthreads):
        try:
            with keeping_freed():
                return work(shared, unit)
        finally:
            give_back()


class Remembered:
    """What a worker has made from shared bytes, for its next units.

    Parameters
    ----------
    make : callable
        Makes it from the bytes.
    """

    def __init__(self, make: Callable[[bytes], Any]) -> None:
        self._make = make
        self._known: tuple[str, Any] = '', None

    def of(self, shared: bytes) -> Any:
        """What is made from these bytes; made again only if they are others than the last."""
        digest = hashlib.sha256(shared).hexdigest()
        if self._known[0] != digest:
            self._known = digest, self._make(shared)
        return self._known[1]
