"""How much faster several devices of one machine are than one of them.

A training and a prediction of a synthetic stack, with the first of the devices alone and with all
of them. For the training the table has the steps per second after the first steps, and the seconds
until the first step, in which the processes start; for the prediction the planes per second. More
patches in a step (``--batch``) give each device more to do.

    python benchmarks/devices.py --devices cuda:all --batch 8 64
    python benchmarks/devices.py --devices cpu,cpu --steps 20 --side 256 --planes 4
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import torch

from napari_noise2score import TrainSettings, prepare
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.pipeline.prepared import PreparedChannel
from napari_noise2score.progress import finish
from napari_noise2score.score.device import choose_devices
from napari_noise2score.score.predict import predict_clean
from napari_noise2score.score.pretraining.weights import warm_start
from napari_noise2score.score.train import train

FIRST = 3
"""Steps that are not counted: libraries choose their algorithms in them."""
VIEWS = 8


def training(
    channels: Sequence[PreparedChannel], device: str, batch: int, count: int
) -> tuple[float, float]:
    """Seconds until the first step, and steps per second after the first ones."""
    settings = TrainSettings(
        seconds=None, steps=10 * (count + FIRST), batch=batch, device=device, frames=False
    )
    begin = time.perf_counter()
    steps = train(channels, settings)
    next(steps)
    start = time.perf_counter() - begin
    for _ in range(FIRST - 1):
        next(steps)
    begin = time.perf_counter()
    for _ in range(count):
        next(steps)
    seconds = time.perf_counter() - begin
    steps.close()
    return start, count / seconds


def prediction(channel: PreparedChannel, device: str) -> float:
    """Planes per second, with all views."""
    for planes in (range(1), None):  # the first call loads libraries
        begin = time.perf_counter()
        finish(
            predict_clean(warm_start(), channel, device=device, orientations=VIEWS, only=planes)
        )
    return channel.shape[0] / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument(
        '--devices', default='cuda:all', help='several devices (default: cuda:all)'
    )
    parser.add_argument('--batch', type=int, nargs='+', default=[8], help='patches in a step')
    parser.add_argument('--steps', type=int, default=200, help='steps that are timed')
    parser.add_argument('--side', type=int, default=1024, help='height and width of a plane')
    parser.add_argument('--planes', type=int, default=32, help='number of planes')
    options = parser.parse_args()
    devices = choose_devices(options.devices)
    first = str(devices[0])
    stack = synthetic_stack('nuclei', frames=options.planes, size=options.side)
    channels = prepare(stack.noisy, 'TYX', device=first).channels
    names = [torch.cuda.get_device_name(one) for one in devices if one.type == 'cuda']
    print(f'{options.devices}: {len(devices)} devices {", ".join(names)}'.rstrip())
    print(f'{options.planes} planes of {options.side} x {options.side} pixels\n')
    print('| | device | s until the first step | per second | times as many |')
    print('|---|---|---|---|---|')
    for batch in options.batch:
        alone = 0.0
        for device in (first, options.devices):
            start, speed = training(channels, device, batch, options.steps)
            alone = alone or speed
            label = f'steps of {batch} patches'
            print(f'| {label} | {device} | {start:.1f} | {speed:.2f} | {speed / alone:.2f} |')
    alone = 0.0
    for device in (first, options.devices):
        speed = prediction(channels[0], device)
        alone = alone or speed
        print(f'| planes, {VIEWS} views | {device} | | {speed:.3f} | {speed / alone:.2f} |')


if __name__ == '__main__':
    main()
