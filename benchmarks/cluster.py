"""A cluster of two local workers, one of them killed in the middle, against a single process.

An image of several channels is denoised three times with the pretrained weights and eight views:
by one process, by a Dask cluster of two workers that are ready (``--scheduler ADDRESS``), and
again with one worker ended by SIGKILL when the first shard is written. For each the table has the
SHA-256 of all shards, the seconds, and the processor seconds of all processes. The overhead
compares the second call with the first. The start of the workers is a row of its own.

    python benchmarks/cluster.py --channels 6 --side 1024
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import distributed
import numpy as np
import psutil

from napari_noise2score import write_image
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.score.pretraining.weights import warm_start

COMMAND = 'import sys; from napari_noise2score.cli import main; sys.exit(main())'
POLL = 0.05
ENVIRONMENT = dict(os.environ)
"""Of the calls: Dask changes that of this process for its workers, such as OMP_NUM_THREADS."""


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


class Processor:
    """Processor seconds of the calls, of the workers, and of the scheduler in this process."""

    def __init__(self, cluster: distributed.LocalCluster | None) -> None:
        self._cluster = cluster
        self._before, self.workers = own_seconds(), self._of_workers()

    def _of_workers(self) -> dict[int, float]:
        found = {}
        for nanny in () if self._cluster is None else self._cluster.workers.values():
            times = psutil.Process(nanny.pid).cpu_times()
            found[nanny.pid] = times.user + times.system
        return found

    @property
    def seconds(self) -> float:
        """Since the start of the measurement; without what a killed worker had used."""
        workers = self._of_workers()
        spent = (now - self.workers.get(pid, 0.0) for pid, now in workers.items())
        return own_seconds() - self._before + sum(spent)


def own_seconds() -> float:
    """Processor seconds of this process, and of its child processes that have ended."""
    kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    times = [resource.getrusage(kind) for kind in kinds]
    return sum(one.ru_utime + one.ru_stime for one in times)


def call(
    folder: Path, output: str, cluster: distributed.LocalCluster | None = None, kill: bool = False
) -> Call:
    """Denoise the image of a folder; with ``kill``, end a worker after the first shard."""
    processor, begin = Processor(cluster), time.perf_counter()
    command = [sys.executable, '-c', COMMAND, 'apply', 'model.safetensors', 'in.ome.zarr']
    command += ['--output', output, '--device', 'cpu']
    command += [] if cluster is None else ['--scheduler', cluster.scheduler_address]
    process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT)
    killed = None
    if cluster is not None and kill:
        first_shard = partial(folder.glob, '*.unfinished/image/0/c/*')
        killed = kill_a_worker(cluster, process, lambda: any(first_shard()))
    if process.wait():
        raise SystemExit(f'{" ".join(command)} failed')
    seconds = time.perf_counter() - begin
    return Call(checksum(folder / output), seconds, processor.seconds, killed)


def kill_a_worker(
    cluster: distributed.LocalCluster, process: subprocess.Popen[bytes], due: Callable[[], bool]
) -> int | None:
    """Kill a worker when it is due; None if the call ended before."""
    while not due():
        if process.poll() is not None:
            return None
        time.sleep(POLL)
    pid: int = next(iter(cluster.workers.values())).pid
    os.kill(pid, signal.SIGKILL)
    return pid


@contextmanager
def ready_workers() -> Iterator[distributed.LocalCluster]:
    """Two workers that have imported what they need."""
    processor, begin = Processor(None), time.perf_counter()
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address='127.0.0.1:0'
    ) as cluster:
        with distributed.Client(cluster) as client:
            client.run(importlib.import_module, 'napari_noise2score.cluster.planes')
        seconds = time.perf_counter() - begin
        new = Processor(cluster)
        spent = processor.seconds + sum(new.workers.values())
        print(f'{"start of the workers":20} {seconds:8.1f} {spent:18.1f}', flush=True)
        yield cluster


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
        write_image(folder / 'in.ome.zarr', scene(options.channels, options.side), 'CYX')
        warm_start().save(folder / 'model.safetensors')
        print('call                  seconds  processor seconds  SHA-256 of the shards')
        alone = told('one process', call(folder, 'one.ome.zarr'))
        with ready_workers() as workers:
            cluster = told('two workers', call(folder, 'two.ome.zarr', workers))
            killed = told('one of them killed', call(folder, 'killed.ome.zarr', workers, True))
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
