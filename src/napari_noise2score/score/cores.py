"""How many processor cores this process may use.

PyTorch takes as many threads as the machine has cores. In a container that has a share of the
machine, as in clusters and in the cloud, the threads beyond that share are stopped for most of
the time, and those that run wait for them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_cores(root: Path = Path('/'), affinity: int | None = None) -> int | None:
    """Cores that this process may run on at once, 1 or more; None if nothing limits them.

    Parameters
    ----------
    root : path
        Where the system's files are.
    affinity : int, optional
        Cores that the process is bound to; asked of the system if not given.
    """
    if affinity is None and hasattr(os, 'sched_getaffinity'):
        affinity = len(os.sched_getaffinity(0))
    # half a core more is worth a thread more
    shares = [max(1, int(share + 0.5)) for share in _shares(root)]
    return min([*shares, *([] if affinity is None else [affinity])], default=None)


def _shares(root: Path) -> Iterator[float]:
    """Cores that the control groups of Linux allow, of this process and of those around it."""
    groups = root / 'sys/fs/cgroup'
    for line in _read(root / 'proc/self/cgroup').splitlines():
        if line.count(':') < 2:
            continue
        _, controllers, path = line.split(':', 2)
        if not controllers:  # version 2
            for folder in _around(groups, path):
                quota, period = [*_read(folder / 'cpu.max').split(), '', ''][:2]
                yield from _share(quota, period)
        elif 'cpu' in controllers.split(','):
            for folder in (*_around(groups / 'cpu', path), *_around(groups / controllers, path)):
                quota, period = (_read(folder / f'cpu.cfs_{n}_us') for n in ('quota', 'period'))
                yield from _share(quota.strip(), period.strip())


def _around(mount: Path, path: str) -> Iterator[Path]:
    """Folder of a group, and of all that it is in.

    A container sees itself at the root, and the path is that of the machine around it.
    """
    inner = PurePosixPath(path.lstrip('/'))
    yield mount / inner
    yield from (mount / outer for outer in inner.parents)


def _share(quota: str, period: str) -> Iterator[float]:
    """Quota and period in microseconds, ``max`` or -1 for no limit."""
    if quota.isdecimal() and period.isdecimal() and int(period) > 0:
        yield int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8', errors='replace')
    except OSError:  # other systems, and older ones
        return ''
