"""Slice by slice, and with the other slices as context, on a synthetic z-stack.

``python benchmarks/synthetic_volume.py --seconds 60``, and ``--seconds 0`` without a training;
``--no-redraw`` learns by perturbation alone, which few photons lead astray.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.local_score import Correction
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.settings import DenoiseSettings, TrainSettings

PHOTONS, BACKGROUND = 25.0, 1.0
GAIN, OFFSET, READ_NOISE = 2.0, 100.0, 1.5
AXIAL, LATERAL = 1.6, 1.15
"""Blur along z and in the plane, standard deviations in slices and pixels."""
_BORDER = 8

Volume = NDArray[np.float64]


def filaments(depth: int, size: int, seed: int) -> Volume:
    """Curved filaments through a volume (Z, Y, X), blurred; 0 to 1."""
    rng = np.random.default_rng(seed)
    volume = np.zeros((depth + 2 * _BORDER, size, size))
    for _ in range(110):
        length = int(2 * rng.uniform(0.4, 1.1) * size)
        turn = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.03, length))
        steps = 0.5 * np.stack(
            [0.2 * np.cumsum(rng.normal(0, 0.03, length)), np.sin(turn), np.cos(turn)]
        )
        path = rng.uniform(0, volume.shape)[:, None] + np.cumsum(steps, axis=1)
        places = np.round(path).astype(int)
        inside = ((places >= 0) & (places < np.array(volume.shape)[:, None])).all(0)
        np.add.at(volume, tuple(places[:, inside]), rng.uniform(0.5, 1.2))
    sharp = ndimage.gaussian_filter(volume, (AXIAL, LATERAL, LATERAL))
    hazy = ndimage.gaussian_filter(volume, (2 * AXIAL, 3, 3))
    image = (sharp + 0.5 * hazy)[_BORDER:-_BORDER]
    image = np.tanh(0.9 * image / np.quantile(image, 0.995))
    return image / image.max()


def psnr(image: NDArray[np.floating], clean: Volume) -> float:
    """Peak signal to noise, dB; the peak is that of `filaments`."""
    return float(10 * np.log10((GAIN * PHOTONS) ** 2 / np.mean((image - clean) ** 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--context', nargs='+', default=['none', 'depth'])
    parser.add_argument('--seconds', type=float)
    parser.add_argument('--steps', type=int)
    parser.add_argument('--depth', type=int, default=16)
    parser.add_argument('--size', type=int, default=192)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--no-redraw', action='store_true')
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed + 1)
    photons = BACKGROUND + PHOTONS * filaments(options.depth, options.size, options.seed)
    clean = OFFSET + GAIN * photons
    noisy = OFFSET + GAIN * rng.poisson(photons) + rng.normal(0, READ_NOISE, photons.shape)
    print(
        '| context | PSNR | first and last slice | steps | delivered | s in all |\n'
        '|---|---|---|---|---|---|'
    )
    ends = psnr(noisy[[0, -1]], clean[[0, -1]])
    print(f'| noisy | {psnr(noisy, clean):.2f} | {ends:.2f} | | | |')
    for context in options.context:
        begin = time.perf_counter()
        training = TrainSettings(options.seconds, options.steps, redraw=not options.no_redraw)
        settings = DenoiseSettings(
            training=training, correction=Correction.STABILISED, context=context, orientations=2
        )
        result = denoise(noisy.astype(np.float32), 'ZYX', settings)
        ends = psnr(result.image[[0, -1]], clean[[0, -1]])
        print(
            f'| {context} | {psnr(result.image, clean):.2f} | {ends:.2f} '
            f'| {result.model.training["steps_done"]} '
            f'| {result.model.training["delivered_step"]} | {time.perf_counter() - begin:.0f} |',
            flush=True,
        )


if __name__ == '__main__':
    main()
