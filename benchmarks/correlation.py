"""Correlation of the noise of single images, with and without the pretrained network.

    python benchmarks/correlation.py                    # two synthetic scenes
    python benchmarks/correlation.py --images FOLDER    # clean 8-bit images too
    python benchmarks/correlation.py --stacks FOLDER    # real stacks: their first frame alone
    python benchmarks/correlation.py --psnr             # the denoised images too, without training

For Gaussian noise whose next neighbours along a row are correlated, of two strengths: what flat
patches measure ("patches"; '-' if no patch is flat for certain), what the network measures along
rows and columns, the standard deviation of the noise over the true one before and after, and PSNR
before and after. Of real stacks: what the differences of their frames say, beside the same of the
first frame alone.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from risks import correlated, scenes, white
from stacks import psnr, stacks

from napari_noise2score.images.source import ImageSource
from napari_noise2score.pipeline.correct import correct_image
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.pipeline.refine import prepare_image
from napari_noise2score.pipeline.stages import score_image_steps
from napari_noise2score.progress import finish
from napari_noise2score.score.pretraining.weights import warm_start

NEXT = (0.0, 0.05, 0.1, 0.2, 0.4)
SIGMAS = (10.0, 25.0)


def clean_of(prepared: Prepared) -> NDArray[Any]:
    scored = finish(score_image_steps(warm_start(), prepared))
    return correct_image(scored).image


def both(image: NDArray[Any]) -> tuple[Prepared, Prepared]:
    source = ImageSource(image, 'YX', 'image')
    return model_noise(source), prepare_image(source)


def measured(ready: Prepared) -> str:
    found = ready.channels[0].fit.evidence.correlation
    return '-' if found is None else f'{found.along_rows:.3f} {found.along_columns:.3f}'


def synthetic(folder: Path | None, with_psnr: bool) -> None:
    images = scenes(None)
    for path in sorted(folder.glob('*.*')) if folder else []:
        images.append((path.stem, np.asarray(Image.open(path).convert('L'), np.float64)))
    print('image, sigma, correlation | patches | network | noise/true | dB')
    for name, clean in images:
        for sigma in SIGMAS:
            for share in NEXT:
                noise = partial(correlated, next_one=share) if share else white
                drawn = noise(clean.shape, np.random.default_rng(3))
                noisy = (clean + sigma * drawn).astype(np.float32)
                ready = both(noisy)
                level = float(np.median(noisy))
                shares = [
                    float(one.channels[0].family.variance(level)) ** 0.5 / sigma for one in ready
                ]
                row = f'{name} {sigma:g} {share:g} | {measured(ready[0])} | {measured(ready[1])}'
                row += f' | {shares[0]:.3f} -> {shares[1]:.3f}'
                if with_psnr:
                    found = [psnr(clean_of(one)[None], clean) for one in ready]
                    row += f' | {found[0]:.2f} -> {found[1]:.2f}'
                print(row, flush=True)


def real(folder: Path) -> None:
    print('stack | frame differences | patches of a frame | network')
    for name, noisy, _ in stacks(folder):
        frames = model_noise(ImageSource(noisy, 'TYX', name))
        row = [measured(each) for each in (frames, *both(noisy[0]))]
        print(f'{name} | {" | ".join(row)}', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--images', type=Path)
    parser.add_argument('--stacks', type=Path)
    parser.add_argument('--psnr', action='store_true')
    options = parser.parse_args()
    if options.stacks:
        real(options.stacks)
    else:
        synthetic(options.images, options.psnr)


if __name__ == '__main__':
    main()
