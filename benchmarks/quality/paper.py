"""Noise2Score's table: synthetic noise, trained on BSD400, tested on Set12.

    python benchmarks/quality/paper.py --train BSD400 --test SET12                # two CPU cores
    python benchmarks/quality/paper.py --train BSD400 --test SET12 --preset gpu   # the full one

The full one takes 20 minutes of training for each noise on a data-centre GPU, two hours in all.
It can be done in parts, whose rows come together in one table:

    python benchmarks/quality/paper.py --train BSD400 --test SET12 --preset gpu \\
        --noises gaussian25 --output docs/quality/paper.md --keep

The folders hold grey images as PNG or TIFF, 8 bit; they are taken to 0..1. One score is trained
for each noise, on noisy images alone. Columns: "known" is corrected with the true parameters;
"blind" knows the family and estimates its parameters, from each test image by itself or once
from the noisy training images. ``--training blind`` trains without the true parameters, too: each
training image has its own estimate.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from noisy import TEST, TRAIN, Blind, Image, add_noise, prepare_exactly, read
from published import EXPERIMENTS, SET12, Experiment
from results import (
    Record,
    Results,
    add_run_options,
    json_beside,
    mean,
    settings_of,
    table,
    train_settings,
)
from scores import psnr

from napari_noise2score import ScoreModel, correct_image, score_image, train_score
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.progress import finish
from napari_noise2score.settings import NetworkSettings, TrainSettings

PRESETS: dict[str, dict[str, Any]] = {
    'cpu': {
        'seconds': 120.0,
        'device': 'cpu',
        'channels': 32,
        'levels': 3,
        'blocks': 1,
        'batch': 8,
        'patch': 64,
        'learning_rate': 2e-3,
        'realisations': 1,
    },
    'gpu': {
        'seconds': 1200.0,
        'device': 'cuda',
        'channels': 64,
        'levels': 4,
        'blocks': 2,
        'batch': 32,
        'patch': 128,
        'learning_rate': 1e-3,
        'realisations': 8,
    },
}
SAID_EVERY = 30.0


def learn(prepared: list[Prepared], training: TrainSettings, saved: Path | None) -> ScoreModel:
    """Score of the training images, or the one that is ``saved`` already."""
    if saved is not None and saved.exists():
        return ScoreModel.load(saved)
    last = time.perf_counter()

    def say(progress: Any) -> None:
        nonlocal last
        if time.perf_counter() - last > SAID_EVERY:
            last = time.perf_counter()
            print(f'  step {progress.step}, loss {progress.loss:.4f}', file=sys.stderr)

    model = finish(train_score(prepared, training), say)
    if saved is not None:
        model.save(saved)
    return model


def clean_images(
    model: ScoreModel,
    noisy: Iterable[Image],
    ready: Callable[[Image], Prepared],
    device: str,
    correction: Correction,
) -> list[Image]:
    """Clean estimates of test images."""
    found = []
    for image in noisy:
        score_map = finish(score_image(model, ready(image), device=device))
        found.append(correct_image(score_map, None, correction).image)
    return found


def measure(
    experiment: Experiment,
    clean: tuple[list[Image], list[Image]],
    training: TrainSettings,
    options: argparse.Namespace,
    saved: Path | None,
) -> Record:
    """Train on one kind of noise, test, and give the mean PSNR of every column."""
    noise, seed = experiment.noise, options.seed
    noisy = add_noise(clean[TRAIN], noise, seed, TRAIN, options.realisations)
    blind = Blind.of(noisy, noise)

    def known(image: Image) -> Prepared:
        return prepare_exactly(image, noise)

    begin = time.perf_counter()
    ready = known if options.training == 'known' else blind.of_image
    model = learn([ready(image) for image in noisy], training, saved)
    record: Record = {'noise': noise.to_dict(), 'training': options.training}
    record |= {'prepare_and_train_seconds': time.perf_counter() - begin}
    record |= {'images': len(clean[TRAIN]), 'realisations': options.realisations}

    tests = add_noise(clean[TEST], noise, seed, TEST)
    pairs = list(zip(tests, clean[TEST], strict=True))
    record['noisy'] = mean(psnr(y, x, 1.0, clip=False) for y, x in pairs)
    ways = {'known': known, 'blind_image': blind.of_image, 'blind_set': blind.of_set}
    for name, way in ways.items():
        found = clean_images(model, tests, way, training.device, Correction(options.correction))
        each = [psnr(got, x, 1.0) for got, x in zip(found, clean[TEST], strict=True)]
        record |= {name: mean(each), f'{name}_each': each}
    record['set_estimate'] = str(blind.set_estimate)
    record['training_record'] = model.training
    return record


def render(records: Sequence[Record]) -> str:
    """Our columns beside the published ones."""
    found = {one['experiment']: one for one in records}
    head = ['noise', 'noisy', 'known', 'blind, each image', 'blind, training set']
    head += [f'{name} (published)' for name in SET12] + ['noise of the training set, estimated']
    rows, notes = [], []
    for key, experiment in EXPERIMENTS.items():
        if key not in found:
            continue
        one = found[key]
        ours = [one[name] for name in ('noisy', 'known', 'blind_image', 'blind_set')]
        rows.append([experiment.label, *ours, *experiment.published, one['set_estimate']])
        made = one['training_record']
        size = ', '.join(f'{value} {name}' for name, value in made['network'].items())
        notes.append(
            f'* {experiment.label}: {made["steps_done"]} steps of {made["batch"]} patches of '
            f'{made["patch"]} pixels on {made["device"]}; network of {size}; '
            f'{one["training"]} noise in training; {one["realisations"]} x {one["images"]} '
            f'training images, {len(one["known_each"])} test images'
        )
    text = (
        'Mean PSNR in dB over the test images, range 1, clean estimates clipped to 0..1, noisy '
        'images neither clipped nor rounded. The published columns are those of Kim & Ye (2021) '
        'on Set12, trained on DIV2K and BSD400.\n\n'
    )
    return text + table(head, rows) + '\n\n' + '\n'.join(notes)


def parse() -> argparse.Namespace:
    """Options, with what is left open taken from the preset."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--train', type=Path, required=True, metavar='FOLDER')
    parser.add_argument('--test', type=Path, required=True, metavar='FOLDER')
    parser.add_argument('--preset', choices=PRESETS, default='cpu')
    parser.add_argument('--noises', default=','.join(EXPERIMENTS), help='comma-separated')
    parser.add_argument('--training', choices=('known', 'blind'), default='known')
    parser.add_argument('--correction', choices=list(Correction), default='auto')
    parser.add_argument('--images', type=int, default=0, help='of the training (0: all)')
    parser.add_argument('--realisations', type=int, help='noisy versions of a training image')
    for name in ('channels', 'levels', 'blocks', 'batch', 'patch'):
        parser.add_argument(f'--{name}', type=int)
    parser.add_argument('--learning-rate', type=float)
    parser.add_argument('--models', type=Path, help='keep scores here; use those that are there')
    parser.add_argument('--keep', action='store_true', help='keep other rows of --output')
    add_run_options(parser)
    parser.set_defaults(device=None)
    options = parser.parse_args()
    options.noises = options.noises.split(',')
    unknown = set(options.noises) - set(EXPERIMENTS)
    if unknown:
        parser.error(f'--noises {", ".join(unknown)}: known are {", ".join(EXPERIMENTS)}')
    for name, value in PRESETS[options.preset].items():
        by_steps = name == 'seconds' and options.steps is not None
        if getattr(options, name) is None and not by_steps:
            setattr(options, name, value)
    return options


def training_of(options: argparse.Namespace) -> TrainSettings:
    """Training that the options ask for."""
    return replace(
        train_settings(options),
        batch=options.batch,
        patch=options.patch,
        learning_rate=options.learning_rate,
        init='scratch',
        network=NetworkSettings(options.channels, options.levels, options.blocks),
    )


def kept(options: argparse.Namespace) -> list[Record]:
    """Rows of an earlier run that are not measured again."""
    if not options.keep or options.output is None or not json_beside(options.output).exists():
        return []
    earlier = json.loads(json_beside(options.output).read_text(encoding='utf-8'))
    return [one for one in earlier['records'] if one['experiment'] not in options.noises]


def main() -> None:
    options = parse()
    training = training_of(options)
    clean = read(options.train, options.images), read(options.test)
    results = Results(render, settings_of(options), options.device, options.output)
    results.keep(kept(options))
    if options.models is not None:
        options.models.mkdir(parents=True, exist_ok=True)
    for name in options.noises:
        saved = options.models and options.models / f'{name}-{options.training}.safetensors'
        record = measure(EXPERIMENTS[name], clean, training, options, saved)
        results.add({'experiment': name, **record})
    results.show()


if __name__ == '__main__':
    main()
