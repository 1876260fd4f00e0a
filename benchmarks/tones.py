"""Single frequencies over whole planes, and rows fixed in place: found, and what is left of them?

    python benchmarks/tones.py [--scenes nuclei,filaments] [--clean 20] [--size 256]
        [--data FOLDER] [--images 40]

The scenes and the camera of `rows.py`. First, one frame and a movie of 4 with a wave of 0.3, 1, 5
and 20 % of the noise variance, whose phase differs from frame to frame or not, and movies with
offsets of rows that are the same in every frame, denoised by the weights that ship, without a
training. For each: the share that the estimate tells; the error of the wave (or the rows) over its
root mean square, in the image treated as white, and with it taken off; PSNR of both; seconds.
Then in how many images without any something is found: scenes, periodic samples, fringes that
move, and with ``--data`` real images with white noise (``set12``, ``bsd400``) and real captures
(``fmd``: stacks and single frames). Last, seconds that looking takes where nothing is found.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from rows import CAMERA, FRAMES, SHARES, Array, denoised, psnr, scene

from napari_noise2score import estimate_noise
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.patterns.offsets import shared_noise, shared_noise_of_images
from napari_noise2score.noise.patterns.rows import row_noise
from napari_noise2score.noise.patterns.shared import NO_ROW_NOISE, carriers
from napari_noise2score.pipeline.levelling import levelled
from napari_noise2score.pipeline.prepare import model_noise

FREQUENCY = 0.137, 0.083
NOISE = 8, 25


def deviation(clean: Array, share: float) -> float:
    """Root mean square of something that has a share of the noise variance."""
    return float((share * float(CAMERA.variance(clean).mean())) ** 0.5)


def waves(clean: Array, frames: int, share: float, fixed: bool, seed: int) -> Array:
    """(T, Y, X): a wave in each frame, of any phase, or the same in all."""
    rng = np.random.default_rng(seed)
    phases = rng.uniform(0, 2 * np.pi, 1 if fixed else frames)
    down, across = carriers(FREQUENCY, (clean.shape[0], clean.shape[1]))
    plane = down[:, None] * across
    one = np.stack([(plane * np.exp(1j * phase)).real for phase in phases])
    return np.asarray(
        2**0.5 * deviation(clean, share) * np.broadcast_to(one, (frames, *clean.shape))
    )


def fixed_rows(clean: Array, frames: int, share: float, seed: int) -> Array:
    """(T, Y, X): offsets of rows that are the same in every frame, of mean 0."""
    offsets = np.random.default_rng(seed).normal(0, 1, (len(clean), 1))
    offsets = deviation(clean, share) * (offsets - offsets.mean())
    return np.broadcast_to(offsets, (frames, *clean.shape))


def recorded(clean: Array, frames: int, added: Array | float, seed: int) -> NDArray[np.uint16]:
    """Frames (T, Y, X) with noise, and something added."""
    rng = np.random.default_rng(1000 + seed)
    noisy = CAMERA.sample(np.broadcast_to(clean, (frames, *clean.shape)), rng)
    return np.clip(np.round(noisy + added), 0, 65535).astype(np.uint16)


def left_of_wave(image: Array, clean: Array, added: Array) -> float:
    """What an image has of a wave over the wave, root mean square over the frames."""
    shape = clean.shape[0], clean.shape[1]
    down, across = (each.conj() for each in carriers(FREQUENCY, shape))
    shares = [[down @ (plane @ across) for plane in stack] for stack in (image - clean, added)]
    powers = [float((np.abs(each) ** 2).mean()) for each in shares]
    return float((powers[0] / powers[1]) ** 0.5)


def left_of_rows(image: Array, clean: Array, added: Array) -> float:
    """Error of the means of the rows over that of the offsets, root mean square."""
    powers = [float((each.mean(axis=2) ** 2).mean()) for each in (image - clean, added)]
    return float((powers[0] / powers[1]) ** 0.5)


def case(name: str, clean: Array, added: Array, seed: int, *, rows: bool) -> str:
    """One line: what is told, what is left, what it costs."""
    noisy = recorded(clean, len(added), added, seed)
    prepared = model_noise(ImageSource(noisy, 'TYX'))
    (channel,) = prepared.channels
    white = replace(prepared, channels=(replace(channel, rows=NO_ROW_NOISE),))
    begin = time.perf_counter()
    level = levelled(prepared, 'cpu')
    for index in range(len(added)):
        level.channels[0].offsets.of(index)
    seconds = time.perf_counter() - begin
    before = denoised(white)
    after = denoised(level) if channel.rows.detected else before
    measure = left_of_rows if rows else left_of_wave
    errors = [measure(np.asarray(image, np.float64), clean, added) for image in (before, after)]
    return (
        f'{name:36s} {errors[0]:.3f} {errors[1]:.3f}  {psnr(before, clean):.2f} '
        f'{psnr(after, clean):.2f}  {seconds:.1f} s  {channel.rows.words or "-"}'
    )


def cases(name: str, size: int) -> Iterator[str]:
    """One line for each kind and share."""
    clean = scene(name, size, 0)
    for share in SHARES:
        told = f'{100 * share:.1f} %'
        for frames, fixed in ((1, False), (FRAMES, False), (FRAMES, True)):
            kind = f'{name}, {frames} {"same" if fixed else "any"} phase, {told}'
            yield case(kind, clean, waves(clean, frames, share, fixed, 5), 0, rows=False)
        added = fixed_rows(clean, FRAMES, share, 5)
        yield case(f'{name}, {FRAMES} fixed rows, {told}', clean, added, 0, rows=True)


def periodic(size: int) -> dict[str, Array]:
    """Clean images of samples that repeat themselves, grey levels."""
    down, across = np.indices((size, size))
    ripple = np.sin(2 * np.pi * down / 7) + np.sin(2 * np.pi * across / 7)
    cells = np.hypot(down % (size // 2) - size / 4, across % (size // 2) - size / 4) < size / 6
    return {
        'stripes': 168 + 60 * np.sin(2 * np.pi * down / 7),
        'slanted': 168 + 60 * np.sin(2 * np.pi * (down / 11 + across / 17)),
        'grid': 168 + 60.0 * ((down % 12 < 3) | (across % 12 < 3)),
        'sarcomeres': 108 + cells * (40 + 15 * np.sin(2 * np.pi * across / 9)),
        'half a weave': 148 + 8 * ripple * (across < size // 2),
        'edges': 108 + 60.0 * (down // 40 % 2),
    }


def fringes(clean: Array, frames: int, seed: int) -> NDArray[np.uint16]:
    """Frames under structured light, whose phase moves."""
    light = waves(clean, frames, 0.1, False, seed)
    light = 1 + 0.5 * light / light.max()
    rng = np.random.default_rng(seed)
    return np.round(CAMERA.sample(100 + (clean - 100) * light, rng)).astype(np.uint16)


def found_in_clean(count: int, size: int) -> Iterator[str]:
    """In how many images without any something is found."""
    makes = {name: [scene(name, size, seed) for seed in range(count)] for name in SCENES}
    makes |= {name: [image] * count for name, image in periodic(size).items()}
    for name, images in makes.items():
        for frames in (1, FRAMES):
            noisy = (recorded(image, frames, 0.0, seed) for seed, image in enumerate(images))
            found = [estimate_noise(stack).rows for stack in noisy]
            yield told_of(f'{name}, {frames}', [each.words for each in found])
    for name in SCENES:
        stacks = (fringes(scene(name, size, seed), FRAMES, seed) for seed in range(count))
        yield told_of(f'{name}, {FRAMES}, fringes', [estimate_noise(s).rows.words for s in stacks])


def told_of(name: str, words: list[str]) -> str:
    """A line on in how many images something was told."""
    found = [each for each in words if each]
    return f'{name:24s} clean: found in {len(found)} of {len(words)} {"; ".join(found)}'


def found_in_real(folder: Path, count: int) -> Iterator[str]:
    """The same for real images with white noise, and real captures."""
    for name in ('set12', 'bsd400'):
        words = []
        for path in sorted((folder / name).glob('*.*'))[:count]:
            image = np.asarray(Image.open(path).convert('L'), np.float64)
            for noise in NOISE:
                noisy = image + np.random.default_rng(noise).normal(0, noise, image.shape)
                weight = np.full(image.shape, noise**-2.0)
                words.append(shared_noise_of_images([noisy], [weight], noise**2).words)
        yield told_of(name, words)
    for path in sorted((folder / 'fmd').glob('*.tif')):
        stack = tifffile.imread(path)
        if stack.ndim == 3:
            yield told_of(f'{path.stem}, stack', [estimate_noise(stack).rows.words])
            yield told_of(f'{path.stem}, frames', [estimate_noise(f).rows.words for f in stack])


def cost(size: int = 512, frames: int = FRAMES) -> Iterator[str]:
    """Seconds that looking takes beyond rows of the differences, where nothing is found."""
    images = np.random.default_rng(0).normal(size=(frames, size, size))
    fields = [(one - other) / 2**0.5 for one, other in pairwise(images)]
    weights = [np.ones((size, size))] * frames

    def seconds(run: object, *arguments: object) -> float:
        assert callable(run)
        begin = time.perf_counter()
        for _ in range(3):
            run(*arguments)
        return (time.perf_counter() - begin) / 3

    rows = seconds(row_noise, fields, weights[1:], 1.0)
    every = seconds(shared_noise, fields, weights[1:], fields, 1.0)
    mean = seconds(shared_noise_of_images, [images.mean(axis=0)], weights[:1], 1.0)
    single = seconds(shared_noise_of_images, images[:1], weights[:1], 1.0)
    yield f'{frames} x {size} x {size}: {every - rows:.3f} s in differences, {mean:.3f} s in means'
    yield f'1 x {size} x {size}: {single:.3f} s, rows included'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--scenes', default='nuclei,filaments')
    parser.add_argument('--clean', type=int, default=20)
    parser.add_argument('--size', type=int, default=256)
    parser.add_argument('--data', type=Path)
    parser.add_argument('--images', type=int, default=40)
    options = parser.parse_args()
    for name in filter(None, options.scenes.split(',')):
        for line in cases(name, options.size):
            print(line, flush=True)
    if options.clean:
        for line in found_in_clean(options.clean, options.size):
            print(line, flush=True)
    if options.data:
        for line in found_in_real(options.data, options.images):
            print(line, flush=True)
    for line in cost():
        print(line, flush=True)


if __name__ == '__main__':
    main()
