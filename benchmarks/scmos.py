"""A camera whose pixels differ: what do maps of its dark frames give over single numbers?

    python benchmarks/scmos.py [--scenes nuclei,filaments] [--size 256] [--seconds 0] [--dark 100]

Synthetic scenes of 2 to 32 photons a pixel on an sCMOS camera (gain 2, offset 100 with a standard
deviation of 3 between pixels, read noise log-normal with the median 2.4 grey levels and the 99th
percentile 30 times that), rounded to whole numbers: one frame and a movie of 4, denoised by the
weights that ship, or after a training. Offset and read noise come from dark frames, the gain from
the image. For each: the gain (2 is true) with maps and with single numbers; the variance of
``(y_i - o_i - x_i) / sqrt(gain x_i + s_i^2)`` by decile of the map of read noise, with the clean
result in the place of ``x`` and, in brackets, the least and largest of the deciles with the truth,
the residual variance in the report, and that in the report of a camera of equal pixels;
PSNR with maps, with single numbers, with single numbers and the true gain, and of a camera of
which every pixel is like the median one; and seconds with maps and with single numbers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rows import Array, psnr

from napari_noise2score import (
    DenoiseSettings,
    PoissonGaussian,
    TrainSettings,
    calibrate,
    denoise,
)
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.request import NoiseRequest

GAIN, OFFSET, READ_NOISE = 2.0, 100.0, 2.4
SPREAD = np.log(30) / 2.3263
"""Standard deviation of the logarithm of the read noise: its 99th percentile is 30 medians."""
OFFSET_SPREAD = 3.0
FRAMES = 4


def camera(size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Offset and read noise of every pixel, (Y, X) grey levels."""
    shape = size, size
    noise = READ_NOISE * np.exp(SPREAD * rng.normal(size=shape))
    return OFFSET + OFFSET_SPREAD * rng.normal(size=shape), noise


def recorded(
    light: Array, offset: Array, noise: Array, frames: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Frames (T, Y, X) of ``light`` (Y, X) grey levels; they may be below 0."""
    shape = (frames, *light.shape)
    values = offset + GAIN * rng.poisson(light / GAIN, shape) + noise * rng.normal(size=shape)
    return np.round(values).astype(np.int32)


def by_decile(values: Array, key: Array) -> Array:
    """Means of values (T, Y, X) over the deciles of ``key`` (Y, X)."""
    order = np.argsort(key, axis=None)
    flat = values.reshape(len(values), -1)[:, order]
    return np.array([part.mean() for part in np.array_split(flat, 10, axis=1)])


def cases(name: str, options: argparse.Namespace, seed: int) -> Iterator[str]:
    """One line for each number of frames."""
    rng = np.random.default_rng(seed)
    size = options.size
    light = GAIN * (2 + 30 * SCENES[name]((size, size), rng))
    clean = OFFSET + light
    offset, noise = camera(size, rng)
    dark = recorded(np.zeros_like(light), offset, noise, options.dark, rng)
    measured = calibrate(dark)
    assert measured.maps is not None
    training = TrainSettings(seconds=options.seconds, device='cpu')
    for frames in (1, FRAMES):
        noisy = recorded(light, offset, noise, frames, rng)
        alike = PoissonGaussian(GAIN, OFFSET, READ_NOISE)
        even = np.round(alike.sample(np.broadcast_to(clean, noisy.shape), rng)).astype(np.int32)
        request = measured.request()
        single = NoiseRequest(request.family, request.parameters)
        found, seconds = [], []
        told = NoiseRequest(request.family, {**request.parameters, 'gain': GAIN})
        exactly = NoiseRequest.exactly(alike)
        ways = ((noisy, request), (noisy, single), (noisy, told), (even, exactly))
        for image, asked in ways:
            begin = time.perf_counter()
            settings = DenoiseSettings(noise=asked, training=training)
            found.append(denoise(image, 'TYX', settings))
            seconds.append(time.perf_counter() - begin)
        with_maps = found[0]
        gains = [result.corrected.families[0].parameters()['gain'] for result in found]
        maps = measured.maps
        removed, truth = (
            (noisy - maps.offset + OFFSET - x) ** 2
            / (GAIN * np.maximum(x - OFFSET, 0) + maps.variance)
            for x in (with_maps.image.astype(np.float64), clean)
        )
        deciles, true = (by_decile(values, maps.variance) for values in (removed, truth))
        check, usual = (r.report['channels'][0]['residual']['variance'] for r in found[::3])
        yield (
            f'{name:10s} {frames}  gain {gains[0]:.2f} {gains[1]:.2f}'
            f'  deciles {" ".join(f"{value:.2f}" for value in deciles)}'
            f' (truth {true.min():.2f} to {true.max():.2f}; report {check:.2f},'
            f' pixels alike {usual:.2f})'
            f'  PSNR {" ".join(f"{psnr(result.image, clean):.2f}" for result in found)}'
            f'  {seconds[0]:.1f} {seconds[1]:.1f} s'
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--scenes', default=','.join(SCENES))
    parser.add_argument('--seeds', type=int, default=1)
    parser.add_argument('--size', type=int, default=256)
    parser.add_argument('--seconds', type=float, default=0.0)
    parser.add_argument('--dark', type=int, default=100)
    options = parser.parse_args()
    for name in options.scenes.split(','):
        for seed in range(options.seeds):
            for line in cases(name, options, seed):
                print(line, flush=True)


if __name__ == '__main__':
    main()
