"""Many short trainings from different seeds: does one of them fail?

    python benchmarks/trainings.py FOLDER --types A,B,C [--seeds 12] [--seconds 20]

A training has failed that ends near the raw image: within 1 dB of it. Prints every training and,
last, how many failed, restarted, or skipped steps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from stacks import psnr, stacks

from napari_noise2score import DenoiseSettings, TrainingError, TrainSettings, denoise

NEAR_RAW = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='NAME.tif and NAME_gt.tif pairs')
    parser.add_argument('--types', default='all', help='names of stacks, with commas')
    parser.add_argument('--seeds', type=int, default=12)
    parser.add_argument('--seconds', type=float, default=20.0)
    options = parser.parse_args()
    failed = restarted = skipped = count = 0
    for name, noisy, truth in stacks(options.folder, options.types):
        raw, reached = psnr(noisy, truth), []
        for seed in range(options.seeds):
            training = TrainSettings(seconds=options.seconds, seed=seed)
            settings = DenoiseSettings(training=training, orientations=1)
            count += 1
            try:
                result = denoise(noisy, 'TYX', settings, name=name)
            except TrainingError as error:
                failed += 1
                print(f'{name} seed {seed}: {error}', flush=True)
                continue
            record = result.model.training
            restarted += record['restarts'] > 0
            skipped += record['skipped_steps'] > 0
            reached.append(psnr(result.image, truth))
            failed += reached[-1] < raw + NEAR_RAW
            print(
                f'{name} seed {seed}: {reached[-1]:.2f} dB, {record["steps_done"]} steps, '
                f'delivered {record["delivered_step"]}',
                flush=True,
            )
        if reached:
            print(
                f'{name}: raw {raw:.2f}, {min(reached):.2f} to {max(reached):.2f}, '
                f'mean {np.mean(reached):.2f}'
            )
    print(f'{count} trainings: {failed} failed, {restarted} restarted, {skipped} skipped steps')


if __name__ == '__main__':
    main()
