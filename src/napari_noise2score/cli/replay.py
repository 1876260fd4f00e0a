"""The command ``replay``: what a recipe says, done again on the same or on other images."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_noise2score.cli.console import note
from napari_noise2score.cli.inputs import existing_image
from napari_noise2score.cli.outputs import file_named
from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr import named
from napari_noise2score.settings import DenoiseSettings, ModelPer, StartFrom
from napari_noise2score.settings.options import option_words

_OF_TRAINING = frozenset({'--seconds', '--steps', '--init', '--loss', '--seed'})
_SWITCHES = frozenset({'--frames', '--no-frames', '--redraw', '--no-redraw'})
_ALSO_OF_TRAINING = frozenset({'--save-every', '--model-per'})


def add_replay(commands: Any, call: Callable[[Sequence[str]], int]) -> None:
    """The command ``replay``; ``call`` runs the words of another command."""
    parser = commands.add_parser(
        'replay', help='denoise again as a report says, the same images or others'
    )
    parser.add_argument(
        'recipe',
        type=Path,
        metavar='RECIPE',
        help='report that denoise or apply wrote (R.json), or the result itself, which states '
        'how it was made',
    )
    parser.add_argument(
        'images',
        nargs='*',
        type=Path,
        metavar='IN',
        help='images to denoise (default: the image of the report, where it was)',
    )
    parser.add_argument(
        '--output', required=True, metavar='OUT', help='as of denoise: a file, or a folder'
    )
    parser.add_argument(
        '--model',
        type=Path,
        metavar='M',
        help='apply this model, saved with --model-out, instead of training again',
    )
    parser.add_argument('--report', type=file_named, metavar='R', help='as of denoise')
    parser.add_argument('--overwrite', action='store_true', help='as of denoise')
    parser.add_argument('--dry-run', action='store_true', help='as of denoise')
    parser.set_defaults(command=lambda options: replay(options, call))


def replay(options: argparse.Namespace, call: Callable[[Sequence[str]], int]) -> int:
    """Denoise again as a recipe says; ``call`` runs the words of another command."""
    recipe = recipe_in(options.recipe)
    images: list[Path] = options.images or [_own_image(options.recipe, recipe)]
    words = replay_words(recipe, images, options.output, options.model)
    if options.overwrite:
        words.append('--overwrite')
    if options.report is not None:
        words += ['--report', str(options.report)]
    if options.dry_run:
        words.append('--dry-run')
    for difference in differences(recipe, images, options.model):
        note(f'{named(options.recipe)}: {difference}')
    return call(words)


def _own_image(path: Path, recipe: Mapping[str, Any]) -> Path:
    """The image that a recipe was made for."""
    if not recipe.get('file'):
        raise InputError(
            f'{named(path)}: does not state where its image is; name the images to denoise after '
            'it'
        )
    image = Path(recipe['file'])
    try:
        return existing_image(image)
    except InputError as error:
        raise InputError(f'{image}: is no longer there; name the images to denoise') from error


def recipe_in(path: Path) -> dict[str, Any]:
    """The recipe in a report, in the values of a page, or in a result itself.

    Raises
    ------
    InputError
        If there is none.
    """
    from napari_noise2score.images.formats import recipe_of

    if path.suffix.lower() != '.json':
        if not path.exists():
            raise InputError(f'{named(path)}: no such file; a report or a result is needed')
        stated = recipe_of(path)
        if stated is None:
            raise InputError(
                f'{named(path)}: does not state how it was made; a report in JSON (--report '
                'R.json) or a result of this program is needed'
            )
        return stated
    try:
        values = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: is no report in JSON ({error})') from error
    if isinstance(values, dict) and values.get('images'):
        first = values['images'][0]
        if any(other.get('settings') != first.get('settings') for other in values['images']):
            raise InputError(f'{path}: its images were made with different settings')
        note(f'{path}: is the report of {len(values["images"])} images with the same settings')
        values = {key: value for key, value in first.items() if key != 'file'}
    found = values.get('recipe', values) if isinstance(values, dict) else None
    if not isinstance(found, dict) or not isinstance(found.get('settings'), dict):
        raise InputError(
            f'{path}: does not state how an image was made; the report that denoise wrote '
            '(--report R.json) is needed'
        )
    return found


def replay_words(
    recipe: Mapping[str, Any], images: Sequence[Path], output: str, model: Path | None = None
) -> list[str]:
    """The words of the command that does what a recipe says.

    A training that ended by its time has as many steps as it had then. With a ``model`` this is
    applied, and nothing is trained.

    Raises
    ------
    InputError
        If the recipe has settings that are unknown here, or needs calibration images.
    """
    try:
        settings = DenoiseSettings.from_dict(recipe['settings'])
    except InputError as error:
        raise InputError(f'the recipe cannot be replayed: {error}') from error
    given = option_words(settings)
    steps = (recipe.get('training') or {}).get('steps_done')
    if model is not None:
        given = list(_without_training(given))
    elif settings.training.trains and settings.training.seconds is not None and steps:
        given = [*_without(given, '--seconds', '--steps'), '--steps', str(steps)]
    words = ['denoise'] if model is None else ['apply', str(model)]
    words += [*map(str, images), '--output', output, '--axes', str(recipe['axes'])]
    if recipe.get('region'):
        words += ['--region', recipe['region']]
    if recipe.get('learn_from') and model is None:
        words += ['--learn-from', recipe['learn_from']]
    words += given
    if model is None and not _was_together(recipe) and settings.model_per is ModelPer.ALL:
        words += ['--model-per', ModelPer.IMAGE.value]  # the same again, for each image
    for name, value in settings.noise.parameters.items():
        words.append(f'--{name.replace("_", "-")}={float(value)!r}')  # one word: -1e-05 is none
    return words


def differences(
    recipe: Mapping[str, Any], images: Sequence[Path], model: Path | None = None
) -> Iterator[str]:
    """What is not as it was when the recipe was made, in words."""
    from napari_noise2score.images.formats import read_image
    from napari_noise2score.images.region import Region
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.pipeline.record import versions

    for image in images:
        try:
            read = read_image(image, recipe['axes'])
            source = ImageSource(read.data, read.axes, image.name)
            crc32 = f'{source.part(Region.parse(recipe.get("region") or "")).checksum():08x}'
        except InputError:  # said when its turn comes
            continue
        if crc32 != recipe.get('crc32'):
            yield (
                f'{named(image)} is another image than that of the recipe '
                f'({recipe.get("source")}, CRC-32 {recipe.get("crc32")}; here {crc32})'
            )
    for name, now in versions().items():
        before = recipe.get('versions', {}).get(name)
        if before != now:
            yield f'was made with {name} {before}; here is {now}'
    before, now = _weights(recipe, model)
    if before and before != now:
        what = 'the model that is applied' if model is not None else 'the pretrained weights'
        yield f'{what} are other weights ({now[:12]}..., not {before[:12]}...)'
    trained = recipe['settings'].get('training', {})
    if model is None and trained.get('seconds') and recipe.get('training'):
        yield (
            f'its training was limited to {trained["seconds"]:g} s; it is repeated with the same '
            'number of steps, which gives similar, not identical pixels. With the model of that '
            'training (--model) they are identical'
        )


def _weights(recipe: Mapping[str, Any], model: Path | None) -> tuple[str, str]:
    """Digests of the weights that a recipe used, and of those that are used now."""
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.score.pretraining.weights import starting_model

    used = (recipe.get('model') or {}).get('sha256', '')
    if model is not None:
        return used, ScoreModel.load(model).digest
    start = (recipe.get('training') or {}).get('start') or {}
    init = recipe['settings'].get('training', {}).get('init', StartFrom.WARM)
    seconds = recipe['settings'].get('training', {}).get('seconds')
    before = used if seconds == 0 else start.get('sha256', '')
    if not before or init == StartFrom.SCRATCH:
        return '', ''
    begin = starting_model(init, context=bool(recipe.get('learned_context')))
    return before, '' if begin is None else begin.digest


def _was_together(recipe: Mapping[str, Any]) -> bool:
    """Whether one model was trained on several images."""
    return int(recipe.get('images', len(recipe.get('trained_on') or []))) > 1


def _without(words: Sequence[str], *names: str) -> Iterator[str]:
    """Options without those of these names and their values."""
    rest = iter(words)
    for word in rest:
        if word in names:
            next(rest, None)
        else:
            yield word


def _without_training(words: Sequence[str]) -> Iterator[str]:
    valued = _without(words, *_OF_TRAINING, *_ALSO_OF_TRAINING)
    return (word for word in valued if word not in _SWITCHES)
