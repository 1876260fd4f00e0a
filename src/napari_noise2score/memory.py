"""Available memory, a limit of it, and the message of an error if it is not sufficient."""

from __future__ import annotations

import ctypes
import gc
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_GROUPS = Path('/proc/self/cgroup')
_CONTROL = Path('/sys/fs/cgroup')
_NO_MEMORY = ('out of memory', 'not enough memory', "can't allocate memory")
"""Words in the messages of devices and of the CPU allocator, on Windows and other systems."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of the options in glibc's ``malloc.h``."""
_LARGEST_KEPT = 256 << 20
"""Bytes of the largest block that is kept: the features of a large tile are 32 MiB and more."""
_USUAL = 32 << 20
"""Bytes of the largest block that glibc keeps by itself; it keeps twice that in all."""
_ALL = 2**31 - 1
"""Free memory that is kept at most: the largest number that ``mallopt`` takes."""
_BEYOND = 1.1
"""Part of its limit from which a program is stopped."""
_SELDOM = 0.1
"""Least time between two looks at the memory, seconds."""
_REST = 10.0
"""Least time between two attempts to give free memory back, seconds."""


class MemoryLimitError(Exception):
    """The program uses clearly more memory than it may."""


class MemoryLimit:
    """A limit of the memory of this process, which is set for some time.

    What can be larger or smaller asks `spare`, and `check` stops work that passes the limit all
    the same.
    """

    def __init__(self) -> None:
        self._most: int | None = None
        self._next = self._again = 0.0

    @contextmanager
    def of(self, most: int | None) -> Iterator[None]:
        """Set the limit, bytes; None for none."""
        before, self._most = self._most, most
        try:
            yield
        finally:
            self._most = before

    def spare(self) -> int:
        """Bytes that this process may still use: those that are free, within the limit."""
        free = available()
        return free if self._most is None else max(0, min(free, self._most - used()))

    def check(self) -> None:
        """Raise `MemoryLimitError` if more than a tenth beyond the limit is used.

        Memory that is free already, but was not given back to the system, is given back first.
        """
        now = time.perf_counter()
        if self._most is None or now < self._next:
            return
        self._next = now + _SELDOM
        held = used()
        if held > self._most and (now >= self._again or held > _BEYOND * self._most):
            give_back()
            held, self._again = used(), now + _REST
        if held > _BEYOND * self._most:
            raise MemoryLimitError(
                f'memory: {in_words(held)} are used, but --max-memory is {in_words(self._most)}'
            )


def used() -> int:
    """Bytes of memory of this process."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def give_back() -> None:
    """Give memory that is free in this process back to the system, where that can be asked for."""
    gc.collect()
    trim()


def trim() -> None:
    """As `give_back`, of what is free by now, in any thread; takes some milliseconds."""
    give = _of_glibc('malloc_trim')
    if give is not None:
        give(0)


class _Users:
    """How many parts of the program use `keeping_freed` now."""

    def __init__(self) -> None:
        # a generator that is collected meanwhile may end its use in the thread that holds it
        self.count, self.lock = 0, threading.RLock()


_USERS = _Users()


@contextmanager
def keeping_freed() -> Iterator[None]:
    """Let this process use freed memory again instead of asking the system for it each time.

    A network needs and frees the same memory many times a second. Glibc keeps what is freed, but
    not blocks of 32 MiB and more, and next to nothing where ``MALLOC_TRIM_THRESHOLD_`` is set, as
    Dask does for its workers: then up to a third of the time goes into new pages. When the last
    part of the program has ended this, the memory is given back.
    """
    with _USERS.lock:
        _USERS.count += 1
        if _USERS.count == 1:
            _keep(_LARGEST_KEPT, _ALL)
    try:
        yield
    finally:
        with _USERS.lock:
            _USERS.count -= 1
            if not _USERS.count:
                _keep(_USUAL, 2 * _USUAL)
                trim()


def _keep(block: int, free: int) -> None:
    """The largest block of memory that is kept when it is freed, and how much in all, bytes."""
    option = _of_glibc('mallopt')
    if option is not None:
        option(_MMAP_THRESHOLD, block) or option(_MMAP_THRESHOLD, _USUAL)  # as old versions take
        option(_TRIM_THRESHOLD, free)


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of the C library; None if it has none of this name."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == 'linux' else None


LIMIT = MemoryLimit()
"""The limit of this process."""


def ran_out(error: BaseException) -> bool:
    """Whether an error means that the memory of a device or of the computer is not sufficient."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY)


