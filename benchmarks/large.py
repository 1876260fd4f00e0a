"""An OME-Zarr larger than the memory: peak memory, throughput, and the start of a training.

    python benchmarks/large.py [--gigabytes 64] [--side 2048] [--frames 16] [--seconds 60]
    python benchmarks/large.py --compared 0 --seconds 0      # only the peak memory

A movie is written once, and its shards are linked until it has so many gigabytes, so that it needs
little space on the disk. Then:

1. The command `denoise --seconds 0 --max-memory 1900M` on the first ``--frames`` of it: peak
   memory of all processes, and planes a minute.
2. ``--compared`` planes in parts and at once: pixels per second of a processor, and the ratio.
3. A training on all of it, and on a stack in memory: seconds from the start of the process to the
   first step, and steps per second; the ratio of the latter.

Each is a process of its own. On two cores this takes about a quarter of an hour for any number of
gigabytes; all planes of 64 GB would take days.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from napari_noise2score import TrainSettings, read_image
from napari_noise2score.images.formats import write_image, write_steps
from napari_noise2score.images.ome_zarr import write_ome_zarr
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.memory import in_words
from napari_noise2score.pipeline.results import Denoised, Estimated, Progress
from napari_noise2score.pipeline.run import denoise_steps, train_steps
from napari_noise2score.progress import finish
from napari_noise2score.settings import DenoiseSettings

LIMIT = '1900M'
"""2 GB are 1907 MiB."""
COMMAND = 'import sys; from napari_noise2score.cli import main; sys.exit(main(sys.argv[1:]))'


def large_image(path: Path, gigabytes: float, side: int) -> int:
    """Write an image (T, Y, X) uint16 of so many gigabytes; returns the number of its planes."""
    planes = max(8, round(gigabytes * 2**30 / (2 * side**2)))
    stack = synthetic_stack('nuclei', frames=1, size=min(side, 512), seed=1)
    tile = -(-side // len(stack.truth))
    truth = np.tile(stack.truth, (tile, tile))[:side, :side]
    shard = max(1, (1 << 26) // (2 * (-(-side // 512) * 512) ** 2))
    rng = np.random.default_rng(1)
    movie = np.empty((min(shard, planes), side, side), np.uint16)
    for frame in movie:  # the noise is new everywhere: repeated noise would be waves
        frame[:] = np.clip(np.rint(stack.noise.sample(truth, rng)), 0, 65535)
    write_ome_zarr(path, movie, 'TYX')
    for level in (one for one in path.iterdir() if one.is_dir()):
        metadata = json.loads((level / 'zarr.json').read_text())
        per_shard = metadata['chunk_grid']['configuration']['chunk_shape'][0]
        metadata['shape'][0] = planes
        (level / 'zarr.json').write_text(json.dumps(metadata))
        for number in range(1, -(-planes // per_shard)):
            for file in (level / 'c' / '0').rglob('*'):
                if file.is_file():
                    link = level / 'c' / str(number) / file.relative_to(level / 'c' / '0')
                    link.parent.mkdir(parents=True, exist_ok=True)
                    os.link(file, link)
    return planes


def measured(command: list[str]) -> tuple[str, int, float]:
    """What a command prints, the peak memory of its processes, bytes, and its seconds."""
    begin, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile('w+') as output:
        process = psutil.Popen(command, stdout=output)
        while process.poll() is None:
            try:
                every = [process, *process.children(recursive=True)]
                peak = max(peak, sum(one.memory_info().rss for one in every))
            except psutil.Error:  # one has just ended
                pass
            time.sleep(0.05)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        output.seek(0)
        return output.read(), peak, time.perf_counter() - begin


def part(path: str, frames: int) -> ImageSource:
    """The first planes of the image."""
    image = read_image(path)
    frames = min(frames, image.data.shape[0])
    return ImageSource(image.data, image.axes, 'large').part(Region({'T': (0, frames)}))


def settings(seconds: float) -> DenoiseSettings:
    return DenoiseSettings(training=TrainSettings(seconds=seconds, device='cpu'))


def written(path: str, frames: int, *, in_parts: bool, output: Path) -> dict[str, Any]:
    """Denoise planes with the weights that ship, and write them: pixels per processor second."""
    source, begin = part(path, frames), 0.0
    for event in denoise_steps([source], settings(0), on_demand=in_parts, keep_levels=False):
        if isinstance(event, Estimated):
            begin = time.process_time()
        if isinstance(event, Denoised) and in_parts:
            record = partial(dict, event.report)
            finish(write_steps(output, event.image, source.axes, record=record))
        elif isinstance(event, Denoised):
            write_image(output, event.image, source.axes, record=event.report)
    return {'pixels_per_second': source.size / (time.process_time() - begin)}


def trained(path: str, frames: int, seconds: float, *, in_memory: bool) -> dict[str, Any]:
    """Train on the image: seconds to the first step, and steps for each second after that."""
    source = part(path, frames)
    if in_memory:
        every = tuple(slice(side) for side in source.shape)
        source = ImageSource(source.read(every), source.axes, 'stack')
    first, step, at = math.nan, 0, 0.0
    for event in train_steps([source], settings(seconds)):
        if isinstance(event, Progress) and event.training is not None and event.training.step:
            if math.isnan(first):
                first = time.time() - psutil.Process().create_time()
                at = event.training.seconds
            step, last = event.training.step, event.training.seconds
    rate = (step - 1) / (last - at) if step > 1 else math.nan
    return {'first_step': first, 'steps_per_second': rate}


def child(task: str, *arguments: object) -> tuple[dict[str, Any], int]:
    """Do a task in a process of its own; its outcome and peak memory."""
    texts = map(str, arguments)
    text, peak, _ = measured([sys.executable, __file__, '--child', task, *texts])
    return json.loads(text), peak


def do(task: str, path: str, *more: str) -> dict[str, Any]:
    """The task of a child."""
    if task in ('parts', 'whole'):
        return written(path, int(more[0]), in_parts=task == 'parts', output=Path(more[1]))
    return trained(path, int(more[0]), float(more[1]), in_memory=task == 'stack')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--gigabytes', type=float, default=64.0)
    parser.add_argument('--side', type=int, default=2048)
    parser.add_argument('--frames', type=int, default=16)
    parser.add_argument('--compared', type=int, default=4)
    parser.add_argument('--in-memory', type=int, default=16, help='planes of the training stack')
    parser.add_argument('--seconds', type=float, default=60.0)
    parser.add_argument('--folder', type=Path)
    parser.add_argument('--child', nargs='+')
    options = parser.parse_args()
    if options.child:
        print(json.dumps(do(*options.child)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        image, output = Path(folder, 'large.ome.zarr'), Path(folder, 'out.ome.zarr')
        planes = large_image(image, options.gigabytes, options.side)
        size = in_words(2 * planes * options.side**2)
        print(f'{planes} planes of {options.side} x {options.side}, {size}', flush=True)
        shown = ['--seconds', '0', '--device', 'cpu', '--max-memory', LIMIT]
        call = [sys.executable, '-c', COMMAND, 'denoise', str(image), *shown]
        region = ['--region', f'T0:{min(planes, options.frames)}']
        _, peak, seconds = measured([*call, *region, '--output', str(output)])
        done = min(planes, options.frames)
        print(
            f'{done} planes: {in_words(peak)} at most, {60 * done / seconds:.1f} planes a minute'
        )
        rates = {}
        for task in ('whole', 'parts') if options.compared else ():
            found, peak = child(task, image, options.compared, Path(folder, f'{task}.ome.zarr'))
            rates[task] = found['pixels_per_second']
            print(f'{task}: {rates[task] / 1e6:.3f} Mpx per processor second', flush=True)
        if rates:
            print(f'parts / whole: {rates["parts"] / rates["whole"]:.2f}')
        steps = {}
        trainings = ('stack', options.in_memory), ('large', planes)
        for task, count in trainings if options.seconds else ():
            found, peak = child(task, image, count, options.seconds)
            steps[task] = found['steps_per_second']
            print(
                f'training, {task}: first step after {found["first_step"]:.1f} s, '
                f'{steps[task]:.2f} steps/s, {in_words(peak)} at most',
                flush=True,
            )
        if steps:
            print(f'large / stack: {steps["large"] / steps["stack"]:.2f}')


if __name__ == '__main__':
    main()
