"""Many short trainings from different seeds: does one of them fail?

    python benchmarks/quality/trainings.py FOLDER --types A,B,C [--seeds 12] [--seconds 20]

A training has failed that ends near the raw image: within 1 dB of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from results import Record, Results, add_run_options, mean, settings_of, table, train_settings
from scores import psnr, stacks

from napari_noise2score import DenoiseSettings, TrainingError, TrainSettings, denoise

NEAR_RAW = 1.0


def trained(
    name: str, noisy: NDArray[np.uint8], truth: NDArray[np.float64], training: TrainSettings
) -> Record:
    """One training, of which one view is scored."""
    raw = psnr(noisy, truth)
    record: Record = {'stack': name, 'seed': training.seed, 'noisy': raw}
    settings = DenoiseSettings(training=training, orientations=1, context='none')
    try:
        result = denoise(noisy, 'TYX', settings, name=name)
    except TrainingError as error:
        return {**record, 'failed': True, 'error': str(error)}
    found = result.model.training
    reached = psnr(result.image, truth)
    counts = {key: found[key] for key in ('steps_done', 'restarts', 'skipped_steps')}
    return {**record, 'failed': reached < raw + NEAR_RAW, 'psnr': reached, **counts}


def render(records: Sequence[Record]) -> str:
    """One row for each stack, over its seeds."""
    rows: list[list[object]] = []
    for name in dict.fromkeys(one['stack'] for one in records):
        of = [one for one in records if one['stack'] == name]
        reached = [one['psnr'] for one in of if 'psnr' in one]
        ends = [min(reached), mean(reached), max(reached)] if reached else [None] * 3
        counts = [
            len(of),
            sum(one['failed'] for one in of),
            sum(one.get('restarts', 0) > 0 for one in of),
            sum(one.get('skipped_steps', 0) for one in of),
        ]
        rows.append([name, of[0]['noisy'], *ends, *counts])
    head = ['stack', 'noisy, dB', 'lowest', 'mean', 'highest', 'trainings', 'failed', 'restarted']
    return 'PSNR in dB of one view, by seed.\n\n' + table([*head, 'skipped steps'], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, help='NAME.tif and NAME_gt.tif pairs')
    parser.add_argument('--types', default='all', help='names of stacks, with commas')
    parser.add_argument('--seeds', type=int, default=12)
    add_run_options(parser)
    options = parser.parse_args()
    results = Results(render, settings_of(options), options.device, options.output)
    for stack in stacks(options.folder, options.types):
        for seed in range(options.seed, options.seed + options.seeds):
            results.add(trained(*stack, replace(train_settings(options), seed=seed)))
    results.show()


if __name__ == '__main__':
    main()
