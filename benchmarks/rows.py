"""Offsets that whole rows or columns have in common: are they found, and what is left of them?

    python benchmarks/rows.py [--scenes nuclei,filaments] [--clean 20] [--size 256] [--seeds 1]

Synthetic scenes of 2 to 32 photons a pixel on a camera (gain 4, offset 100, read noise 6), one
frame and a movie of 4, with offsets of rows or columns of 0.3, 1, 5 and 20 % of the noise
variance, denoised by the weights that ship, without a training. For each: the share that the
estimate tells; the root mean square error of the means of the rows (columns), noise standard
deviations, of the noisy image, of the same image treated as white, and with the offsets taken
off; PSNR of the last two; seconds that the offsets took. Then in how many clean images rows or
columns are found, of each scene and kind, and of images of horizontal edges and of stripes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_noise2score import estimate_noise
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.noise.patterns.shared import NO_ROW_NOISE
from napari_noise2score.pipeline.correct import correct_image
from napari_noise2score.pipeline.levelling import levelled
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.pipeline.stages import score_image_steps
from napari_noise2score.progress import finish
from napari_noise2score.score.pretraining.weights import warm_start

CAMERA = PoissonGaussian(4.0, 100.0, 6.0)
SHARES = (0.003, 0.01, 0.05, 0.2)
FRAMES = 4

Array = NDArray[np.float64]


def scene(name: str, size: int, seed: int) -> Array:
    """A clean image, (Y, X) grey levels."""
    rng = np.random.default_rng(seed)
    return 100 + 4 * (2 + 30 * SCENES[name]((size, size), rng))


def recorded(clean: Array, frames: int, share: float, axis: int, seed: int) -> NDArray[np.uint16]:
    """Frames (T, Y, X) with noise, and offsets of rows (``axis`` 0) or columns (1), of mean 0."""
    rng = np.random.default_rng(1000 + seed)
    noisy = CAMERA.sample(np.broadcast_to(clean, (frames, *clean.shape)), rng)
    deviation = (share * float(CAMERA.variance(clean).mean())) ** 0.5
    offsets = rng.normal(0, 1, (frames, clean.shape[axis]))
    offsets = deviation * (offsets - offsets.mean(axis=1, keepdims=True))
    noisy = noisy + (offsets[:, :, None] if axis == 0 else offsets[:, None, :])
    return np.round(noisy).astype(np.uint16)


def denoised(prepared: Prepared) -> NDArray[np.floating]:
    """The clean image by the weights that ship."""
    score_map = finish(score_image_steps(warm_start(), prepared, device='cpu'))
    return correct_image(score_map).image


def of_rows(image: NDArray[np.generic], clean: Array, axis: int) -> float:
    """Root mean square error of the means of rows or columns, noise standard deviations."""
    error = (image.astype(np.float64) - clean).mean(axis=2 - axis)
    return float((error**2).mean() ** 0.5 / CAMERA.variance(clean).mean() ** 0.5)


def psnr(image: NDArray[np.floating], clean: Array) -> float:
    """Peak signal-to-noise ratio, dB, for the range of the clean image."""
    return float(10 * np.log10(np.ptp(clean) ** 2 / ((image - clean) ** 2).mean()))


def cases(name: str, size: int, seed: int) -> Iterator[str]:
    """One line for each kind, axis and share."""
    clean = scene(name, size, seed)
    for frames in (1, FRAMES):
        for axis, lines in enumerate(('rows', 'columns')):
            for share in SHARES:
                noisy = recorded(clean, frames, share, axis, seed)
                prepared = model_noise(ImageSource(noisy, 'TYX'))
                (channel,) = prepared.channels
                white = replace(prepared, channels=(replace(channel, rows=NO_ROW_NOISE),))
                begin = time.perf_counter()
                level = levelled(prepared, 'cpu')
                for index in range(frames):
                    level.channels[0].offsets.of(index)
                seconds = time.perf_counter() - begin
                before, after = denoised(white), denoised(level)
                told = channel.rows.rows if axis == 0 else channel.rows.columns
                errors = [of_rows(image, clean, axis) for image in (noisy, before, after)]
                kept = errors[2] / errors[0]
                yield (
                    f'{name:10s} {frames} {lines:8s}{100 * share:5.1f} %'
                    f'{100 * told / channel.rows.noise:6.2f} %'
                    f'  {errors[0]:.3f} {errors[1]:.3f} {errors[2]:.3f} ({kept:.2f})'
                    f'  {psnr(before, clean):.2f} {psnr(after, clean):.2f}  {seconds:.1f} s'
                )


def structures(size: int) -> dict[str, Array]:
    """Clean images that have something along their rows, grey levels."""
    rows = np.arange(size)[:, None] + np.zeros(size)
    return {
        'edges': 108 + 60.0 * (rows // 40 % 2),
        'stripes': 168 + 60 * np.sin(2 * np.pi * rows / 7),
        'gradient': 108 + 0.5 * rows,
    }


def found_in_clean(count: int, size: int) -> Iterator[str]:
    """In how many images without offsets some are found."""
    makes = {name: [scene(name, size, seed) for seed in range(count)] for name in SCENES}
    makes |= {name: [image] * count for name, image in structures(size).items()}
    for name, images in makes.items():
        for frames in (1, FRAMES):
            noisy = (recorded(image, frames, 0.0, 0, seed) for seed, image in enumerate(images))
            found = sum(estimate_noise(stack).rows.detected for stack in noisy)
            yield f'{name:10s} {frames} clean: found in {found} of {count}'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--scenes', default=','.join(SCENES))
    parser.add_argument('--seeds', type=int, default=1)
    parser.add_argument('--clean', type=int, default=20)
    parser.add_argument('--size', type=int, default=256)
    options = parser.parse_args()
    for line in found_in_clean(options.clean, options.size):
        print(line, flush=True)
    for name in options.scenes.split(','):
        for seed in range(options.seeds):
            for line in cases(name, options.size, seed):
                print(line, flush=True)


if __name__ == '__main__':
    main()
