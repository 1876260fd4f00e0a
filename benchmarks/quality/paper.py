"""Noise2Score's table: synthetic noise on Set12, on other photographs, and on colour images.

    python benchmarks/quality/paper.py --train BSD400 --test SET12 --init warm --seconds 0
    python benchmarks/quality/paper.py --train BSD400 --test SET12                # two CPU cores
    python benchmarks/quality/paper.py --train BSD400 --test SET12 --preset gpu   # the full one

The first applies the pretrained weights to each test image and trains nothing. The others train
one score for each noise, on noisy images of BSD400 alone; the full one takes 20 minutes of
training for each noise on a data-centre GPU, two hours in all. It can be done in parts, whose rows
come together in the same tables:

    python benchmarks/quality/paper.py --train BSD400 --test SET12 --preset gpu \\
        --noises gaussian25 --output docs/quality/paper.md --keep

The folders hold grey images as PNG or TIFF, 8 bit; they are taken to 0..1. `photographs` has the
test sets. Columns: "known" is corrected with the true parameters; "blind" knows the family and
estimates its parameters, from each test image by itself or once from the noisy training images.
``--training blind`` trains without the true parameters, too: each training image has its own
estimate.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from noisy import TRAIN, Blind, Image, add_noise, prepare_exactly
from photographs import HELD_OUT, TEST_SETS, TestSet, photographs
from published import EXPERIMENTS
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

from napari_noise2score import (
    DenoiseSettings,
    ScoreModel,
    correct_image,
    score_image,
    train_score,
)
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.score.train import beginning
from napari_noise2score.settings import NetworkSettings, StartFrom, TrainSettings

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
STARTED = ('seconds', 'device', 'realisations')
"""What a training that does not begin from scratch takes of a preset."""
SAID_EVERY = 30.0
PROTOCOL = (
    'Mean PSNR in dB over the images of a set, range 1, clean estimates clipped to 0..1 and not '
    'rounded, noisy images neither clipped nor rounded. Every noisy image has its own fixed '
    'random numbers. "Known" has the true parameters; "blind" knows the family of the noise and '
    'estimates its parameters. Pixels are taken as independent, which they are here. The '
    'pretrained weights are those of the package: they were trained on synthetic images, and are '
    'applied to each image alone, as `--seconds 0` does.'
)


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

    model = train_score(prepared, training, on_progress=say)
    if saved is not None:
        model.save(saved)
    return model


def clean_images(
    model: ScoreModel | None,
    noisy: Iterable[Image],
    ready: Callable[[Image], Prepared],
    settings: DenoiseSettings,
) -> list[Image]:
    """Clean estimates of test images; without a model, from the weights of the start."""
    found = []
    for image in noisy:
        prepared = ready(image)
        own = model or beginning(prepared.channels, settings.training)
        score_map = score_image(
            own,
            prepared,
            device=settings.training.device,
            orientations=settings.views(image.size),
            sigma_a=settings.left_in,
        )
        found.append(correct_image(score_map, None, settings.correction).image)
    return found


def measure(
    name: str,
    learned: list[Image],
    tests: Mapping[str, list[Image]],
    training: TrainSettings,
    options: argparse.Namespace,
) -> Iterator[Record]:
    """Train on one kind of noise, and give the mean PSNR of every column for each test set."""
    noise, seed = EXPERIMENTS[name].noise, options.seed
    noisy = add_noise(learned, noise, seed, TRAIN, options.realisations)
    blind = Blind.of(noisy, noise)

    def known(image: Image) -> Prepared:
        return prepare_exactly(image, noise)

    settings = DenoiseSettings(training=training, correction=Correction(options.correction))
    ways = {'known': known, 'blind_image': blind.of_image, 'blind_set': blind.of_set}
    record: Record = {
        'experiment': name,
        'noise': noise.to_dict(),
        'weights': weights_of(training),
    }
    if training.trains:
        begin = time.perf_counter()
        ready = known if options.training == 'known' else blind.of_image
        saved = options.models and options.models / f'{name}-{options.training}.safetensors'
        model = learn([ready(image) for image in noisy], training, saved)
        record |= {'prepare_and_train_seconds': time.perf_counter() - begin}
        record |= {'training': options.training, 'training_record': model.training}
        record |= {'images': len(learned), 'realisations': options.realisations}
        record |= {'set_estimate': str(blind.set_estimate)}
    else:
        model = None
        del ways['blind_set']  # nothing was trained, so there is no training set

    for key, clean in tests.items():
        begin = time.perf_counter()
        test = add_noise(clean, noise, seed, TEST_SETS[key].role)
        pairs = zip(test, clean, strict=True)
        found: Record = {'sizes': sorted({' x '.join(map(str, x.shape[:2])) for x in clean})}
        found |= {'noisy': mean(psnr(y, x, 1.0, clip=False) for y, x in pairs)}
        for column, way in ways.items():
            got = clean_images(model, test, way, settings)
            each = [psnr(image, x, 1.0) for image, x in zip(got, clean, strict=True)]
            found |= {column: mean(each), f'{column}_each': each}
        yield {'set': key, **record, **found, 'test_seconds': time.perf_counter() - begin}


def weights_of(training: TrainSettings) -> str:
    """What the weights are, in words."""
    if training.init == StartFrom.SCRATCH:
        return 'trained from scratch'
    start = 'pretrained' if training.init == StartFrom.WARM else Path(training.init).stem
    return f'{start}, then trained' if training.trains else start


def render(records: Sequence[Record]) -> str:
    """A table of every test set, with our columns beside the published ones."""
    parts = [PROTOCOL]
    for key, test_set in TEST_SETS.items():
        found = [one for one in records if one['set'] == key]
        if found:
            count, sizes = len(found[0]['known_each']), ', '.join(found[0]['sizes'])
            parts += [f'## {test_set.title}']
            parts += [f'{count} images ({sizes} pixels). {test_set.about}']
            parts.append(table_of(found, test_set))
    notes = [trained_how(one) for one in in_order(records) if 'training_record' in one]
    if notes:
        parts += ['## Trainings', '\n'.join(dict.fromkeys(notes))]
    runs = dict.fromkeys(
        f'* `{one["run"]["command"]}`, {one["run"]["date"]}, version {one["run"]["version"]}'
        for one in records
    )
    return '\n\n'.join([*parts, '## Runs', '\n'.join(runs), 'The last of them:'])


def table_of(records: Sequence[Record], test_set: TestSet) -> str:
    """The table of one test set."""
    head = ['noise', 'weights', 'noisy', 'known', 'blind, each image', 'blind, training set']
    rows = []
    for one in in_order(records):
        experiment = EXPERIMENTS[one['experiment']]
        ours = [one.get(name) for name in ('noisy', 'known', 'blind_image', 'blind_set')]
        rows.append([experiment.label, one['weights'], *ours, *test_set.published(experiment)])
    return table([*head, *test_set.columns], rows)


def trained_how(record: Record) -> str:
    """One line on a training."""
    made = record['training_record']
    network = made['network']  # None: that of the pretrained weights
    size = ', '.join(f'{value} {name}' for name, value in network.items()) if network else ''
    return (
        f'* {EXPERIMENTS[record["experiment"]].label}, {record["weights"]}: '
        f'{made["steps_done"]} steps of {made["batch"]} patches of {made["patch"]} pixels on '
        f'{made["device"]}; {f"network of {size}; " if size else ""}{record["training"]} noise in '
        'training; '
        f'{record["realisations"]} x {record["images"]} training images, whose noise is estimated '
        f'as {record["set_estimate"]}'
    )


def in_order(records: Sequence[Record]) -> list[Record]:
    """By noise as in the paper, then by weights."""
    places = list(EXPERIMENTS)
    return sorted(records, key=lambda one: (places.index(one['experiment']), one['weights']))


def parse() -> argparse.Namespace:
    """Options, with what is left open taken from the preset."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--train', type=Path, required=True, metavar='FOLDER')
    parser.add_argument('--test', type=Path, metavar='FOLDER', help='Set12')
    parser.add_argument('--sets', default=','.join(TEST_SETS), help='comma-separated')
    parser.add_argument('--held-out', type=int, default=HELD_OUT, help='images of --train')
    parser.add_argument('--init', default='scratch', help='scratch, warm, or a model file')
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
    for name, known in (('noises', EXPERIMENTS), ('sets', TEST_SETS)):
        given = getattr(options, name).split(',')
        setattr(options, name, given)
        unknown = set(given) - set(known)
        if unknown:
            parser.error(f'--{name} {", ".join(unknown)}: known are {", ".join(known)}')
    for name, value in PRESETS[options.preset].items():
        by_steps = name == 'seconds' and options.steps is not None
        used = options.init == StartFrom.SCRATCH or name in STARTED
        if used and getattr(options, name) is None and not by_steps:
            setattr(options, name, value)
    return options


