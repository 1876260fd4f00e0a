"""Is the printed risk true, and is a training ever for the worse? Real and synthetic cases.

    python benchmarks/quality/risks.py --fmd FMD --images SET12 --output risks.json
    python benchmarks/quality/risks.py --seconds 20 --cases jpeg,flash
    python benchmarks/quality/risks.py --fmd FMD --output risks.json --keep  # only what is missing

Every case is denoised twice, with the weights that ship and after a training. The training prints
a risk before and after, estimated without ground truth; the true ones are measured against the
truth, both in noise variances. `--fmd` is a folder of NAME.tif (T, Y, X) beside NAME_gt.tif
(Y, X); `--images` one of clean 8-bit images. Synthetic scenes are made here.

Columns: decibels gained by the training; risk printed with its standard error, and true, before
and after ('none' if none is printed); whether the training was applied, or refused for what it did
in flat places; steps done.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from results import (
    Record,
    Results,
    add_run_options,
    json_beside,
    settings_of,
    table,
    train_settings,
)
from scipy import ndimage

from napari_noise2score import DenoiseSettings, TrainSettings, denoise
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.families import Gaussian, PoissonGaussian
from napari_noise2score.noise.request import NoiseRequest

Array = NDArray[np.float64]

SIGMA, FRAMES = 20.0, 6
CAMERA = PoissonGaussian(2.0, 100.0, 4.0)
BLIND = NoiseRequest()
CAPTURES = 50
"""Of which the truths of the FMD set are means."""
LEAST = 0.05
"""Decibels that count as a difference."""


class Case(NamedTuple):
    """Noisy (Y, X) or (T, Y, X), the truth, its noise variance, and what is told of the noise.

    ``left`` is the noise variance that the truth itself has, as a share of that of a frame.
    """

    noisy: NDArray[Any]
    clean: Array
    variance: Array
    told: NoiseRequest = BLIND
    left: float = 0.0


def white(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    return rng.normal(size=shape)


def laplace(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    return rng.laplace(size=shape) / 2**0.5


def correlated(shape: tuple[int, ...], rng: np.random.Generator, *, next_one: float) -> Array:
    """Noise of variance one whose next neighbours along a row are correlated."""
    side = (1 - (1 - 4 * next_one**2) ** 0.5) / (2 * next_one)  # of (1, side): side / (1 + side^2)
    drawn = rng.normal(size=(*shape[:-1], shape[-1] + 1))
    found = drawn[..., 1:] + side * drawn[..., :-1]
    return np.asarray(found / (1 + side**2) ** 0.5)


def rows(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Every row has an offset of 5 % of the variance."""
    return rng.normal(size=shape) + 0.05**0.5 * rng.normal(size=(*shape[:-1], 1))


Noise = Callable[[tuple[int, ...], np.random.Generator], Array]


def gaussian(clean: Array, rng: np.random.Generator, noise: Noise, told: float | None) -> Case:
    """Noise of the standard deviation ``SIGMA``; ``told`` times it is given, or nothing."""
    request = BLIND if told is None else NoiseRequest.exactly(Gaussian(told * SIGMA))
    noisy = (clean + SIGMA * noise(clean.shape, rng)).astype(np.float32)
    return Case(noisy, clean, np.full(clean.shape, SIGMA**2), request)


def jpeg(clean: Array, rng: np.random.Generator, quality: int) -> Case:
    """Noise, then a compression."""
    noisy = np.clip(np.round(clean + SIGMA * rng.normal(size=clean.shape)), 0, 255)
    file = io.BytesIO()
    Image.fromarray(noisy.astype(np.uint8)).save(file, 'JPEG', quality=quality)
    return Case(np.asarray(Image.open(file)), clean, np.full(clean.shape, SIGMA**2))


def resampled(clean: Array, rng: np.random.Generator, way: str) -> Case:
    """Noise, then an interpolation of pixels; the truth is interpolated alike."""

    def moved(image: Array) -> Array:
        if way == 'zoomed':
            return np.asarray(ndimage.zoom(image, 1.25, order=1))
        if way == 'shrunk':
            return np.asarray(ndimage.zoom(image, 0.8, order=1))
        return np.asarray(ndimage.rotate(image, 7, reshape=False, order=3, mode='reflect'))

    noisy = moved(clean + SIGMA * rng.normal(size=clean.shape)).astype(np.float32)
    truth = moved(clean)
    return Case(noisy, truth, np.full(truth.shape, float((noisy - truth).var())))


def hot(clean: Array, rng: np.random.Generator) -> Case:
    """One pixel in a thousand is hot."""
    case = gaussian(clean, rng, white, None)
    case.noisy[rng.random(clean.shape) < 0.001] = 400
    return case


