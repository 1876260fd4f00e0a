"""Synthetic noise with known parameters on grey photographs, through the command line.

    python benchmarks/quality/set12.py SET12 --seconds 0
    python benchmarks/quality/set12.py SET12 --seconds 60 --noises gaussian25,poisson0.01

For each kind of noise all images go to one call of ``denoise``, with their true parameters: one
score is trained on the noisy images together, and there is no other image to learn from.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import tifffile
from fmd import COMMAND_LINE
from noisy import TEST, Image, add_noise, read
from published import EXPERIMENTS, Experiment
from results import Record, Results, add_run_options, mean, settings_of, table
from scores import psnr

DEFAULT = 'gaussian25,gaussian50,poisson0.01,poisson0.05'


def measure(experiment: Experiment, clean: list[Image], options: argparse.Namespace) -> Record:
    """Mean PSNR of one kind of noise, before and after."""
    noisy = add_noise(clean, experiment.noise, options.seed, TEST)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = [folder / f'{number:02d}.tif' for number in range(len(noisy))]
        for path, image in zip(sources, noisy, strict=True):
            tifffile.imwrite(path, image.astype('float32'), metadata={'axes': 'YX'})
        out, report = folder / 'clean', folder / 'report.json'
        call = [sys.executable, '-c', COMMAND_LINE, 'denoise', *map(str, sources)]
        call += ['--axes', 'YX', '--output', str(out), '--report', str(report)]
        call += ['--noise', experiment.noise.name, '--correlation', 'none']
        for key, value in experiment.noise.parameters().items():
            call += ['--' + key.replace('_', '-'), repr(float(value))]
        for key in ('seconds', 'steps', 'device', 'seed'):
            value = getattr(options, key)
            call += [] if value is None else [f'--{key}', str(value)]
        begin = time.perf_counter()
        run = subprocess.run([*call, '--init', options.init], capture_output=True, text=True)
        wall = time.perf_counter() - begin
        if run.returncode:
            raise SystemExit(f'denoise failed ({run.returncode}): {run.stderr.strip()[-400:]}')
        found = [tifffile.imread(out / path.name) for path in sources]
        records = json.loads(report.read_text(encoding='utf-8'))['images']
    each = [psnr(got, x, 1.0) for got, x in zip(found, clean, strict=True)]
    return {
        'noise': experiment.label,
        'noisy': mean(psnr(y, x, 1.0, clip=False) for y, x in zip(noisy, clean, strict=True)),
        'psnr': mean(each),
        'each': each,
        'published': experiment.set12[0],
        'training_steps': records[0]['training']['steps_done'],
        'wall_seconds': wall,
    }


def render(records: Sequence[Record]) -> str:
    """One row for each kind of noise, beside Noise2Score's."""
    keys = ('noise', 'noisy', 'psnr', 'published', 'training_steps', 'wall_seconds')
    head = ['noise', 'noisy, dB', 'ours, dB', 'Noise2Score (published), dB', 'steps', 'wall s']
    return (
        'Mean PSNR in dB, range 1, clipped to 0..1; parameters known. Noise2Score as published: '
        'trained on DIV2K and BSD400.\n\n'
    ) + table(head, [[one[key] for key in keys] for one in records])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, help='grey images as PNG or TIFF, 8 bit')
    parser.add_argument('--noises', default=DEFAULT, help='comma-separated')
    parser.add_argument('--init', default='warm', help='what the training starts from')
    add_run_options(parser)
    options = parser.parse_args()
    clean = read(options.folder)
    results = Results(render, settings_of(options), options.device, options.output)
    for name in options.noises.split(','):
        if name not in EXPERIMENTS:
            parser.error(f'--noises {name}: known are {", ".join(EXPERIMENTS)}')
        results.add(measure(EXPERIMENTS[name], clean, options))
    results.show()


if __name__ == '__main__':
    main()
