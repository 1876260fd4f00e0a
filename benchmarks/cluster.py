"""A cluster of two local workers, one of them killed in the middle, against a single process.

An image of several channels is denoised three times with the pretrained weights and eight views:
by one process, by ``--scheduler local:2``, and again with one worker ended by SIGKILL when the
first shard is written. For each the table has the SHA-256 of all shards, the seconds, and the
processor seconds of all processes. The overhead compares seconds, and processor seconds, of the
second call with the first; start of the workers included.

    python benchmarks/cluster.py --channels 6 --side 1024
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from napari_noise2score import write_image
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.score.pretraining.weights import warm_start

POLL = 0.05


@dataclass(frozen=True)
class Call:
    """Result of one call."""

    checksum: str
    seconds: float
    processor_seconds: float
    killed: int | None


def scene(channels: int, side: int) -> np.ndarray:
    """Noisy image (C, Y, X), 16 bit; channels differ."""
    frames = synthetic_stack('nuclei', frames=channels, size=side).noisy
    return np.clip(frames, 0, 65535).astype(np.uint16)


def checksum(store: Path) -> str:
    """SHA-256 of the names and contents of all shards."""
    digest = hashlib.sha256()
    for file in sorted(store.glob('*/c/**/*')):
        if file.is_file():
            digest.update(str(file.relative_to(store)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def call(folder: Path, output: str, *more: str, kill: bool = False) -> Call:
    """Denoise the image of a folder; with ``kill``, end a worker after the first shard."""
    before, begin = used(), time.perf_counter()
    # a program in a file: processes that are started run it again
    command = [sys.executable, str(folder / 'command.py'), 'apply', 'model.safetensors']
    command += ['in.ome.zarr', '--output', output, '--device', 'cpu', *more]
    process = subprocess.Popen(command, cwd=folder)
    killed = kill_a_worker(process, lambda: any(folder.glob('.*.part/0/c/*'))) if kill else None
    if process.wait():
        raise SystemExit(f'{" ".join(command)} failed')
    seconds = time.perf_counter() - begin
    return Call(checksum(folder / output), seconds, used() - before, killed)


def used() -> float:
    """Processor seconds of all child processes that have ended."""
    times = resource.getrusage(resource.RUSAGE_CHILDREN)
    return times.ru_utime + times.ru_stime


def kill_a_worker(process: subprocess.Popen[bytes], due: Callable[[], bool]) -> int | None:
    """Kill the first worker of a call when it is due; None if the call ended before."""
    while not due():
        if process.poll() is not None:
            return None
        time.sleep(POLL)
    workers = [
        child.pid
        for child in psutil.Process(process.pid).children(recursive=True)
        if any('spawn_main' in word for word in child.cmdline())
    ]
    os.kill(workers[0], signal.SIGKILL)
    return workers[0]


def told(title: str, one: Call) -> Call:
    """Print the row of a call."""
    numbers = f'{one.seconds:8.1f} {one.processor_seconds:18.1f}'
    print(f'{title:20} {numbers}  {one.checksum[:16]}', flush=True)
    return one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--channels', type=int, default=6)
    parser.add_argument('--side', type=int, default=1024)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / 'command.py').write_text(
            'import sys\n\nfrom napari_noise2score.cli import main\n\n'
            "if __name__ == '__main__':\n    sys.exit(main())\n"
        )
        write_image(folder / 'in.ome.zarr', scene(options.channels, options.side), 'CYX')
        warm_start().save(folder / 'model.safetensors')
        print('call                  seconds  processor seconds  SHA-256 of the shards')
        two = ('--scheduler', 'local:2')
        alone = told('one process', call(folder, 'one.ome.zarr'))
        cluster = told('local:2', call(folder, 'two.ome.zarr', *two))
        killed = told('local:2, one killed', call(folder, 'killed.ome.zarr', *two, kill=True))
    print(f'killed worker: process {killed.killed}')
    equal = alone.checksum == cluster.checksum == killed.checksum
    print(f'identical: {"yes" if equal else "NO"}')
    print(f'overhead in seconds: {100 * (cluster.seconds / alone.seconds - 1):.1f} %')
    used_more = cluster.processor_seconds / alone.processor_seconds - 1
    print(f'overhead in processor seconds: {100 * used_more:.1f} %')
    if not equal or killed.killed is None:
        sys.exit(1)


if __name__ == '__main__':
    main()