def training_of(options: argparse.Namespace) -> TrainSettings:
    """Training that the options ask for."""
    given = ('batch', 'patch', 'learning_rate')
    chosen = {name: getattr(options, name) for name in given if getattr(options, name) is not None}
    if options.init == StartFrom.SCRATCH:
        chosen['network'] = NetworkSettings(options.channels, options.levels, options.blocks)
    return replace(train_settings(options), init=options.init, **chosen)


def kept(options: argparse.Namespace, weights: str) -> list[Record]:
    """Rows of an earlier run that are not measured again."""
    if not options.keep or options.output is None or not json_beside(options.output).exists():
        return []
    earlier = json.loads(json_beside(options.output).read_text(encoding='utf-8'))
    return [
        one
        for one in earlier['records']
        if one['experiment'] not in options.noises
        or one['set'] not in options.sets
        or one['weights'] != weights
    ]


def main() -> None:
    options = parse()
    training = training_of(options)
    learned, tests = photographs(
        options.sets, options.train, options.test, options.held_out, options.images
    )
    results = Results(render, settings_of(options), options.device, options.output)
    results.keep(kept(options, weights_of(training)))
    if options.models is not None:
        options.models.mkdir(parents=True, exist_ok=True)
    for name in options.noises:
        for record in measure(name, learned, tests, training, options):
            results.add({**record, 'run': results.run})
    results.show()


if __name__ == '__main__':
    main()
