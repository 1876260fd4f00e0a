"""How much memory there is, and what is said where it does not suffice."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

_GROUPS = Path('/proc/self/cgroup')
_CONTROL = Path('/sys/fs/cgroup')
_NO_MEMORY = ('out of memory', 'not enough memory', "can't allocate memory")
"""Words of devices, and of the allocator of the CPU on Windows and elsewhere."""


def ran_out(error: BaseException) -> bool:
    """Whether an error says that the memory of a device, or of the machine, is used up."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY)


def shortage(error: BaseException) -> str:
    """What an error says that `ran_out` knows: how much was needed, how much there is."""
    text = str(error)
    found = re.search(r'allocate ([\d.]+) ?([KMGTPE]i?B|bytes)', text)
    needed = 'more was needed'
    if found is not None:
        needed = f'{in_words(_bytes(*found.groups()))} more were needed'
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
    """Bytes that this process may still take: what is free, and what limits leave of it.

    Control groups of the process are read from the file ``groups`` and the folder ``control``.
    """
    return min([_free(), *_left_by_limits(groups, control)])


def address_space() -> int | None:
    """Bytes of addresses that ``ulimit -v`` leaves this process; None if it has no limit."""
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
    """Bytes that can be had without other programs losing theirs, swap space included."""
    import psutil

    with warnings.catch_warnings():  # of figures that are not asked for
        warnings.simplefilter('ignore', RuntimeWarning)
        return int(psutil.virtual_memory().available + psutil.swap_memory().free)


def _left_by_limits(groups: Path, control: Path) -> list[int]:
    """What the limits of this process, and of the groups that it is in, leave, bytes each."""
    found = [address for address in [address_space()] if address is not None]
    for folder, most, now in _groups(groups, control):
        limit, used = _number(folder / most), _number(folder / now)
        if limit is not None and used is not None:
            found.append(max(0, limit - used + _file_cache(folder)))
    return found


def _groups(groups: Path, control: Path) -> list[tuple[Path, str, str]]:
    """Control groups of this process and those above, with the files of limit and use."""
    if not groups.is_file():  # another system than Linux
        return []
    found = []
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
    """Bytes of a group that only keep what files hold, and are given up when they are needed."""
    try:
        lines = (folder / 'memory.stat').read_text(encoding='ascii').split('\n')
    except OSError:
        return 0
    stats = dict(line.split(' ', 1) for line in lines if ' ' in line)
    return sum(int(stats.get(name, 0)) for name in ('inactive_file', 'active_file'))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding='ascii'))
    except (OSError, ValueError):  # not there, or "max"
        return None


def in_words(size: float) -> str:
    """A number of bytes, as people say it."""
    for unit in ('bytes', 'KiB', 'MiB', 'GiB'):
        if size < 1000:
            return f'{_short(size)} {unit}'
        size /= 1024
    return f'{_short(size)} TiB'


def _short(size: float) -> str:
    return f'{size:.1f}' if size < 10 and size != int(size) else f'{size:.0f}'