def shortage(error: BaseException) -> str:
    """Message for an error that `ran_out` detects, with the needed and the free memory."""
    text = str(error)
    request = re.search(r'allocate ([\d.]+) ?([KMGTPE]i?B|bytes)', text)
    needed = 'more was needed'
    if request is not None:
        needed = f'{in_words(_bytes(*request.groups()))} more were needed'
    if any(word in text for word in ('CUDA', 'HIP', 'MPS')):
        return f'not enough memory on the graphics card: {needed}; use --device cpu'
    return (
        f'not enough memory: {needed}, but only {in_words(available())} are free; process a '
        'part of the image with --region, or close other programs'
    )


def _bytes(number: str, unit: str) -> float:
    power = 0 if unit == 'bytes' else 'BKMGTPE'.index(unit[0])
    return float(number) * float(1024**power)


def available(groups: Path = _GROUPS, control: Path = _CONTROL) -> int:
    """Bytes that this process can still allocate: the free memory, within the limits.

    Control groups of the process are read from the file ``groups`` and the folder ``control``.
    """
    return min([_free(), *_left_by_limits(groups, control)])


def total(groups: Path = _GROUPS, control: Path = _CONTROL) -> int:
    """Bytes of memory of the machine, or of the smallest limit of the control groups.

    The parameters are those of `available`.
    """
    import psutil

    limits = [_number(folder / most) for folder, most, _ in _groups(groups, control)]
    machine = int(psutil.virtual_memory().total)
    return min([machine, *(limit for limit in limits if limit is not None)])


def address_space() -> int | None:
    """Bytes of address space that ``ulimit -v`` leaves to this process; None without a limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    import psutil

    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return None
    return max(0, most - int(psutil.Process().memory_info().vms))


def _free() -> int:
    """Bytes that are free without affecting other programs, swap space included."""
    import psutil

    with warnings.catch_warnings():  # about values that are not used here
        warnings.simplefilter('ignore', RuntimeWarning)
        return int(psutil.virtual_memory().available + psutil.swap_memory().free)


def _left_by_limits(groups: Path, control: Path) -> list[int]:
    """Bytes that each limit of this process and of its control groups leaves."""
    left = [address for address in [address_space()] if address is not None]
    for folder, most, now in _groups(groups, control):
        limit, used = _number(folder / most), _number(folder / now)
        if limit is not None and used is not None:
            left.append(max(0, limit - used + _file_cache(folder)))
    return left


def _groups(groups: Path, control: Path) -> list[tuple[Path, str, str]]:
    """Control groups of this process and their parents, with the files of limit and use."""
    if not groups.is_file():  # not Linux
        return []
    found: list[tuple[Path, str, str]] = []
    for line in groups.read_text(encoding='utf-8', errors='replace').splitlines():
        _, controllers, path = line.split(':', 2)
        if controllers == '':
            top, names = control, ('memory.max', 'memory.current')
        elif 'memory' in controllers.split(','):
            names = 'memory.limit_in_bytes', 'memory.usage_in_bytes'
            top = control / 'memory'
        else:
            continue
        own = top / path.lstrip('/')
        found += [(folder, *names) for folder in (own, *own.parents) if folder.is_relative_to(top)]
    return found


def _file_cache(folder: Path) -> int:
    """Bytes of a group that only cache files; the system frees them when they are needed."""
    try:
        lines = (folder / 'memory.stat').read_text(encoding='ascii').split('\n')
    except OSError:
        return 0
    stats = dict(line.split(' ', 1) for line in lines if ' ' in line)
    return sum(int(stats.get(name, 0)) for name in ('inactive_file', 'active_file'))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding='ascii'))
    except (OSError, ValueError):  # no such file, or "max"
        return None


def in_words(size: float) -> str:
    """A number of bytes with a unit for the user."""
    for unit in ('bytes', 'KiB', 'MiB', 'GiB'):
        if size < 1000:
            return f'{_short(size)} {unit}'
        size /= 1024
    return f'{_short(size)} TiB'


def _short(size: float) -> str:
    return f'{size:.1f}' if size < 10 and size != int(size) else f'{size:.0f}'
