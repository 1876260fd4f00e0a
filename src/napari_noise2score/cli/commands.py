"""The commands: each takes the parsed options and returns the exit status."""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_noise2score.cli.batch import Batch
from napari_noise2score.cli.calibration import calibration, calibration_lines
from napari_noise2score.cli.console import note, say
from napari_noise2score.cli.images import Images
from napari_noise2score.cli.inputs import files_of, other_inputs
from napari_noise2score.cli.memory_limit import check_learning
from napari_noise2score.cli.model_size import bytes_of_model
from napari_noise2score.cli.options import noise_request, train_settings
from napari_noise2score.cli.outputs import Output, check_outputs, outputs_of, tried
from napari_noise2score.cli.plan import tell_inputs
from napari_noise2score.cli.progress import run, tell
from napari_noise2score.cli.resume import Resumption, folder_beside
from napari_noise2score.cli.table import Table, gained, image_values, noise_values
from napari_noise2score.cli.trained import TrainedBefore
from napari_noise2score.errors import InputError, TrainingError
from napari_noise2score.images.axes import place_words
from napari_noise2score.images.ome_zarr.location import named
from napari_noise2score.images.space import check_space
from napari_noise2score.memory import LIMIT
from napari_noise2score.noise.digits import counted
from napari_noise2score.plain import json_text
from napari_noise2score.progress import STAGES
from napari_noise2score.settings import DenoiseSettings, PretrainSettings, TrainSettings
from napari_noise2score.settings.options import read_fields

if TYPE_CHECKING:
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.noise.calibration.calibrate import Calibration
    from napari_noise2score.noise.from_score.comparison import ChannelParameters
    from napari_noise2score.noise.request import NoiseRequest
    from napari_noise2score.pipeline.prepared import PreparedChannel
    from napari_noise2score.pipeline.results import Event, Progress
    from napari_noise2score.score.model import ScoreModel

_SHORTEST = 5
"""Letters of the shortest name that bioimage.io accepts."""
_TRAINED = 'trained already, on the same images with the same settings'
DEMO = TrainSettings(seconds=30.0)
"""How the demo trains where nothing else is given."""
_IMAGES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff')


def train(options: argparse.Namespace) -> int:
    """Train on images and keep the score."""
    from napari_noise2score.pipeline.run import train_steps
    from napari_noise2score.score.device import choose_device
    from napari_noise2score.score.pretraining.weights import starting_model

    training = train_settings(options)
    noise = noise_request(options, calibration(options))
    settings = read_fields(options, DenoiseSettings(noise, training=training))
    files, wrong = files_of(options.images, recursive=options.recursive, scene=options.scene)
    inputs = [*files, *other_inputs(options, 'dark', 'flat', 'init')]
    tables = outputs_of(table=options.table)
    resumption = Resumption(folder_beside(options.model), training, resume=options.resume)
    check_outputs([*outputs_of(model=options.model), *tables], inputs)
    choose_device(training.device)
    start = starting_model(training.init)
    before = TrainedBefore(options, settings, files, start)
    done = not (options.overwrite or resumption.resumes) and before.is_done(options.model)
    if options.dry_run and done:
        say(f'would be skipped: {options.model}: {_TRAINED}')
        return 0
    if options.dry_run:
        return tell_inputs(Images(files, options), Batch(files, wrong), training)
    if not done:
        check_space([(options.model, bytes_of_model(start, training))])
    with tried([*outputs_of(model=options.model), *tables, *resumption.outputs], inputs):
        batch = Batch(files, wrong, Table([output.path for output in tables]))
        if done:
            note(f'{options.model}: skipped: {_TRAINED}; --overwrite trains again')
            for file in files:
                batch.skip(file, told=False)
            return batch.status()
        images = Images(files, options, together=True)
        if options.max_memory is not None:
            check_learning(options, _opened(images), trains=training.trains)
        steps = train_steps(
            images.learned_from, settings, keep_going=not batch.single, folder=resumption.begin()
        )
        run(_saved(resumption.told(steps), options.model, before, images, batch))
        resumption.end()
        note(f'written: {options.model}')
        return batch.status()


