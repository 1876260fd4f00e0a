"""The losses side by side: the same network, stacks and time for each.

    python benchmarks/losses.py FOLDER [--types A,B] [--losses A,B] [--seconds 20] [--seed 0]

PSNR as in `stacks.py`; "steps" are gradient steps in that time, so a loss that takes longer for a
step pays for it. With ``--steps`` every loss gets that many steps instead.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stacks import psnr, stacks

from napari_noise2score import TrainSettings
from napari_noise2score.images.source import ImageSource
from napari_noise2score.pipeline.correct import correct_image
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.pipeline.stages import score_image_steps, train_score_steps
from napari_noise2score.progress import finish
from napari_noise2score.score.loss import LOSSES


def train_and_correct(
    prepared: Prepared, settings: TrainSettings
) -> tuple[NDArray[np.float32], int, float]:
    """Clean image, gradient steps, seconds of training."""
    begin = time.perf_counter()
    model = finish(train_score_steps([prepared], settings))
    seconds = time.perf_counter() - begin
    image = correct_image(finish(score_image_steps(model, prepared))).image
    return image, model.training['steps_done'], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='NAME.tif and NAME_gt.tif pairs')
    parser.add_argument('--types', default='all', help='names of stacks, with commas')
    parser.add_argument('--losses', default=','.join(LOSSES), help='names, with commas')
    parser.add_argument('--seconds', type=float, default=20.0, help='training time of each')
    parser.add_argument('--steps', type=int, help='gradient steps of each, instead of a time')
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    limit = {'seconds': None if options.steps else options.seconds, 'steps': options.steps}
    print(f'{"stack":18s} {"loss":16s} {"raw":>6s} {"psnr":>6s} {"sec":>6s} {"steps/s":>8s}')
    for name, noisy, truth in stacks(options.folder, options.types):
        prepared, raw = model_noise(ImageSource(noisy, 'TYX', name)), psnr(noisy, truth)
        for loss in options.losses.split(','):
            settings = TrainSettings(**limit, loss=loss, seed=options.seed)
            image, steps, seconds = train_and_correct(prepared, settings)
            print(
                f'{name:18s} {loss:16s} {raw:6.2f} {psnr(image, truth):6.2f} {seconds:6.1f} '
                f'{steps / seconds:8.1f}',
                flush=True,
            )


if __name__ == '__main__':
    main()
