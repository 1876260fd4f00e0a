"""Movies whose light or scene changes: decibels gained, and whether the light is kept.

    python benchmarks/light.py                        # all movies, 0 s
    python benchmarks/light.py --movies steady,flash  # some
    python benchmarks/light.py --steps 60             # with a training

Columns: decibels gained, as a mean over the frames; the largest error of the mean of a frame, in
percent of its light, against the truth and against the noisy frame ('kept'), whose mean has an
error too; the estimated risk and the true one, in noise variances; gain of the noise estimate over
the true one; pairs of frames. Warnings follow. With `--more` also what the exact noise model gains
with no frame compared with another ('model'), and how far the means of a movie in three parts are
from those of the whole, at most, in percent ('parts').
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score import DenoiseSettings, TrainSettings
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.pipeline.correct import correct_image
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.pipeline.stages import score_image_steps, train_score_steps
from napari_noise2score.progress import finish

FRAMES, SIZE = 12, 128
CAMERA = PoissonGaussian(3.0, 100.0, 4.0)
PHOTONS, BACKGROUND = 60.0, 4.0

Movie = NDArray[np.float64]


def scene(seed: int, name: str = 'nuclei', size: int = SIZE) -> Movie:
    """Photons a pixel, (Y, X)."""
    return BACKGROUND + PHOTONS * SCENES[name]((size, size), np.random.default_rng([seed, 0]))


def lit(light: Any, seed: int = 1, name: str = 'nuclei') -> Movie:
    """One scene under the light of each frame."""
    return np.asarray(light, float)[:, None, None] * scene(seed, name)


def flicker(amount: float) -> NDArray[np.float64]:
    return 1 + amount * np.random.default_rng(2).uniform(-1, 1, FRAMES)


def one(place: int, value: float) -> NDArray[np.float64]:
    light = np.ones(FRAMES)
    light[place] = value
    return light


def cut() -> Movie:
    return np.concatenate([lit(np.ones(FRAMES // 2)), lit(np.ones(FRAMES // 2), 5, 'filaments')])


def positions(each: int) -> Movie:
    """Several positions of the stage one after the other, ``each`` frames at each."""
    return np.concatenate([lit(np.ones(each), seed) for seed in range(1, FRAMES // each + 1)])


def interleaved() -> Movie:
    return np.stack([scene(1 + number % 2) for number in range(FRAMES)])


def jump() -> Movie:
    large = scene(1, size=SIZE + 32)
    first, second = large[:SIZE, :SIZE], large[23 : SIZE + 23, 17 : SIZE + 17]
    return np.stack([first] * (FRAMES // 2) + [second] * (FRAMES - FRAMES // 2))


def slices() -> Movie:
    """A z-stack whose axis is called T."""
    volume = np.stack([scene(seed, 'puncta') for seed in range(FRAMES)])
    return np.asarray(ndimage.gaussian_filter1d(volume, 1.5, axis=0, mode='nearest'))


def region(light: float) -> Movie:
    """The brightest nucleus has a light of its own in every other frame."""
    clean = scene(1)
    bright = ndimage.gaussian_filter(clean, 3) > np.quantile(clean, 0.6)
    label, _ = ndimage.label(bright)
    largest = 1 + int(np.argmax(np.bincount(label.ravel())[1:]))
    weight = ndimage.gaussian_filter((label == largest).astype(float), 1)
    return np.stack([clean * (1 + (light - 1) * weight * (n % 2)) for n in range(FRAMES)])


def wandering() -> Movie:
    """The lamp lights one side and then the other."""
    x = np.linspace(-0.5, 0.5, SIZE)
    return np.stack([scene(1) * (1 + 0.4 * np.sin(n) * x) for n in range(FRAMES)])


def faded_shutter() -> Movie:
    light = np.exp(-np.arange(FRAMES) / 4.0)
    light[7] = 1.15
    return lit(light)


def offset_steps(movie: Movie) -> Movie:
    """Grey levels whose offset changes from frame to frame."""
    return movie + np.random.default_rng(3).uniform(-15, 15, len(movie))[:, None, None]


MOVIES: dict[str, Callable[[], Movie]] = {
    'steady': lambda: lit(np.ones(FRAMES)),
    'flicker 10 %': lambda: lit(flicker(0.1)),
    'flicker 30 %': lambda: lit(flicker(0.3)),
    'flash 5 x': lambda: lit(one(5, 5.0)),
    'light doubles': lambda: lit(np.repeat([1.0, 2.0], FRAMES // 2)),
    'one frame at 20 %': lambda: lit(one(5, 0.2)),
    'one frame dark': lambda: lit(one(5, 0.0)),
    'fades to 6 %': lambda: lit(np.exp(-np.arange(FRAMES) / 4.0)),
    'fades and shutter': faded_shutter,
    'fades by 10 %': lambda: lit(np.linspace(1, 0.9, FRAMES)),
    'blinks 1 : 4': lambda: lit(np.tile([1.0, 0.25], FRAMES // 2)),
    'blinks off': lambda: lit(np.tile([1.0, 0.0], FRAMES // 2)),
    'exposures 1 : 10': lambda: lit(np.tile([1.0, 0.1], FRAMES // 2)),
    'other scene': cut,
    'positions 3 each': lambda: positions(3),
    'positions 1 each': lambda: positions(1),
    'two in turns': interleaved,
    'stage jump': jump,
    'slices as T': slices,
    'region + 50 %': lambda: region(1.5),
    'region x 4': lambda: region(4.0),
    'lamp wanders': wandering,
    'offsets': lambda: lit(np.ones(FRAMES)),
    'dropped frame': lambda: lit(np.ones(FRAMES)),
    'repeats': lambda: lit(np.ones(FRAMES)),
    'few photons 30 %': lambda: 0.05 * lit(flicker(0.3)),
    'two frames 1 : 3': lambda: lit([1.0, 3.0]),
}


def noisy_and_clean(name: str, seed: int) -> tuple[Movie, Movie]:
    """Grey levels (T, Y, X)."""
    clean = CAMERA.offset + CAMERA.gain * MOVIES[name]()
    noisy = CAMERA.sample(clean, np.random.default_rng([7, seed]))
    if name == 'offsets':
        noisy, clean = offset_steps(noisy), offset_steps(clean)
    if name == 'dropped frame':
        noisy[5] = clean[5] = CAMERA.offset
    if name == 'repeats':
        noisy[4], noisy[8] = noisy[3], noisy[7]
    return np.round(noisy, 2).astype(np.float32), clean


def exact(noisy: Movie, settings: DenoiseSettings) -> Movie:
    """Denoised with the true noise model, with no frames compared."""
    image = model_noise(ImageSource(noisy, 'TYX', 'movie'))
    (channel,) = image.channels
    table = CAMERA.level_table(channel.table.top)
    coordinate = CAMERA.coordinate(channel.table.top)
    known = replace(channel, family=CAMERA, coordinate=coordinate, table=table, pairs=())
    image = Prepared(image.source, (known,))
    model = finish(train_score_steps([image], settings.training))
    views = settings.views(noisy.size)
    scores = finish(score_image_steps(model, image, device='cpu', orientations=views, sigma_a=0.0))
    return np.asarray(correct_image(scores).image, np.float64)


def decibels(noisy: Movie, result: Movie, clean: Movie) -> NDArray[np.float64]:
    before, after = (((a - clean) ** 2).mean((1, 2)) for a in (noisy, result))
    some = before > 0
    return np.asarray(10 * np.log10(before[some] / np.maximum(after[some], 1e-12)))


def errors(result: Movie, clean: Movie) -> NDArray[np.float64]:
    """Of the mean of every frame with light, percent of its light."""
    light = clean.mean((1, 2)) - CAMERA.offset
    some = light > 0.05 * light.max()
    return np.asarray(100 * (result - clean).mean((1, 2))[some] / light[some])


def show(name: str, settings: DenoiseSettings, more: bool, seed: int) -> None:
    noisy, clean = noisy_and_clean(name, seed)
    done = denoise(noisy, 'TYX', settings)
    result = np.asarray(done.image, np.float64)
    report = done.report
    risk = report['risk'][report['correction']]['value']
    # an offset of the frame has no noise
    photons = MOVIES[name]()
    true = float(((result - clean) ** 2 / CAMERA.variance(100 + CAMERA.gain * photons)).mean())
    own = errors(result, clean)
    kept = own - errors(noisy.astype(float), clean)
    line = (
        f'{name:20s} {decibels(noisy, result, clean).mean():6.2f} '
        f'{own[np.argmax(np.abs(own))]:+7.2f} {kept[np.argmax(np.abs(kept))]:+7.2f} '
        f'{risk if risk is not None else np.nan:7.3f} {true:6.3f} '
        f'{report["channels"][0]["noise"].get("gain", np.nan) / CAMERA.gain:6.3f} '
        f'{len(done.score_map.prepared.channels[0].pairs):5d}'
    )
    if more:
        line += f' {decibels(noisy, exact(noisy, settings), clean).mean():6.2f}'
        line += f' {apart(noisy, clean, result, settings):6.2f}'
    print(line, flush=True)
    for warning in report['warnings']:
        print(f'{"":20s}   {warning}', flush=True)


def apart(noisy: Movie, clean: Movie, result: Movie, settings: DenoiseSettings) -> float:
    """Largest difference of the means of the frames if the movie comes in three parts, percent."""
    third = max(1, len(noisy) // 3)
    parts = [
        np.asarray(denoise(noisy[at : at + third], 'TYX', settings).image, np.float64)
        for at in range(0, len(noisy), third)
    ]
    light = np.maximum(np.abs(clean.mean((1, 2)) - CAMERA.offset), 1.0)
    return float(100 * np.abs((np.concatenate(parts) - result).mean((1, 2)) / light).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--movies', default=','.join(MOVIES))
    parser.add_argument('--steps', type=int)
    parser.add_argument('--more', action='store_true', help="the columns 'model' and 'parts' too")
    parser.add_argument('--seed', type=int, default=0)
    chosen = parser.parse_args()
    training = TrainSettings(seconds=0.0, device='cpu')
    if chosen.steps is not None:
        training = TrainSettings(seconds=None, steps=chosen.steps, device='cpu')
    print(
        f'{"":20s} {"dB":>6s} {"mean %":>7s} {"kept %":>7s} {"risk":>7s} {"true":>6s} '
        f'{"gain":>6s} {"pairs":>5s}' + (f' {"model":>6s} {"parts":>6s}' if chosen.more else '')
    )
    for name in chosen.movies.split(','):
        show(name, DenoiseSettings(training=training), chosen.more, chosen.seed)


if __name__ == '__main__':
    main()