def _opened(images: Images) -> Iterator[ImageSource]:
    """The parts to learn from of the images that can be opened."""
    for number in range(len(images)):
        with suppress(InputError, OSError):  # told when its turn comes
            yield images.at(number).source


def _saved(
    steps: Iterable[Event], target: Path, before: TrainedBefore, images: Images, batch: Batch
) -> Generator[Progress, None, None]:
    """Save the model of a training; its progress is passed on."""
    from napari_noise2score.images.formats import ORIGIN
    from napari_noise2score.pipeline.results import Estimated, Failed, Progress, Trained

    begin, known = time.perf_counter(), dict[int, dict[str, Any]]()
    for event in steps:
        match event:
            case Estimated():
                noise = [channel.family.to_dict() for channel in event.image.channels]
                stated = images.at(event.number).acquisition
                values = image_values(event.image.source, stated)
                known[event.number] = {**values, **noise_values(noise)}
            case Trained():
                event.model.data[ORIGIN] = before.record(event.numbers)
                event.model.save(target)
                for number in event.numbers:
                    row = {
                        **known[number],
                        'gained': gained(event.model.training),
                        'seconds': round(time.perf_counter() - begin, 3),
                        'model': event.model.digest,
                    }
                    batch.finish(images.files[number], row)
            case Failed():
                batch.leave_out(images.files[event.number], event.error)
            case Progress():
                yield event


@dataclass(frozen=True, slots=True)
class _Found:
    """The noise of an image.

    Attributes
    ----------
    record : dict
        For ``--json``, without the name of the image.
    lines : list of str
        For the terminal.
    noise : sequence of dict or None
        The noise models of the channels, for the table.
    """

    record: dict[str, Any]
    lines: list[str]
    noise: Sequence[dict[str, Any] | None]


def estimate(options: argparse.Namespace) -> int:
    """Say what the noise of images is."""
    from napari_noise2score.noise.request import NoiseRequest
    from napari_noise2score.score.device import choose_device
    from napari_noise2score.score.model import ScoreModel

    choose_device(options.device)
    measured = calibration(options)
    request = noise_request(options, measured)
    if options.model is None and measured is None and request != NoiseRequest():
        raise InputError(
            'noise options can only be compared with a trained model or calibration frames: give '
            '--model, --dark or --flat too'
        )
    files, wrong = files_of(options.images, recursive=options.recursive, scene=options.scene)
    model = None if options.model is None else ScoreModel.load(options.model)
    tables = outputs_of(table=options.table)
    if options.dry_run:
        return tell_inputs(Images(files, options), Batch(files, wrong))
    with tried(tables, [*files, *other_inputs(options, 'dark', 'flat', 'model')]):
        batch = Batch(files, wrong, Table([output.path for output in tables]))
        images, records = Images(files, options), []
        for number, path in enumerate(files):
            begin = time.perf_counter()
            try:
                image = images.at(number)
                image.tell()
                tell(_place(number, files) + STAGES['estimate'])
                check_learning(options, [image.source], trains=False)
                if model is not None:
                    found = _compare(options, image.source, request, model)
                elif measured is not None:
                    found = _measured(options, image.source, measured, request)
                else:
                    found = _estimated(options, image.source)
                LIMIT.check()
            except (InputError, TrainingError, OSError, MemoryError) as error:
                batch.leave_out(path, error)
                continue
            records.append({'source': image.source.name, **found.record})
            if not options.json:
                say('\n'.join([*([] if batch.single else [f'{named(path)}:']), *found.lines]))
            values = image_values(image.source, image.acquisition)
            seconds = round(time.perf_counter() - begin, 3)
            batch.finish(path, {**values, **noise_values(found.noise), 'seconds': seconds})
        if options.json and batch.single:
            say(json_text(records[0]))
        elif options.json:
            failed = [{'source': name, 'error': text} for name, text in batch.failed.items()]
            say(json_text({'images': records, 'failed': failed}))
        return batch.status()


