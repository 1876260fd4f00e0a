"""Blind noise estimates against the truth.

    python benchmarks/noise_estimate.py                 # synthetic: light levels x read noise
    python benchmarks/noise_estimate.py --stacks FOLDER # real stacks with ground truth

Real stacks: the reference is a line fitted to the variance of (noisy - truth), binned by the
truth. These lines bend, so the reference depends on the weights; two are given: every pixel the
same (ordinary least squares on pixels), and pixels by the inverse of their squared variance.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stacks import stacks

from napari_noise2score import PoissonGaussian, estimate_noise
from napari_noise2score.images.synthetic import synthetic_stack

PHOTONS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
READ_NOISE = (0.0, 1.0, 2.0, 5.0)
GAIN, OFFSET = 3.0, 50.0


def synthetic(frames: int, size: int) -> None:
    print(f'{frames} x {size} x {size} frames of nuclei, gain {GAIN:g}, offset {OFFSET:g}')
    print('photons: at the brightest pixel; read noise in photons; errors of the estimates')
    print(f'{"photons":>8s} {"read":>5s} {"gain":>8s} {"offset":>9s} {"read noise":>11s}  family')
    for photons in PHOTONS:
        for read in READ_NOISE:
            truth = PoissonGaussian(GAIN, OFFSET, read * GAIN)
            stack = synthetic_stack(
                'nuclei', frames=frames, size=size, photons=photons, noise=truth, seed=1
            )
            fit = estimate_noise(stack.noisy).family
            if isinstance(fit, PoissonGaussian):
                gain = f'{100 * (fit.gain / GAIN - 1):+.1f} %'
                offset = f'{fit.offset - OFFSET:+.2f}'
                noise = f'{(fit.read_noise / GAIN - read):+.2f}'
            else:
                gain = offset = noise = '-'
            print(
                f'{photons:8g} {read:5g} {gain:>8s} {offset:>9s} {noise:>11s}  {fit}', flush=True
            )


def reference(noisy: NDArray[np.uint8], truth: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Gain and offset of the two reference lines."""
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


def real(folder: Path) -> None:
    print(f'{"stack":18s} {"blind gain, offset":>20s} {"single frame":>18s}   reference lines')
    for name, noisy, truth in stacks(folder):
        fits = [estimate_noise(noisy).family, estimate_noise(noisy[0]).family]
        blind = [
            f'{f.slope:8.2f} {-f.intercept / f.slope:8.2f}' if f.slope else str(f) for f in fits
        ]
        lines = '   '.join(f'{g:6.2f} {o:6.2f}' for g, o in reference(noisy, truth))
        print(f'{name:18s} {blind[0]:>20s} {blind[1]:>18s}   {lines}', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--stacks', type=Path)
    parser.add_argument('--frames', type=int, default=16)
    parser.add_argument('--size', type=int, default=512)
    options = parser.parse_args()
    real(options.stacks) if options.stacks else synthetic(options.frames, options.size)


if __name__ == '__main__':
    main()
