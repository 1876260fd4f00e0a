"""Other Python processes of this machine that work together with this one.

They are started as programs, not with `multiprocessing`: a script that starts them needs no
``if __name__ == '__main__'``. Orders and replies go through pipes. When this process ends, also if
it is killed, the pipe of the orders is closed; then the others end, whatever they are doing.
"""

from __future__ import annotations

import logging
import mmap
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from napari_noise2score.errors import (
    CheckpointError,
    InputError,
    TrainingError,
    one_line,
)

_PROGRAM = (
    'import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); '
    'from napari_noise2score.score.processes import main; main()'
)
_PATIENCE = 10.0
"""Time in which a process has to end, s; after it, the process is killed."""
_LOCK = type(threading.Lock())
_CUT_SHORT = (EOFError, pickle.UnpicklingError)
"""Errors of a pipe whose other end was closed."""
_OURS = (CheckpointError, InputError, TrainingError)
"""Errors whose text needs no name of their class."""


class LostError(RuntimeError):
    """Another process has ended, and this one cannot continue without it."""


class Link:
    """The pipes of a process to the process that started it.

    Parameters
    ----------
    orders, replies : binary streams
        Pipe from that process, and pipe to it.
    """

    def __init__(self, orders: BinaryIO, replies: BinaryIO) -> None:
        self._orders, self._replies = orders, replies
        self._received: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                order = pickle.load(self._orders)
            except EOFError:
                os._exit(0)
            except Exception as error:  # noqa: BLE001 (what is sent may raise anything)
                self.fail(error)
                os._exit(1)
            self._received.put(order)

    def receive(self) -> Any:
        """Wait for the next order."""
        return self._received.get()

    def send(self, reply: Any) -> None:
        """Send a reply."""
        self._write(True, reply)

    def fail(self, error: BaseException) -> None:
        """Send the reason why this process ends, in one line."""
        text = one_line(error)
        if not isinstance(error, _OURS):
            text = f'{type(error).__name__}: {text}'.removesuffix(': ')
        with suppress(OSError):  # the first process may have ended
            self._write(False, text)

    def _write(self, good: bool, value: Any) -> None:
        pickle.dump((good, value), self._replies)
        self._replies.flush()


Work: TypeAlias = Callable[[Link], None]
"""The work of a process. It is sent to the process as bytes."""


class Packer(pickle.Pickler):
    """Writes a value as bytes; of an array that is a map of a whole file, only where it is.

    Locks, which images with a cache have, are replaced by new ones.
    """

    def reducer_override(self, value: Any) -> Any:
        """How to make a value again."""
        source: Any = getattr(value, 'base', None)
        if isinstance(value, np.memmap) and isinstance(source, mmap.mmap):
            if value.filename is None or value.mode == 'c':  # its changes are not in the file
                return NotImplemented
            order = 'C' if value.flags.c_contiguous else 'F'
            place = value.filename, value.dtype, 'r', value.offset, value.shape, order
            return np.memmap, place
        return (threading.Lock, ()) if isinstance(value, _LOCK) else NotImplemented


class Processes:
    """Processes of this machine, as a context: they are started at its beginning.

    At the end of the context they are ended, whatever they are doing.

    Parameters
    ----------
    works : sequence of callables
        The work of each process.
    names : sequence of str
        Their names in messages.
    """

    def __init__(self, works: Sequence[Work], names: Sequence[str]) -> None:
        self._works, self._names = works, names
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Processes:
        try:
            for _ in self._works:  # all of them load PyTorch at the same time
                self._processes.append(
                    subprocess.Popen(
                        [sys.executable, '-c', _PROGRAM],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                    )
                )
            for process, work in zip(self._processes, self._works, strict=True):
                self._send(process, sys.path)
                self._send(process, work)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def alive(self) -> list[int]:
        """Identifiers of the processes that have not ended."""
        return [process.pid for process in self._processes if process.poll() is None]

    def order(self, order: Any) -> None:
        """Send an order to all.

        Raises
        ------
        TrainingError
            If one of them has ended.
        """
        for process in self._processes:
            self._send(process, order)

    def replies(self) -> list[Any]:
        """Wait for the next reply of each.

        Raises
        ------
        TrainingError
            If one of them has failed, or has ended without a reply.
        """
        found = []
        for process in self._processes:
            try:
                good, reply = pickle.load(_stream(process.stdout))
            except _CUT_SHORT:
                raise self.failure() from None
            if not good:
                raise self.failure(reply, process)
            found.append(reply)
        return found

    def failure(
        self, reason: str = '', failed: subprocess.Popen[bytes] | None = None
    ) -> TrainingError:
        """End all, and give the reason of the first one that failed.

        ``reason`` is that of the process ``failed``, if it was received already.
        """
        self._end()
        for name, process in zip(self._names, self._processes, strict=True):
            words = reason if process is failed else _reason(process)
            if words:
                return TrainingError(f'the process of {name} failed: {words}')
        return TrainingError('the processes of several devices have lost their connection')

    def close(self) -> None:
        """End all."""
        self._end()
        for process in self._processes:
            _stream(process.stdout).close()

    def _end(self) -> None:
        """End all; those that do not end soon are killed."""
        for process in self._processes:
            with suppress(OSError):  # it has ended, and has not read all that was sent
                _stream(process.stdin).close()
        for process in self._processes:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _send(self, process: subprocess.Popen[bytes], value: Any) -> None:
        try:
            Packer(_stream(process.stdin), pickle.HIGHEST_PROTOCOL).dump(value)
            _stream(process.stdin).flush()
        except OSError:
            raise self.failure() from None
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise InputError(
                f'the images cannot be sent to the processes of several devices '
                f'({one_line(error)}); give one device, or save the images as '
                'OME-Zarr or uncompressed TIFF'
            ) from error


def _stream(stream: Any) -> Any:
    """A pipe of a process; all of them have been opened."""
    assert stream is not None
    return stream


def _reason(process: subprocess.Popen[bytes]) -> str:
    """Why a process that has ended failed; empty if it did not."""
    while True:
        try:
            good, value = pickle.load(_stream(process.stdout))
        except _CUT_SHORT:
            break
        if not good:
            return str(value)
    status = process.returncode
    if not status:
        return ''
    return f'ended by signal {-status}' if status < 0 else f'ended with status {status}'


def main() -> None:
    """What such a process does: receive its work and do it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process decides what Ctrl-C means
    logging.disable(logging.WARNING)  # the first process gives the same warnings
    replies = os.fdopen(os.dup(sys.stdout.fileno()), 'wb')
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what libraries print
    link = Link(sys.stdin.buffer, replies)
    status = 0
    try:
        link.receive()(link)
    except LostError:
        pass
    except Exception as error:  # noqa: BLE001 (the first process raises it)
        link.fail(error)
        status = 1
    os._exit(status)
