"""The command line: ``napari-noise2score denoise | train | apply | estimate | demo``.

Exit status: 0 done, 1 the work failed, 2 the input is not acceptable (one line says what was got
and what would be accepted), 130 interrupted. Output files appear whole or not at all.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from napari_noise2score.errors import CheckpointError, InputError, TrainingError

if TYPE_CHECKING:
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.images.tiff import TiffImage
    from napari_noise2score.noise.choose import NoiseRequest
    from napari_noise2score.noise.comparison import ChannelParameters
    from napari_noise2score.pipeline import DenoiseSettings
    from napari_noise2score.results import Denoised
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.score.settings import TrainSettings

PROGRAM = 'napari-noise2score'
CORRECTIONS = ('auto', 'chained', 'paper', 'stabilised')
DEVICES = ('auto', 'cpu', 'cuda', 'mps')
SECONDS = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except (InputError, CheckpointError) as error:
        return _fail(2, str(error))
    except TrainingError as error:
        return _fail(1, str(error))
    except OSError as error:
        return _fail(1, f'{error.filename or "file"}: {error.strerror or error}')
    except KeyboardInterrupt:
        return _fail(130, 'interrupted; nothing was written')
    except RuntimeError as error:  # what torch raises, out of memory included
        return _fail(1, f'torch failed: {str(error).splitlines()[0]}')


def _fail(status: int, text: str) -> int:
    line = ' '.join(text.split())
    print(f'{PROGRAM}: {line}', file=sys.stderr)
    return status


class _Parser(argparse.ArgumentParser):
    """A parser whose error is one line."""

    def error(self, message: str) -> NoReturn:
        raise SystemExit(_fail(2, f'{message} (see {self.prog} --help)'))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(PROGRAM, description='Denoise microscope images without clean ones.')
    parser.add_argument('--version', action='version', version=_version())
    commands = parser.add_subparsers(required=True, metavar='COMMAND')

    denoise = commands.add_parser('denoise', help='train on images and write them clean')
    _add_inputs(denoise)
    _add_output(denoise)
    _add_noise(denoise)
    _add_correction(denoise)
    _add_training(denoise)
    denoise.add_argument('--model-out', type=Path, metavar='M', help='keep the trained score here')
    denoise.set_defaults(command=_denoise)

    train = commands.add_parser('train', help='train on images and keep the score')
    _add_inputs(train)
    train.add_argument('--model', type=Path, required=True, metavar='M', help='where to keep it')
    _add_noise(train)
    _add_training(train)
    train.set_defaults(command=_train)

    apply = commands.add_parser('apply', help='write images clean with a trained score')
    apply.add_argument('model', type=Path, metavar='M', help='a score kept by train or denoise')
    _add_inputs(apply)
    _add_output(apply)
    _add_noise(apply)
    _add_correction(apply)
    _add_device(apply)
    apply.set_defaults(command=_apply)

    estimate = commands.add_parser('estimate', help='say what the noise of an image is')
    estimate.add_argument('images', nargs=1, type=Path, metavar='IN')
    _add_axes(estimate)
    estimate.add_argument('--json', action='store_true', help='with the evidence, as JSON')
    estimate.add_argument(
        '--model', type=Path, metavar='M', help='a trained score: find the noise three ways'
    )
    _add_noise(estimate)
    _add_device(estimate)
    estimate.set_defaults(command=_estimate)

    demo = commands.add_parser('demo', help='denoise a synthetic stack and show it')
    demo.add_argument('--output', type=Path, default=Path('noise2score-demo'), metavar='FOLDER')
    demo.add_argument('--seconds', type=float, default=30.0, help='training time (default 30)')
    demo.add_argument('--no-viewer', action='store_true', help='write the files only')
    _add_device(demo)
    _add_seed(demo)
    demo.set_defaults(command=_demo)
    return parser


def _version() -> str:
    from napari_noise2score import __version__

    return f'{PROGRAM} {__version__}'


def _add_axes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--axes', help='a letter for each axis, of TCZYXS, such as TYX (default: from the file)'
    )


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('images', nargs='+', type=Path, metavar='IN', help='TIFF or OME-TIFF')
    _add_axes(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--output', type=Path, required=True, metavar='OUT', help='a TIFF, or a folder for several'
    )
    parser.add_argument('--report', type=Path, metavar='R.json', help='settings, noise, checks')


def _add_noise(parser: argparse.ArgumentParser) -> None:
    from napari_noise2score.noise.families import FAMILIES

    group = parser.add_argument_group('noise (what is not given is estimated)')
    group.add_argument('--noise', choices=('auto', *FAMILIES), default='auto')
    for name, spec in _noise_parameters().items():
        group.add_argument(
            '--' + name.replace('_', '-'),
            type=float,
            metavar=spec.metadata['metavar'],
            help=spec.metadata['tooltip'],
        )
    group.add_argument(
        '--correlation', choices=('auto', 'none'), default='auto', help='between pixels'
    )


def _noise_parameters() -> dict[str, Any]:
    from napari_noise2score.noise.families import FAMILIES, parameters_of

    return {
        name: spec for family in FAMILIES.values() for name, spec in parameters_of(family).items()
    }


def _add_correction(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--correction', choices=CORRECTIONS, default='auto')
    parser.add_argument(
        '--sigma-a', type=float, metavar='A', help='perturbation at inference (default: chosen)'
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('training')
    group.add_argument('--seconds', type=float, help=f'training time (default {SECONDS:g})')
    group.add_argument('--steps', type=int, help='gradient steps; alone, there is no time limit')
    group.add_argument(
        '--loss', default='preconditioned', help='preconditioned, published or sliced'
    )
    _add_device(group)
    _add_seed(group)


def _add_device(parser: argparse._ActionsContainer) -> None:
    parser.add_argument('--device', choices=DEVICES, default='auto')


def _add_seed(parser: argparse._ActionsContainer) -> None:
    parser.add_argument('--seed', type=int, default=0, help='start of the random numbers')


def _noise_request(options: argparse.Namespace) -> NoiseRequest:
    from napari_noise2score.noise.choose import NoiseRequest

    given = {name: getattr(options, name) for name in _noise_parameters()}
    known = {name: value for name, value in given.items() if value is not None}
    return NoiseRequest(options.noise, known, options.correlation)


def _train_settings(options: argparse.Namespace) -> TrainSettings:
    from napari_noise2score.score.settings import TrainSettings

    seconds = options.seconds
    if seconds is None and options.steps is None:
        seconds = SECONDS
    return TrainSettings(
        seconds=seconds,
        steps=options.steps,
        loss=options.loss,
        seed=options.seed,
        device=options.device,
    )


def _settings(options: argparse.Namespace) -> DenoiseSettings:
    from napari_noise2score.noise.correct import Correction
    from napari_noise2score.pipeline import DenoiseSettings
    from napari_noise2score.score.settings import TrainSettings

    trains = hasattr(options, 'seconds')
    return DenoiseSettings(
        noise=_noise_request(options),
        correction=Correction(options.correction),
        sigma_a=options.sigma_a,
        training=_train_settings(options) if trains else TrainSettings(device=options.device),
    )


def _denoise(options: argparse.Namespace) -> int:
    settings = _settings(options)
    return _write_clean(options, settings, None, options.model_out)


def _apply(options: argparse.Namespace) -> int:
    from napari_noise2score.score.model import ScoreModel

    settings = _settings(options)
    return _write_clean(options, settings, ScoreModel.load(options.model), None)


def _write_clean(
    options: argparse.Namespace,
    settings: DenoiseSettings,
    model: ScoreModel | None,
    model_out: Path | None,
) -> int:
    from napari_noise2score.images.tiff import write_tiff
    from napari_noise2score.pipeline import denoise_steps
    from napari_noise2score.report import write_json
    from napari_noise2score.score.device import choose_device

    targets = _targets(options.images, options.output)
    for path in (*targets, model_out, options.report):
        _check_writable(path, options.images)
    choose_device(settings.training.device)
    images = _read(options.images, options.axes)
    sources = [source for _, source in images]
    results: list[Denoised] = _run(denoise_steps(sources, settings, model=model))
    options.output.mkdir(exist_ok=True) if _is_folder(options) else None
    for (tiff, source), target, result in zip(images, targets, results, strict=True):
        write_tiff(target, result.image, source.axes, tiff.resolution)
        for warning in result.report['warnings']:
            print(f'{PROGRAM}: {source.name}: warning: {warning}', file=sys.stderr)
    if model_out is not None:
        results[0].model.save(model_out)
    if options.report is not None:
        reports = [result.report for result in results]
        write_json(options.report, reports[0] if len(reports) == 1 else {'images': reports})
    return 0


def _train(options: argparse.Namespace) -> int:
    from napari_noise2score.pipeline import train_score
    from napari_noise2score.prepare import prepare

    settings, noise = _train_settings(options), _noise_request(options)
    _check_writable(options.model, options.images)
    images = _read(options.images, options.axes)
    prepared = [prepare(source, noise) for _, source in images]
    model: ScoreModel = _run(train_score(prepared, settings))
    model.save(options.model)
    return 0


def _estimate(options: argparse.Namespace) -> int:
    from napari_noise2score.noise.choose import NoiseRequest
    from napari_noise2score.prepare import estimate_channel

    request = _noise_request(options)
    if options.model is None and request != NoiseRequest():
        raise InputError('noise that is given is compared by means of a score: give --model too')
    ((_, source),) = _read(options.images, options.axes)
    if options.model is not None:
        return _compare(options, source, request)
    fits = [(channel.place, estimate_channel(channel)) for channel in source.channels()]
    if options.json:
        channels = [{'place': place, **fit.to_dict()} for place, fit in fits]
        print(json.dumps({'source': source.name, 'channels': channels}, indent=2))
        return 0
    for place, fit in fits:
        print(f'{_place(place)}{fit.family}')
        for name, error in fit.errors.items():
            value = fit.family.parameters()[name]
            print(f'  {name.replace("_", " ")}: {value:.4g} +- {error:.2g}')
        print(f'  from {fit.evidence.method}, {fit.frames} frame(s)')
        for warning in fit.warnings:
            print(f'  {warning}')
    return 0


def _compare(options: argparse.Namespace, source: ImageSource, request: NoiseRequest) -> int:
    """The noise parameters of an image in all ways, with a trained score."""
    from napari_noise2score.parameters import compare_parameters
    from napari_noise2score.prepare import prepare
    from napari_noise2score.score.model import ScoreModel

    model = ScoreModel.load(options.model)
    steps = compare_parameters(model, prepare(source, request), device=options.device)
    found: tuple[ChannelParameters, ...] = _run(steps)
    if options.json:
        channels = [{'place': channel.place, **channel.to_dict()} for channel in found]
        print(json.dumps({'source': source.name, 'channels': channels}, indent=2))
        return 0
    for channel in found:
        print(f'{_place(channel.place)}{channel}')
    return 0


def _place(place: dict[str, int]) -> str:
    where = ', '.join(f'{axis} {index}' for axis, index in place.items())
    return f'{where}: ' if where else ''


def _demo(options: argparse.Namespace) -> int:
    from napari_noise2score.demo import run_demo
    from napari_noise2score.score.settings import TrainSettings

    settings = TrainSettings(seconds=options.seconds, seed=options.seed, device=options.device)
    _check_writable(options.output / 'report.json', [], make_folder=True)
    return run_demo(options.output, settings, viewer=not options.no_viewer, run=_run)


def _is_folder(options: argparse.Namespace) -> bool:
    return len(options.images) > 1 or options.output.is_dir()


def _targets(inputs: Sequence[Path], output: Path) -> list[Path]:
    """Where each clean image goes."""
    from napari_noise2score.images.tiff import SUFFIXES

    if len(inputs) == 1 and not output.is_dir():
        if output.suffix.lower() not in SUFFIXES:
            raise InputError(f'{output}: images are written as {" or ".join(SUFFIXES)}')
        return [output]
    if output.is_file() or output.suffix.lower() in SUFFIXES:
        raise InputError(f'{output}: is one file; {len(inputs)} images need a folder')
    names = [path.name for path in inputs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f'{twice[0]}: two inputs have this name and would overwrite each other')
    return [output / name for name in names]


def _check_writable(
    path: Path | None, inputs: Sequence[Path], *, make_folder: bool = False
) -> None:
    """Raise before any work is done if a file could not be written at the end of it."""
    if path is None:
        return
    parent = path.parent
    if not parent.is_dir() and not parent.parent.is_dir():
        raise InputError(f'{path}: there is no folder {parent}')
    if not parent.is_dir() and make_folder:
        parent.mkdir()
    if path.is_dir():
        raise InputError(f'{path}: is a folder; a file name is needed')
    for source in inputs:
        if path.exists() and source.exists() and path.samefile(source):
            raise InputError(f'{path}: is an input too; give another output')


def _read(paths: Sequence[Path], axes: str | None) -> list[tuple[TiffImage, ImageSource]]:
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.images.tiff import read_tiff

    images = [read_tiff(path, axes) for path in paths]
    return [
        (image, ImageSource(image.data, image.axes, path.name))
        for path, image in zip(paths, images, strict=True)
    ]


def _run(steps: Any) -> Any:
    """Run a generator of progress to its end, with a bar on a terminal."""
    from tqdm import tqdm

    from napari_noise2score.steps import finish

    with tqdm(total=1000, bar_format=_BAR, disable=None, file=sys.stderr, leave=False) as bar:

        def show(progress: Any) -> None:
            training = getattr(progress, 'training', progress)
            stage = getattr(progress, 'stage', 'train' if hasattr(progress, 'step') else 'score')
            loss = getattr(training, 'loss', None)
            text = stage if loss is None else f'{stage}, step {training.step}, loss {loss:.3f}'
            bar.set_description_str(text, refresh=False)
            bar.n = round(1000 * progress.fraction)
            bar.refresh() if progress.fraction >= 1 else bar.update(0)

        return finish(steps, show)


_BAR = '{desc} |{bar}| {percentage:3.0f} % [{elapsed}<{remaining}]'
