"""The commands: each takes the parsed options and returns the exit status."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_noise2score.cli.calibration import calibration, calibration_lines
from napari_noise2score.cli.options import noise_request, settings_of, train_settings
from napari_noise2score.cli.paths import check_writable, is_folder, parts, read, targets
from napari_noise2score.errors import InputError

if TYPE_CHECKING:
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.images.tiff import TiffImage
    from napari_noise2score.noise.calibrate import Calibration
    from napari_noise2score.noise.choose import NoiseRequest
    from napari_noise2score.noise.comparison import ChannelParameters
    from napari_noise2score.pipeline import DenoiseSettings
    from napari_noise2score.results import Denoised
    from napari_noise2score.score.model import ScoreModel

PROGRAM = 'napari-noise2score'
_IMAGES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff')


def denoise(options: argparse.Namespace) -> int:
    """Train on images and write them clean."""
    settings = settings_of(options)
    if options.difference is not None and options.init == 'scratch':
        raise InputError(
            '--difference compares with the weights that the training begins with; '
            '--init scratch has none'
        )
    if options.model_out is not None and settings.apart != 'none':
        raise InputError(
            f'--model-out keeps one score; --apart {settings.apart} trains several; leave out one'
        )
    return _write_clean(options, settings, None, options.model_out)


def apply(options: argparse.Namespace) -> int:
    """Write images clean with a trained score."""
    from napari_noise2score.score.model import ScoreModel

    settings = settings_of(options)
    return _write_clean(options, settings, ScoreModel.load(options.model), None)


def _write_clean(
    options: argparse.Namespace,
    settings: DenoiseSettings,
    model: ScoreModel | None,
    model_out: Path | None,
) -> int:
    from napari_noise2score.images.tiff import check_writable_as, write_tiff
    from napari_noise2score.pipeline import denoise_steps
    from napari_noise2score.report import gain_words, write_json
    from napari_noise2score.score.device import choose_device

    outputs = targets(options.images, options.output)
    wanted = getattr(options, 'difference', None)
    maps = targets(options.images, wanted) if wanted is not None else []
    for path in (*outputs, *maps, model_out, options.report):
        check_writable(path, options.images)
    choose_device(settings.training.device)
    images = read(options.images, options.axes, options.region, options.series)
    sources = [source for _, source in images]
    for source, target in zip(sources, outputs, strict=True):
        dtype = source.data.dtype if settings.output == 'source' else np.float32
        for note in check_writable_as(target, source.axes, dtype, source.shape):
            print(f'{PROGRAM}: {target.name}: {note}', file=sys.stderr)
    for source, target in zip(sources, maps, strict=bool(maps)):
        check_writable_as(target, source.axes, np.float32, source.shape)
    lessons = [[part] for part in parts(sources, getattr(options, 'learn_from', ''))]
    results: list[Denoised] = run(denoise_steps(sources, settings, lessons=lessons, model=model))
    options.output.mkdir(exist_ok=True) if is_folder(options) else None
    for (tiff, source), target, result in zip(images, outputs, results, strict=True):
        acquisition = tiff.acquisition.part(source.region)
        write_tiff(target, result.image, source.axes, acquisition)
        for warning in result.report['warnings']:
            print(f'{PROGRAM}: {source.name}: warning: {warning}', file=sys.stderr)
        result.report['warnings'] = [*tiff.notes, *result.report['warnings']]
    trained = {id(own): own for result in results for own in result.score_map.models}
    gains = [gain_words(own.training) for own in trained.values()]
    if model is None:
        print(*filter(None, gains), sep='\n')
    if maps:
        _write_maps(options, images, maps, results, settings)
    if model_out is not None:
        results[0].model.save(model_out)
    if options.report is not None:
        reports = [result.report for result in results]
        write_json(options.report, reports[0] if len(reports) == 1 else {'images': reports})
    return 0


def _write_maps(
    options: argparse.Namespace,
    images: list[tuple[TiffImage, ImageSource]],
    targets: list[Path],
    results: list[Denoised],
    settings: DenoiseSettings,
) -> None:
    """Write what the training changed; where most, into the reports."""
    from napari_noise2score.changed import what_changed
    from napari_noise2score.images.tiff import write_tiff

    if is_folder(options):
        options.difference.mkdir(exist_ok=True)
    for (tiff, source), target, result in zip(images, targets, results, strict=True):
        change = run(
            what_changed(
                result.score_map,
                device=settings.training.device,
                orientations=settings.views(source.size),
            )
        )
        write_tiff(target, change.image, source.axes, tiff.acquisition.part(source.region))
        result.report['largest_change'] = [place.to_dict() for place in change.largest]


def train(options: argparse.Namespace) -> int:
    """Train on images and keep the score."""
    from napari_noise2score.pipeline import train_score
    from napari_noise2score.prepare import prepare

    settings, noise = train_settings(options), noise_request(options, calibration(options))
    check_writable(options.model, options.images)
    images = read(options.images, options.axes, options.region, options.series)
    sources = [source for _, source in images]
    lessons = parts(sources, options.learn_from) or sources
    prepared = [prepare(source, noise) for source in lessons]
    model: ScoreModel = run(train_score(prepared, settings))
    model.save(options.model)
    return 0


def estimate(options: argparse.Namespace) -> int:
    """Say what the noise of an image is."""
    from napari_noise2score.noise.choose import NoiseRequest
    from napari_noise2score.noise.families import parameters_of
    from napari_noise2score.prepare import estimate_channel

    measured = calibration(options)
    request = noise_request(options, measured)
    if options.model is None and measured is None and request != NoiseRequest():
        raise InputError('noise that is given is compared by means of a score: give --model too')
    ((_, source),) = read(options.images, options.axes, series=options.series)
    if options.model is not None:
        return _compare(options, source, request)
    if measured is not None:
        return _measured(options, source, measured, request)
    fits = [(channel.place, estimate_channel(channel)) for channel in source.channels()]
    if options.json:
        channels = [{'place': place, **fit.to_dict()} for place, fit in fits]
        print(json.dumps({'source': source.name, 'channels': channels}, indent=2))
        return 0
    for place, fit in fits:
        print(f'{place_words(place)}{fit.family}')
        for name, error in fit.errors.items():
            value = fit.family.parameters()[name]
            unit = parameters_of(type(fit.family))[name].metadata['unit']
            print(f'  {name.replace("_", " ")}: {value:.4g} +- {error:.2g} {unit}'.rstrip())
        print(f'  {fit.correlation_words}')
        print(f'  from {fit.evidence.method}, {fit.frames} frame(s)')
        for warning in fit.warnings:
            print(f'  {warning}')
    return 0


def _measured(
    options: argparse.Namespace,
    source: ImageSource,
    measured: Calibration,
    request: NoiseRequest,
) -> int:
    """The noise of an image, with what was measured on calibration frames."""
    from napari_noise2score.prepare import prepare

    channels = prepare(source, request).channels
    if options.json:
        found = [
            {
                'place': channel.channel.place,
                'noise': channel.family.to_dict(),
                'blind_estimate': channel.fit and channel.fit.to_dict(),
                'warnings': []
                if channel.fit is None
                else channel.fit.warnings_for(channel.family),
            }
            for channel in channels
        ]
        record = {'source': source.name, 'calibration': measured.to_dict(), 'channels': found}
        print(json.dumps(record, indent=2))
        return 0
    print('\n'.join(calibration_lines(measured)))
    for channel in channels:
        print(f'{place_words(channel.channel.place)}{channel.family}')
        left = [n.replace('_', ' ') for n in measured.missing if n not in request.parameters]
        if left:
            print(f'  {" and ".join(left)} estimated from the image')
        for warning in () if channel.fit is None else channel.fit.warnings_for(channel.family):
            print(f'  {warning}')
    return 0


def _compare(options: argparse.Namespace, source: ImageSource, request: NoiseRequest) -> int:
    """The noise parameters of an image in all ways, with a trained score."""
    from napari_noise2score.parameters import compare_parameters
    from napari_noise2score.prepare import prepare
    from napari_noise2score.score.model import ScoreModel

    model = ScoreModel.load(options.model)
    steps = compare_parameters(model, prepare(source, request), device=options.device)
    found: tuple[ChannelParameters, ...] = run(steps)
    if options.json:
        channels = [{'place': channel.place, **channel.to_dict()} for channel in found]
        print(json.dumps({'source': source.name, 'channels': channels}, indent=2))
        return 0
    for channel in found:
        print(f'{place_words(channel.place)}{channel}')
    return 0


def place_words(place: dict[str, int]) -> str:
    """Which channel, as a prefix of a line."""
    where = ', '.join(f'{axis} {index}' for axis, index in place.items())
    return f'{where}: ' if where else ''


def export(options: argparse.Namespace) -> int:
    """Write a trained score as a package for bioimage.io."""
    from napari_noise2score.export import export_bioimageio
    from napari_noise2score.score.model import ScoreModel

    check_writable(options.output, [options.model])
    export_bioimageio(
        ScoreModel.load(options.model),
        options.output,
        name=options.name or options.output.stem,
        authors=tuple(options.author or ('Unknown author',)),
        licence=options.licence,
    )
    return 0


def pretrain(options: argparse.Namespace) -> int:
    """Make weights for trainings to start from; the log of the loss goes to standard output."""
    from napari_noise2score.images.procedural import procedural_image
    from napari_noise2score.score.network import NetworkSettings
    from napari_noise2score.score.warm.exercise import places_in
    from napari_noise2score.score.warm.pretrain import PretrainSettings, pretrain

    settings = PretrainSettings(
        steps=options.steps,
        seed=options.seed,
        device=options.device,
        network=NetworkSettings(channels=options.channels, blocks=options.blocks),
    )
    check_writable(options.output, [])
    source = procedural_image if options.images is None else places_in(clean(options.images))
    steps = logged(pretrain(settings, source=source, state=options.state))
    model: ScoreModel = run(steps)
    model.save(options.output, compact=True)
    digest = hashlib.sha256(options.output.read_bytes()).hexdigest()
    print(f'{options.output}: SHA-256 {digest}')
    return 0


def clean(folder: Path) -> list[Any]:
    """All PNG, JPEG and TIFF images of a folder, (Y, X), grey."""
    from skimage.io import imread

    from napari_noise2score.images.tiff.guard import reason

    if not folder.is_dir():
        raise InputError(f'{folder}: no such folder; one with clean grey images is needed')
    images = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in _IMAGES:
            try:
                images.append(imread(path, as_gray=True))
            except Exception as error:  # of any class, see `images.tiff.guard.readable`
                raise InputError(
                    f'{folder}: holds what is no image: {path.name} ({reason(error)})'
                ) from error
    return images


def logged(steps: Any) -> Any:
    """Pass on the progress of a pretraining, and print every hundredth of it."""
    from napari_noise2score.steps import relay

    told = -1

    def tell(progress: Any) -> Any:
        nonlocal told
        if int(100 * progress.fraction) > told:
            told = int(100 * progress.fraction)
            print(f'{progress.step}\t{progress.seconds:.0f} s\t{progress.loss:.4f}', flush=True)
        return progress

    return relay(steps, tell)


def demo(options: argparse.Namespace) -> int:
    """Denoise a synthetic stack and show it."""
    from napari_noise2score.demo import run_demo
    from napari_noise2score.score.settings import TrainSettings

    settings = TrainSettings(seconds=options.seconds, seed=options.seed, device=options.device)
    check_writable(options.output / 'report.json', [], make_folder=True)
    return run_demo(options.output, settings, viewer=not options.no_viewer, run=run)


def run(steps: Any) -> Any:
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
