"""Real stacks with ground truth, through the command line: PSNR, SSIM and seconds.

    python benchmarks/quality/fmd.py FOLDER --seconds 60
    python benchmarks/quality/fmd.py FOLDER --noise poisson --correction chained
    python benchmarks/quality/fmd.py FOLDER -- --gain 5 --offset 3      # options of `denoise`
    python benchmarks/quality/fmd.py FOLDER --sweep                      # other noise settings

FOLDER holds NAME.tif (T, Y, X) beside NAME_gt.tif (Y, X), 8 bit, as the FMD data set has it. The
program sees the noisy stack and nothing else. ``--sweep`` compares noise settings (`sweep`).
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

import numpy as np
import tifffile
from numpy.typing import NDArray
from results import Record, Results, add_run_options, mean, settings_of, table
from scores import psnr, ssim, stacks
from sweep import sweep

from napari_noise2score.noise.families import family_from_dict

COMMAND_LINE = 'import sys; from napari_noise2score.cli import main; sys.exit(main())'

# Noise2Noise, trained on pairs of 19 other fields of 50 captures, dB on single captures of this
# field (SFM, ECCV 2020, results_gpu.txt)
NOISE2NOISE = {
    'Confocal_BPAE_B': 39.14,
    'Confocal_BPAE_G': 33.96,
    'Confocal_BPAE_R': 37.92,
    'Confocal_FISH': 33.11,
    'Confocal_MICE': 38.35,
    'TwoPhoton_BPAE_B': 32.09,
    'TwoPhoton_BPAE_G': 32.00,
    'TwoPhoton_BPAE_R': 38.26,
    'TwoPhoton_MICE': 34.00,
    'WideField_BPAE_B': 36.20,
    'WideField_BPAE_G': 33.29,
    'WideField_BPAE_R': 35.55,
}


def command(noisy: Path, clean: Path, report: Path, options: argparse.Namespace) -> list[str]:
    """The call of the command line for one stack."""
    call = [sys.executable, '-c', COMMAND_LINE, 'denoise', str(noisy), '--axes', 'TYX']
    call += ['--output', str(clean), '--report', str(report)]
    call += ['--device', options.device, '--seed', str(options.seed)]
    call += ['--noise', options.noise, '--correction', options.correction]
    for name in ('seconds', 'steps'):
        value = getattr(options, name)
        call += [] if value is None else [f'--{name}', str(value)]
    return [*call, '--context', 'none', *options.further]


def denoise(
    noisy: NDArray[np.uint8], options: argparse.Namespace
) -> tuple[NDArray[np.float32], Record, float]:
    """Clean stack, report and wall seconds of the command line."""
    with tempfile.TemporaryDirectory() as folder:
        source, clean, report = (Path(folder) / n for n in ('in.tif', 'out.tif', 'report.json'))
        tifffile.imwrite(source, noisy, photometric='minisblack', metadata={'axes': 'TYX'})
        begin = time.perf_counter()
        run = subprocess.run(
            command(source, clean, report, options), capture_output=True, text=True
        )
        seconds = time.perf_counter() - begin
        if run.returncode:
            raise SystemExit(f'denoise failed ({run.returncode}): {run.stderr.strip()[-400:]}')
        return tifffile.imread(clean), json.loads(report.read_text(encoding='utf-8')), seconds


def score(
    name: str,
    noisy: NDArray[np.uint8],
    truth: NDArray[np.float64],
    options: argparse.Namespace,
) -> Record:
    """Scores of one stack."""
    clean, report, seconds = denoise(noisy, options)
    if clean.shape != noisy.shape:
        raise SystemExit(f'{name}: output shape is {clean.shape}, input shape {noisy.shape}')
    (channel,) = report['channels']
    return {
        'stack': name,
        'raw_psnr': psnr(noisy, truth),
        'psnr': psnr(clean, truth),
        'raw_ssim': ssim(noisy, truth),
        'ssim': ssim(clean, truth),
        'wall_seconds': seconds,
        'training_steps': report['training']['steps_done'],
        'noise': str(family_from_dict(channel['noise'])),
        'correction': report['correction'],
    }


NUMBERS = ('raw_psnr', 'psnr', 'raw_ssim', 'ssim', 'wall_seconds')


def render(records: Sequence[Record]) -> str:
    """Table of the scores."""
    head = ['stack', 'noisy, dB', 'ours, dB', 'noisy, SSIM', 'ours, SSIM', 'wall s', 'steps']
    head += ['Noise2Noise, dB', 'noise', 'correction']
    rows: list[list[object]] = []
    for one in records:
        numbers = [one[key] for key in NUMBERS]
        published = NOISE2NOISE.get(one['stack'])
        chosen = one['noise'], one['correction']
        rows.append([one['stack'], *numbers, one['training_steps'], published, *chosen])
    means = [mean(one[key] for one in records) for key in NUMBERS]
    published = mean(NOISE2NOISE.get(one['stack']) for one in records)
    rows.append(['mean', *means, None, published, None, None])
    return (
        'PSNR with a range of 255 and SSIM, clipped to 0..255, not rounded, mean over frames. '
        'Noise2Noise as published: trained on pairs of captures of 19 other fields.\n\n'
    ) + table(head, rows)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Options; what stands behind ``--`` goes to the command line as it is."""
    at = arguments.index('--') if '--' in arguments else len(arguments)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path)
    parser.add_argument('--types', default='all', help='comma-separated names, or all')
    parser.add_argument('--noise', default='auto')
    parser.add_argument('--correction', default='auto')
    parser.add_argument('--sweep', action='store_true', help='compare noise settings instead')
    add_run_options(parser)
    options = parser.parse_args(arguments[:at])
    options.further = list(arguments[at + 1 :])
    told = options.further or (options.noise, options.correction) != ('auto', 'auto')
    if options.sweep and told:
        parser.error('--sweep has its own noise settings; give none')
    return options


def main() -> None:
    options = parse(sys.argv[1:])
    if options.sweep:
        sweep(options)
        return
    results = Results(render, settings_of(options), options.device, options.output)
    for name, noisy, truth in stacks(options.folder, options.types):
        results.add(score(name, noisy, truth, options))
    results.show()


if __name__ == '__main__':
    main()