def _place(number: int, files: Sequence[Path]) -> str:
    """Which of the files it is, before the words of what is done; empty for a single one."""
    return f'file {number + 1} of {len(files)}, {named(files[number])}, ' if files[1:] else ''


def _estimated(options: argparse.Namespace, source: ImageSource) -> _Found:
    """The noise of an image, estimated from the image alone."""
    from napari_noise2score.images.blank_places import constant_image_message
    from napari_noise2score.noise.families import parameters_of
    from napari_noise2score.pipeline.prepare import estimate_channel
    from napari_noise2score.pipeline.refine import by_pretrained

    channels = source.channels()
    refine = by_pretrained(options.device)
    fits = [(channel.place, estimate_channel(channel, refine)) for channel in channels]
    if all(fit is None for _, fit in fits):
        raise InputError(f'{source.name}: {constant_image_message(channels)}')
    record = [
        {'place': place, **({'noise': None} if fit is None else fit.to_dict())}
        for place, fit in fits
    ]
    lines = []
    for place, fit in fits:
        if fit is None:
            lines.append(f'{place_prefix(place)}no noise')
            continue
        lines.append(f'{place_prefix(place)}{fit.family}')
        for name, error in fit.errors.items():
            value = fit.family.words()[name]
            unit = parameters_of(type(fit.family))[name].metadata['unit']
            lines.append(f'  {name.replace("_", " ")}: {value} +- {error:.2g} {unit}'.rstrip())
        lines.append(f'  {fit.correlation_words}')
        lines.append(f'  from {fit.evidence.method}, {counted(fit.frames, "frame")}')
        lines += [f'  {warning}' for warning in fit.warnings]
    noise = [None if fit is None else fit.family.to_dict() for _, fit in fits]
    return _Found({'channels': record}, lines, noise)


def _measured(
    options: argparse.Namespace,
    source: ImageSource,
    measured: Calibration,
    request: NoiseRequest,
) -> _Found:
    """The noise of an image, with what was measured on calibration frames."""
    from napari_noise2score.pipeline.refine import prepare_image

    channels = prepare_image(source, request, device=options.device).channels
    found = [
        {
            'place': channel.channel.place,
            'noise': channel.family.to_dict(),
            'blind_estimate': channel.fit and channel.fit.to_dict(),
            'pixel_maps': channel.maps and channel.maps.to_dict(),
            'warnings': _warnings_of(channel),
        }
        for channel in channels
    ]
    lines = calibration_lines(measured)
    for channel in channels:
        lines.append(f'{place_prefix(channel.channel.place)}{channel.family}')
        left = [n.replace('_', ' ') for n in measured.missing if n not in request.parameters]
        if left:
            lines.append(f'  {" and ".join(left)} estimated from the image')
        if channel.maps is not None:
            lines.append(f'  {channel.maps.words}; used as maps')
        lines += [f'  {warning}' for warning in _warnings_of(channel)]
    record = {'calibration': measured.to_dict(), 'channels': found}
    return _Found(record, lines, [channel.family.to_dict() for channel in channels])


def _warnings_of(channel: PreparedChannel) -> list[str]:
    """What a user should know of the noise of a channel."""
    found = () if channel.fit is None else channel.fit.warnings_for(channel.family)
    return [*found, *channel.notes]