def photons(clean: Array, rng: np.random.Generator, most: float, gain: float | None) -> Case:
    """A camera, with so many photons in the brightest pixel; ``gain`` times the true is told."""
    truth = CAMERA.offset + CAMERA.gain * most * (0.03 + clean / 255)
    told = BLIND
    if gain is not None:
        told = NoiseRequest.exactly(PoissonGaussian(gain * CAMERA.gain, 100.0, 4.0))
    noisy = np.round(CAMERA.sample(truth, rng)).astype(np.uint16)
    return Case(noisy, truth, CAMERA.variance(truth), told)


def movie(clean: Array, rng: np.random.Generator, kind: str) -> Case:
    """Frames that are still, drift, bleach, have a flash in one of them, or correlated noise."""
    scene = np.repeat(clean[None], FRAMES, 0)
    if kind == 'drift':
        scene = np.stack([ndimage.shift(clean, (0.7 * n, 0.4 * n), order=3, mode='reflect')
                          for n in range(FRAMES)])  # fmt: skip
    if kind == 'bleach':
        scene *= np.exp(-np.arange(FRAMES) / 6)[:, None, None]
    if kind == 'flash':
        for _ in range(20):
            y, x = rng.integers(8, clean.shape[0] - 8, 2)
            spot = np.zeros(clean.shape)
            spot[y, x] = 2000
            scene[rng.integers(FRAMES)] += ndimage.gaussian_filter(spot, 1.5)
    noise = partial(correlated, next_one=0.1) if kind == 'correlated' else white
    truth = CAMERA.offset + CAMERA.gain * 30 * (0.03 + scene / 255)
    noisy = truth + CAMERA.variance(truth) ** 0.5 * noise(truth.shape, rng)
    return Case(np.round(noisy).astype(np.uint16), truth, CAMERA.variance(truth))


Made = Callable[[Array, np.random.Generator], Case]

KINDS: dict[str, Made] = {
    'white, told': partial(gaussian, noise=white, told=1.0),
    'white': partial(gaussian, noise=white, told=None),
    'correlated 0.3, told white': partial(
        gaussian, noise=partial(correlated, next_one=0.3), told=1.0
    ),
    'correlated 0.3': partial(gaussian, noise=partial(correlated, next_one=0.3), told=None),
    'correlated 0.1': partial(gaussian, noise=partial(correlated, next_one=0.1), told=None),
    'correlated 0.05': partial(gaussian, noise=partial(correlated, next_one=0.05), told=None),
    'told 20 % too little': partial(gaussian, noise=white, told=0.8),
    'told 20 % too much': partial(gaussian, noise=white, told=1.2),
    'laplace': partial(gaussian, noise=laplace, told=None),
    'rows': partial(gaussian, noise=rows, told=None),
    'jpeg 90': partial(jpeg, quality=90),
    'jpeg 70': partial(jpeg, quality=70),
    'zoomed': partial(resampled, way='zoomed'),
    'shrunk': partial(resampled, way='shrunk'),
    'rotated': partial(resampled, way='rotated'),
    'hot pixels': hot,
    '30 photons': partial(photons, most=30, gain=None),
    '3 photons': partial(photons, most=3, gain=None),
    'gain 20 % low': partial(photons, most=30, gain=0.8),
    'gain 20 % high': partial(photons, most=30, gain=1.25),
    'movie, still': partial(movie, kind='still'),
    'movie, drift': partial(movie, kind='drift'),
    'movie, bleach': partial(movie, kind='bleach'),
    'movie, flash': partial(movie, kind='flash'),
    'movie, correlated 0.1': partial(movie, kind='correlated'),
}


def scenes(folder: Path | None, size: int) -> list[tuple[str, Array]]:
    """Names and clean images (Y, X), 0 to 255: two made here, two of the folder."""
    found = []
    for name in ('nuclei', 'filaments'):
        made = SCENES[name]((size, size), np.random.default_rng(5))
        found.append((name, 20 + 200 * (made - made.min()) / np.ptp(made)))
    paths = sorted(folder.glob('*.*'))[:2] if folder else []
    for path in paths:
        image = np.asarray(Image.open(path).convert('L'), np.float64)
        found.append((path.stem, image[:size, :size]))
    return found


def real(name: str, folder: Path, frames: int) -> Case:
    """A stack of the FMD set, or its first capture; the noise is what differs from the truth.

    The truth is brought to the light of each capture by a line: that is what a capture shows.
    """
    stack = tifffile.imread(folder / f'{name}.tif')
    mean = tifffile.imread(folder / f'{name}_gt.tif').astype(np.float64)
    lines = (np.polyfit(mean.ravel(), frame.ravel(), 1) for frame in stack)
    truth = np.stack([np.polyval(line, mean) for line in lines])
    variance = ndimage.gaussian_filter((stack - truth) ** 2, (0, 4, 4)).mean(0)
    part = np.s_[0] if frames == 1 else np.s_[:]
    variance = np.broadcast_to(np.maximum(variance, 1e-2 * variance.mean()), stack.shape)
    return Case(stack[part], truth[part], variance[part], left=1 / CAPTURES)


