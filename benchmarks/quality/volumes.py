"""Slice by slice beside a network that sees the other slices, on real z-stacks with added noise.

    python benchmarks/quality/volumes.py A.tif B.tif --photons 20 --output volumes.json

The stacks (Z, Y, X), as clean as they can be had, take the place of the truth: their 0.1st
percentile becomes 2 % of the photons at their 99.9th, and photon and read noise is added. What
they have of noise themselves counts as an error of every method alike.

PSNR in dB, range from the 0.1st to the 99.9th percentile of the truth.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tifffile
from movies import Method, nd_safir, ours, psnr
from numpy.typing import NDArray
from results import Record, Results, add_run_options, mean, settings_of, table, train_settings

from napari_noise2score.noise.families import PoissonGaussian

CAMERA = PoissonGaussian(gain=3.0, offset=100.0, read_noise=3.0)
DARK = 0.02
"""Photons at the darkest places, relative to the brightest."""


METHODS: dict[str, tuple[str, Method]] = {
    'ours': ('ours, each slice alone', ours('none', 'ZYX')),
    'context': ('ours, sees the other slices', ours('depth', 'ZYX')),
    'ndsafir': ('ndsafir', nd_safir),
}


def lit(stack: NDArray[np.floating], photons: float) -> NDArray[np.float64]:
    """The grey levels that a camera would record without noise, (Z, Y, X)."""
    low, high = np.percentile(stack, [0.1, 99.9])
    share = np.clip((stack - low) / (high - low), 0, None)
    return CAMERA.offset + CAMERA.gain * photons * (DARK + (1 - DARK) * share)


def render(records: Sequence[Record]) -> str:
    """Stacks down, methods across."""
    of = {(one['stack'], one['method']): one for one in records}
    names, methods = (list(dict.fromkeys(key[n] for key in of)) for n in range(2))
    rows: list[list[object]] = []
    for key, label in (('psnr', ''), ('wall_seconds', ', wall seconds')):
        for name in names:
            cells = (of.get((name, method), {}).get(key) for method in methods)
            rows.append([f'{name}{label}', *cells])
    means = (mean(of.get((name, method), {}).get('psnr') for name in names) for method in methods)
    rows.insert(len(names), ['mean', *means])
    return 'PSNR in dB, range of the truth.\n\n' + table(['stack', *methods], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('stacks', type=Path, nargs='+')
    parser.add_argument('--photons', type=float, default=20.0, help='at the brightest places')
    parser.add_argument('--slices', type=int, default=32, help='of each, from the middle')
    parser.add_argument('--methods', default=','.join(METHODS), help='comma-separated')
    add_run_options(parser)
    options = parser.parse_args()
    chosen = options.methods.split(',')
    if unknown := set(chosen) - set(METHODS):
        parser.error(f'--methods {", ".join(sorted(unknown))}: known are {", ".join(METHODS)}')
    results = Results(render, settings_of(options), options.device, options.output)
    for path in options.stacks:
        stack = tifffile.imread(path).astype(np.float64)
        first = max(0, (len(stack) - options.slices) // 2)
        truth = lit(stack[first : first + options.slices], options.photons)
        sampled = CAMERA.sample(truth, np.random.default_rng(options.seed))
        noisy = np.clip(np.round(sampled), 0, None).astype(np.uint16)
        results.add({'stack': path.stem, 'method': 'noisy', 'psnr': psnr(noisy, truth)})
        for key in chosen:
            label, method = METHODS[key]
            if key == 'ndsafir' and find_spec('ndsafir') is None:
                continue
            begin = time.perf_counter()
            clean = method(noisy, train_settings(options))
            seconds = time.perf_counter() - begin
            record: Record = {'stack': path.stem, 'method': label, 'wall_seconds': seconds}
            results.add({**record, 'psnr': psnr(clean.astype(np.float64), truth)})
    results.show()


if __name__ == '__main__':
    main()
