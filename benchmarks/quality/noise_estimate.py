"""Blind noise estimates against the truth: synthetic stacks, and real ones with ground truth.

    python benchmarks/quality/noise_estimate.py FOLDER --output noise_estimate.md
    python benchmarks/quality/noise_estimate.py             # synthetic: light levels x read noise

Real stacks: the reference is a line fitted to the variance of (noisy - truth), binned by the
truth. These lines bend, so the reference depends on the weights; two are given: every pixel the
same (ordinary least squares on pixels), and pixels by the inverse of their squared variance.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from results import Record, Results, add_output, settings_of, table
from scores import stacks

from napari_noise2score import PoissonGaussian, estimate_noise
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.families import NoiseFamily

PHOTONS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
READ_NOISE = (0.0, 1.0, 2.0, 5.0)
GAIN, OFFSET = 3.0, 50.0


def synthetic(photons: float, read: float, options: argparse.Namespace) -> Record:
    """Errors of the estimate from nuclei, ``photons`` at the brightest pixel.

    The error of the gain is in percent, the others are in photons.
    """
    truth = PoissonGaussian(GAIN, OFFSET, read * GAIN)
    stack = synthetic_stack(
        'nuclei', frames=options.frames, size=options.size, photons=photons, noise=truth, seed=1
    )
    fit = estimate_noise(stack.noisy).family
    record: Record = {'photons': photons, 'read noise': read, 'found': fit.name}
    if isinstance(fit, PoissonGaussian):
        record['gain'] = 100 * (fit.gain / GAIN - 1)
        record['offset'] = (fit.offset - OFFSET) / GAIN
        record['read noise, error'] = fit.read_noise / GAIN - read
    return record


def reference(noisy: NDArray[np.uint8], truth: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Gain and offset of the two reference lines: all pixels alike, then weighted."""
    square = ((noisy - truth) ** 2).mean(axis=0).ravel()
    level = truth.ravel()
    unclipped = (noisy < 255).all(axis=0).ravel()
    square, level = square[unclipped], level[unclipped]
    order = np.unique(level)
    mean = np.array([square[level == value].mean() for value in order])
    count = np.array([(level == value).sum() for value in order])
    lines = []
    for weight in (np.sqrt(count), np.sqrt(count) / mean.clip(mean.mean() / 50)):
        slope, intercept = np.polyfit(order, mean, 1, w=weight)
        lines.append((slope, -intercept / slope))
    return lines


def real(name: str, noisy: NDArray[np.uint8], truth: NDArray[np.float64]) -> Record:
    """Gain, and level where the noise variance would be zero, blind and of the references."""
    alike, weighted = reference(noisy, truth)
    return {
        'stack': name,
        'all frames': _line(estimate_noise(noisy).family),
        'one frame': _line(estimate_noise(noisy[0]).family),
        'weighted': weighted,
        'alike': alike,
    }


def _line(fit: NoiseFamily) -> tuple[float, float] | str:
    if isinstance(fit, PoissonGaussian):
        return fit.gain, fit.offset - fit.read_noise**2 / fit.gain
    return str(fit)


def render(records: Sequence[Record]) -> str:
    """Real stacks, then synthetic ones."""
    text = ''
    if found := [one for one in records if 'stack' in one]:
        text += 'Gain, and level at which the line of the noise variance is zero.\n\n'
        lines = 'all frames', 'one frame', 'weighted', 'alike'
        head = ['stack', 'blind, all frames', 'blind, one frame']
        head += ['reference, weighted', 'reference, alike']
        rows = [[one['stack'], *(_pair(one[line]) for line in lines)] for one in found]
        text += table(head, rows)
        text += '\n\n'
    text += 'Synthetic nuclei, photons at the brightest pixel and read noise in photons: error of '
    text += 'the gain, of the offset and of the read noise.\n\n'
    head = ['photons', 'read noise', 'gain, %', 'offset, photons', 'read noise, photons', 'found']
    rows = [
        [
            *(f'{one[key]:g}' for key in ('photons', 'read noise')),
            *(_signed(one.get(key)) for key in ('gain', 'offset', 'read noise, error')),
            one['found'],
        ]
        for one in records
        if 'stack' not in one
    ]
    return text + table(head, rows)


def _pair(value: Sequence[float] | str) -> str:
    return value if isinstance(value, str) else f'{value[0]:.2f}, {value[1]:.1f}'


def _signed(value: float | None) -> str:
    return '' if value is None else f'{value:+.2f}'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, nargs='?', help='NAME.tif beside NAME_gt.tif')
    parser.add_argument('--frames', type=int, default=16, help='of a synthetic stack')
    parser.add_argument('--size', type=int, default=512, help='of a synthetic frame, pixels')
    parser.add_argument('--photons', default=','.join(f'{p:g}' for p in PHOTONS))
    add_output(parser)
    options = parser.parse_args()
    results = Results(render, settings_of(options), 'cpu', options.output)
    if options.folder is not None:
        for stack in stacks(options.folder):
            results.add(real(*stack))
    for photons in map(float, options.photons.split(',')):
        for read in READ_NOISE:
            results.add(synthetic(photons, read, options))
    results.show()


if __name__ == '__main__':
    main()