def cases(
    fmd: Path | None, images: Path | None, size: int
) -> Iterator[tuple[str, Callable[[], Case]]]:
    """Names, and how to make what they stand for."""
    if fmd:
        for path in sorted(fmd.glob('*_gt.tif')):
            name = path.stem[:-3]
            yield f'{name}, one capture', partial(real, name, fmd, 1)
            yield f'{name}, stack', partial(real, name, fmd, 0)
    found = scenes(images, size)
    for number, (kind, make) in enumerate(KINDS.items()):
        for turn in range(2):  # one of ours and one of the folder, if there is one, in turns
            name, clean = found[(number + turn * len(found) // 2) % len(found)]
            rng = np.random.default_rng([number, turn])
            yield f'{kind}, {name}', partial(make, clean, rng)


def compared(name: str, case: Case, how: TrainSettings) -> Record:
    """What the training says of itself, and what is true."""
    axes = 'TYX' if case.noisy.ndim == 3 else 'YX'
    begin, found = time.perf_counter(), []
    for training in (TrainSettings(seconds=0.0, device=how.device), how):
        done = denoise(case.noisy, axes, DenoiseSettings(case.told, training=training))
        found.append(np.asarray(done.image, np.float64))
    square = [(image - case.clean) ** 2 for image in found]
    true = [float((each / case.variance).mean()) - case.left for each in square]
    training = done.report['training']
    return {
        'case': name,
        'gain': 10 * float(np.log10(square[0].mean() / square[1].mean())),
        'printed': [training['start_risk']['value'], training['risk']['value']],
        'error': [training['start_risk']['standard_error'], training['risk']['standard_error']],
        'true': true,
        'refused': training['flat_places']['harmed'],
        'steps': training['steps_done'],
        'delivered': training['delivered_step'],
        'seconds': time.perf_counter() - begin,
    }


COLUMNS = [
    'case',
    'gain, dB',
    'printed before',
    'true before',
    'printed after',
    'true after',
    'training',
    'steps',
]


def row(record: Record) -> list[object]:
    """A row of the table."""
    before, after = (
        'none' if risk is None else f'{risk:.3f}' + ('' if error is None else f' ± {error:.3f}')
        for risk, error in zip(record['printed'], record['error'], strict=True)
    )
    applied = 'applied' if record['delivered'] else 'not applied'
    said = 'refused' if record['refused'] else applied
    first, last = (f'{true:.3f}' for true in record['true'])
    gain = f'{record["gain"]:+.2f}'
    return [record['case'], gain, before, first, after, last, said, record['steps']]


def summary(records: Sequence[Record]) -> str:
    """How often the sign is right, how far the risk is off, and what got worse."""
    told = [one for one in records if None not in one['printed']]
    delivered = [one for one in records if one['delivered'] > 0]
    right = sum(one['gain'] > -LEAST for one in delivered)
    lines = [
        f'{len(records)} cases: a risk is printed in {len(told)}, and a training is applied in '
        f'{len(delivered)}. It made {right} of these better, or changed them by less than '
        f'{LEAST} dB.'
    ]
    if told:
        away = np.array([one['printed'][1] - one['true'][1] for one in told])
        error = np.array([one['error'][1] or 0 for one in told])
        low, middle, high = np.quantile(away, (0.1, 0.5, 0.9))
        lines.append(
            f'Printed risk minus true risk: the median is {middle:+.3f}, and eight of ten cases '
            f'lie between {low:+.3f} and {high:+.3f}. In {(abs(away) < 2 * error).sum()} cases '
            'the difference is within two of the printed standard errors.'
        )
    worse = [f'{one["case"]} ({one["gain"]:+.2f} dB)' for one in records if one['gain'] < -LEAST]
    lines.append(
        f'Worse by more than {LEAST} dB after the training: {", ".join(worse) or "none"}.'
    )
    return '\n\n'.join(lines)


def render(records: Sequence[Record]) -> str:
    """The summary, then one row for each case."""
    rows = map(row, sorted(records, key=lambda one: one['case']))
    return summary(records) + '\n\n' + table(COLUMNS, rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--fmd', type=Path)
    parser.add_argument('--images', type=Path)
    parser.add_argument('--size', type=int, default=256, help='side of scenes and images')
    parser.add_argument('--cases', default='', help='parts of their names, with commas')
    parser.add_argument('--keep', action='store_true', help='cases that the output has')
    add_run_options(parser)
    options = parser.parse_args()
    if options.keep and options.output is None:
        parser.error('--keep needs --output')
    results = Results(render, settings_of(options), options.device, options.output)
    if options.keep and json_beside(options.output).exists():
        results.keep(json.loads(json_beside(options.output).read_text('utf-8'))['records'])
    done = {one['case'] for one in results.records}
    for name, make in cases(options.fmd, options.images, options.size):
        if name not in done and any(part in name for part in options.cases.split(',')):
            results.add(compared(name, make(), train_settings(options)))
    results.show()


if __name__ == '__main__':
    main()
