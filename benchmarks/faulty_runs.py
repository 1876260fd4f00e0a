"""Processes of the command line that meet a fault, for `faults.py`. Needs Linux."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

LIMIT = 120.0
"""Seconds after which a process is ended."""

# From linux/fanotify.h and linux/fcntl.h.
_CLASS_CONTENT, _ACCESS_PERM, _MARK_ADD, _ALLOW, _CWD = 4, 0x20000, 1, 1, -100
_EVENT = struct.Struct('<IBBHQii')


def is_root() -> bool:
    """Whether disks can be mounted, and the reading of files be watched."""
    return hasattr(os, 'geteuid') and os.geteuid() == 0


@dataclass(slots=True)
class Run:
    """A process, what it says, and what is done to it.

    Attributes
    ----------
    happens : callable, optional
        Is called once while the process waits: when a line comes for which ``moment`` is true, or,
        with ``file``, when the process first reads this file after that line.
    moment : callable
        Takes a line of the process.
    file : Path, optional
        The file.
    ends : callable, optional
        Is called while the process waits, when a line comes for which ``told`` is true.
    told : callable
        Takes a line that comes after ``happens``.
    """

    happens: Callable[[], object] | None = None
    moment: Callable[[str], bool] = lambda line: False
    file: Path | None = None
    ends: Callable[[], object] | None = None
    told: Callable[[str], bool] = lambda line: False
    status: int = 0
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    happened: bool = False
    _waiting: bool = False

    def run(self, words: list[str]) -> None:
        """Run a command to its end."""
        pipes: dict[str, Any] = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE}
        with subprocess.Popen(words, text=True, **pipes) as process, ExitStack() as stack:
            killer = threading.Timer(LIMIT, process.kill)
            killer.start()
            stack.callback(killer.cancel)
            readers = []
            for stream, lines in ((process.stdout, self.out), (process.stderr, self.err)):
                arguments = process, stream, lines, stack
                readers.append(threading.Thread(target=self._listen, args=arguments))
                readers[-1].start()
            for reader in readers:
                reader.join()
            self.status = process.wait()
        if self.ends is not None:
            self.ends()

    def _listen(
        self,
        process: subprocess.Popen[str],
        stream: IO[str],
        lines: list[str],
        stack: ExitStack,
    ) -> None:
        for line in stream:
            lines.append(line.rstrip('\n'))
            if self.happened and self.ends is not None and self.told(line):
                with stopped(process):
                    self.ends()
            if self.happens is not None and not self._waiting and self.moment(line):
                self._waiting = True
                with stopped(process):
                    if self.file is None:
                        self._happen()
                    else:
                        stack.enter_context(on_reading(self.file, process.pid, self._happen))

    def _happen(self) -> None:
        assert self.happens is not None
        self.happens()
        self.happened = True


@contextmanager
def stopped(process: subprocess.Popen[str]) -> Iterator[None]:
    """Let a process wait."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@contextmanager
def on_reading(path: Path, reader: int, action: Callable[[], object]) -> Iterator[None]:
    """Call an action when a process first reads a file; it waits for the end of the action."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.fanotify_init(_CLASS_CONTENT, os.O_RDONLY | os.O_CLOEXEC)
    mask = ctypes.c_uint64(_ACCESS_PERM)
    if handle < 0 or libc.fanotify_mark(handle, _MARK_ADD, mask, _CWD, os.fsencode(path)):
        raise OSError(ctypes.get_errno(), 'fanotify is not possible', str(path))
    over = threading.Event()

    def answer() -> None:
        pending = True
        while not over.is_set():
            if not select.select([handle], [], [], 0.05)[0]:
                continue
            for *_, file, process in _EVENT.iter_unpack(os.read(handle, 64 * _EVENT.size)):
                if pending and process == reader:
                    pending = False
                    action()
                os.write(handle, struct.pack('<iI', file, _ALLOW))
                os.close(file)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        os.close(handle)


@contextmanager
def disk(folder: Path, size: int) -> Iterator[None]:
    """A disk of so many bytes."""
    folder.mkdir(parents=True)
    options = ['-t', 'tmpfs', '-o', f'size={size}', 'tmpfs']
    subprocess.run(['mount', *options, str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(['umount', str(folder)], check=True)


def fill(folder: Path, left: int) -> None:
    """Fill the disk of a folder, but for so many bytes."""
    free = os.statvfs(folder)
    with (folder / 'filler').open('wb') as file:
        file.write(bytes(free.f_bavail * free.f_frsize - left))


def remount(folder: Path, how: str) -> bool:
    """Mount a disk in another way; False if that is not possible now."""
    call = ['mount', '-o', f'remount,{how}', str(folder)]
    return subprocess.run(call, capture_output=True).returncode == 0