def _compare(
    options: argparse.Namespace, source: ImageSource, request: NoiseRequest, model: ScoreModel
) -> _Found:
    """The noise parameters of an image in all ways, with a trained score."""
    from napari_noise2score.analysis.noise_parameters import compare_parameters
    from napari_noise2score.pipeline.refine import prepare_image

    prepared = prepare_image(source, request, device=options.device)
    found: tuple[ChannelParameters, ...] = run(
        compare_parameters(model, prepared, device=options.device)
    )
    channels = [{'place': channel.place, **channel.to_dict()} for channel in found]
    lines = [f'{place_prefix(channel.place)}{channel}' for channel in found]
    noise = [channel.family.to_dict() for channel in prepared.channels]
    return _Found({'channels': channels}, lines, noise)


def place_prefix(place: dict[str, int]) -> str:
    """Which channel, as a prefix of a line."""
    where = place_words(place)
    return f'{where}: ' if where else ''


def export(options: argparse.Namespace) -> int:
    """Write a trained score as a package for bioimage.io."""
    from napari_noise2score.analysis.bioimageio import export_bioimageio
    from napari_noise2score.score.model import ScoreModel

    stem = options.output.stem
    with tried([Output(options.output, 'OUT')], [options.model]):
        export_bioimageio(
            ScoreModel.load(options.model),
            options.output,
            name=options.name or (stem if len(stem) >= _SHORTEST else f'Noise2Score {stem}'),
            authors=tuple(options.author or ('Unknown author',)),
            licence=options.licence,
        )
    note(f'written: {options.output}')
    return 0


def pretrain(options: argparse.Namespace) -> int:
    """Make weights for trainings to start from; the log of the loss goes to standard output."""
    from napari_noise2score.images.procedural import procedural_image
    from napari_noise2score.score.pretraining.pretrain import pretrain
    from napari_noise2score.score.pretraining.synthetic_pairs import Places
    from napari_noise2score.score.pretraining.weights import starting_model

    defaults = PretrainSettings()
    network = read_fields(options, defaults.network)
    settings = read_fields(options, replace(defaults, network=network))
    outputs = outputs_of(output=options.output, state=options.state)
    with tried(outputs, [] if options.images is None else image_files(options.images)):
        source = procedural_image if options.images is None else Places(clean(options.images))
        start = None if options.init is None else starting_model(options.init)
        steps = logged(pretrain(settings, source=source, state=options.state, start=start))
        model: ScoreModel = run(steps)
        model.save(options.output, compact=True)
    digest = hashlib.sha256(options.output.read_bytes()).hexdigest()
    say(f'{options.output}: SHA-256 {digest}')
    return 0


def image_files(folder: Path) -> list[Path]:
    """All PNG, JPEG and TIFF files of a folder."""
    if not folder.is_dir():
        raise InputError(f'{folder}: no such folder; one with clean grey images is needed')
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _IMAGES)


def clean(folder: Path) -> list[Any]:
    """All PNG, JPEG and TIFF images of a folder, (Y, X), grey."""
    from skimage.io import imread

    from napari_noise2score.images.tiff.guard import reason

    images = []
    for path in image_files(folder):
        try:
            images.append(imread(path, as_gray=True))
        except Exception as error:  # of any class, see `images.tiff.guard.readable`
            raise InputError(
                f'{folder}: contains a file that is not an image: {path.name} ({reason(error)})'
            ) from error
    return images


def logged(steps: Any) -> Any:
    """Pass on the progress of a pretraining, and print every hundredth of it."""
    from napari_noise2score.progress import relay

    told = -1

    def tell(progress: Any) -> Any:
        nonlocal told
        if int(100 * progress.fraction) > told:
            told = int(100 * progress.fraction)
            say(f'{progress.step}\t{progress.seconds:.0f} s\t{progress.loss:.4f}')
        return progress

    return relay(steps, tell)


def demo(options: argparse.Namespace) -> int:
    """Denoise a synthetic stack and show it."""
    from napari_noise2score.cli.demo import FILES, run_demo

    settings = read_fields(options, DEMO)
    with tried(outputs_of(output=[options.output / name for name in FILES]), []):
        return run_demo(options.output, settings, viewer=not options.no_viewer, run=run, say=say)
