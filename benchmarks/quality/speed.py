"""Pixels a second: from noisy to clean, beside CAREamics' Noise2Void in the same run.

    python benchmarks/quality/speed.py
    python benchmarks/quality/speed.py --frames 16 --size 512 --seconds 10

The stack is synthetic. A prediction is all that comes after the training, with the default number
of views: what the other frames say is weighted, the form of the correction selected, and the
clean image computed; the faster of two counts. What a training gives does not matter here, so it
is short. Noise2Void comes first: later the process would use its memory as ours asks for it, which
makes Noise2Void faster than it is by itself. The share of the peak is that of the convolutions
which cannot be avoided, those of all pixels in all views; the peak is a convolution of 64 features
alone, the faster of before and after.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from noise2void import trained
from numpy.typing import NDArray
from peers import PEERS
from results import Record, Results, add_output, settings_of, table
from torch.utils.flop_counter import FlopCounterMode

from napari_noise2score import (
    DenoiseSettings,
    TrainSettings,
    correct_image,
    prepare,
    score_image,
    train_score,
)
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.score.context import PLANES
from napari_noise2score.score.device import choose_device
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.precision import Precision
from napari_noise2score.score.pretraining.weights import warm_start, warm_start_with_context
from napari_noise2score.settings import Context

NOISE2VOID = PEERS['n2v']
TILES = {'tile_size': (256, 256), 'tile_overlap': (48, 48)}
FEATURES, SIDE = 64, 256
"""Of the convolution that is taken for the peak."""


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and the seconds that it takes."""
    begin = time.perf_counter()
    found = work()
    return found, time.perf_counter() - begin


def fastest(work: Callable[[], Any]) -> float:
    """The seconds that it takes, the least of two."""
    return min(timed(work)[1] for _ in range(2))


def peak(device: str) -> float:
    """GFLOP/s of a convolution of 3 x 3 pixels, in the precision that is used on a device."""
    where = choose_device(device)
    layer = torch.nn.Conv2d(FEATURES, FEATURES, 3, padding=1)
    layer = layer.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(1, FEATURES, SIDE, SIDE, device=where)
    x = x.to(memory_format=torch.channels_last)

    def work() -> float:
        return float(layer(x)[0, 0, 0, 0])  # waits for a GPU

    with torch.no_grad(), Precision(where).of(layer):
        work()
        seconds = min(timed(work)[1] for _ in range(20))
    return 2 * (3 * FEATURES * SIDE) ** 2 / seconds / 1e9


def flops(model: ScoreModel, channels: int) -> float:
    """FLOP of a pixel of a plane."""
    z, one = torch.zeros(1, channels, SIDE, SIDE), torch.ones(1, 1, SIDE, SIDE)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.network(z, torch.zeros(1, 1, 1, 1), one)
    return counter.get_total_flops() / SIDE**2


def ours(prepared: Prepared, context: Context, options: argparse.Namespace) -> Iterator[Record]:
    """Before and after a training."""
    pixels = prepared.source.size
    work = flops(warm_start(), 1)
    if context is not Context.NONE:
        work += flops(warm_start_with_context(), 1 + PLANES)
    for seconds in (0.0, options.seconds):
        training = TrainSettings(seconds=seconds, device=options.device)
        views = DenoiseSettings(training=training).views(pixels)
        model = train_score(prepared, training, context=context)

        def result(model: ScoreModel = model, views: int = views) -> Any:
            score = score_image(
                model, prepared, device=options.device, orientations=views, context=context
            )
            return correct_image(score)

        spent = fastest(result)
        yield {
            'program': 'ours' if context is Context.NONE else 'ours, sees the other frames',
            'trained': training.trains,
            'views': views,
            'seconds': spent,
            'pixels': pixels,
            'flops': work * views,
        }


def noise2void(noisy: NDArray[Any], options: argparse.Namespace) -> Iterator[Record]:
    """In whole frames and in tiles."""
    about = {'program': NOISE2VOID.label, 'trained': True, 'pixels': noisy.size}
    if NOISE2VOID.missing is not None:
        yield {**about, 'missing': NOISE2VOID.missing}
        return
    training = TrainSettings(seconds=options.seconds, device=options.device)
    with trained(noisy, training) as (predict, _):
        for tiles in ({}, TILES):
            spent = fastest(lambda tiles=tiles: predict(**tiles))
            yield {**about, 'tiles': bool(tiles), 'seconds': spent}


def render(records: Sequence[Record]) -> str:
    """One row for each program, before and after a training."""
    whole = [
        one['pixels'] / one['seconds']
        for one in records
        if one['program'] == NOISE2VOID.label and one.get('tiles') is False
    ]
    top = max((one['peak'] for one in records if 'peak' in one), default=None)
    rows: list[list[object]] = []
    for one in records:
        if 'seconds' not in one:
            continue
        rate = one['pixels'] / one['seconds']
        share = None if top is None or 'flops' not in one else one['flops'] * rate / 1e9 / top
        label = one['program'] + (', tiles of 256' if one.get('tiles') else '')
        rows.append(
            [
                label,
                'yes' if one['trained'] else 'no',
                one.get('views'),
                one.get('estimate_seconds'),
                one['seconds'],
                rate / 1e6,
                rate / whole[0] if whole else None,
                None if share is None else f'{share:.0%}',
            ]
        )
    head = ['program', 'trained', 'views', 'noise estimate, s', 'prediction, s', 'Mpixel/s']
    text = '' if top is None else f'A convolution alone: {top:.0f} GFLOP/s.\n\n'
    text += table([*head, 'times Noise2Void', 'share of the peak'], rows)
    missing = [f'* {one["program"]}: {one["missing"]}' for one in records if 'missing' in one]
    return '\n\n'.join([text, *missing])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--frames', type=int, default=16)
    parser.add_argument('--size', type=int, default=512, help='height and width, pixels')
    parser.add_argument('--seconds', type=float, default=10.0, help='training time')
    parser.add_argument('--device', default='cpu', choices=('auto', 'cpu', 'cuda', 'mps'))
    add_output(parser)
    options = parser.parse_args()
    stack = synthetic_stack('nuclei', frames=options.frames, size=options.size)
    noisy = stack.noisy.astype(np.uint16)
    results = Results(render, settings_of(options), options.device, options.output)
    results.add({'program': 'a convolution', 'peak': peak(options.device)})
    for record in noise2void(noisy, options):
        results.add(record)
    prepared, estimate = timed(lambda: prepare(noisy, 'TYX', device=options.device))
    for context in (Context.NONE, Context.TIME):
        for record in ours(prepared, context, options):
            results.add({**record, 'estimate_seconds': estimate})
    results.add({'program': 'a convolution', 'peak': peak(options.device)})
    results.show()


if __name__ == '__main__':
    main()
