"""The commands that write clean images: train and denoise, or apply a trained score."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.cli.batch import Batch, words_of
from napari_noise2score.cli.console import note, say
from napari_noise2score.cli.images import Images, Opened
from napari_noise2score.cli.inputs import files_of, other_inputs, stands_for_files
from napari_noise2score.cli.options import settings_of
from napari_noise2score.cli.outputs import check_space, outputs_of, targets, tried
from napari_noise2score.cli.progress import run
from napari_noise2score.cli.resume import Resumption, folder_beside
from napari_noise2score.errors import CheckpointError, InputError
from napari_noise2score.images.ome_zarr.location import named
from napari_noise2score.memory import ran_out
from napari_noise2score.settings import DenoiseSettings, ModelPer, NetworkSettings, StartFrom

if TYPE_CHECKING:
    from napari_noise2score.images.acquisition import Acquisition
    from napari_noise2score.images.ome_zarr import Inherited
    from napari_noise2score.pipeline.results import Denoised, Event, Progress
    from napari_noise2score.score.model import ScoreModel

_SELDOM = 10
"""Least time between two writings of a growing report, in times that one takes."""


def denoise(options: argparse.Namespace) -> int:
    """Train on images and write them clean."""
    settings = settings_of(options)
    if options.difference is not None and settings.training.init == StartFrom.SCRATCH:
        raise InputError(
            '--difference compares with the weights that the training begins with; '
            '--init scratch has none'
        )
    if options.model_out is not None and settings.model_per is not ModelPer.ALL:
        raise InputError(
            f'--model-out saves one model; --model-per {settings.model_per} trains several; '
            'give only one of the two'
        )
    return _write_clean(options, settings, None)


def apply(options: argparse.Namespace) -> int:
    """Write images clean with a trained score."""
    from napari_noise2score.score.model import ScoreModel

    settings = settings_of(options)
    return _write_clean(options, settings, ScoreModel.load(options.model))


def _write_clean(
    options: argparse.Namespace, settings: DenoiseSettings, model: ScoreModel | None
) -> int:
    from napari_noise2score.images.footprint import check_footprint
    from napari_noise2score.images.formats import check_writable_as
    from napari_noise2score.pipeline.run import denoise_steps
    from napari_noise2score.score.device import choose_device
    from napari_noise2score.score.pretraining.weights import starting_model

    wanted = getattr(options, 'difference', None)
    model_out = getattr(options, 'model_out', None)
    named = [place.path for place in (options.output, wanted) if place is not None]
    files, wrong = files_of(options.images, named)
    several = len(files) > 1 or any(map(stands_for_files, options.images))
    clean = targets(files, options.output, several)
    maps = [] if wanted is None else targets(files, wanted, several)
    outputs = outputs_of(output=clean, difference=maps, model_out=model_out, report=options.report)
    resumption = None
    if model is None:
        is_folder = options.output.is_folder(files, several)
        place = folder_beside(options.output.path, is_folder=is_folder)
        resumption = Resumption(place, settings.training, resume=options.resume)
        outputs += resumption.outputs
    with tried(outputs, [*files, *other_inputs(options, 'dark', 'flat', 'model', 'init')]):
        choose_device(settings.training.device)
        start = starting_model(settings.training.init) if model is None else None
        batch, together = Batch(files, wrong), model is None and settings.model_per is ModelPer.ALL
        sizes = [] if model_out is None else [(model_out, _bytes_of(start, settings))]
        tasks: list[_Task] = []

        def check(number: int, image: Opened) -> None:
            source, dtype = image.source, settings.dtype_of(image.source)
            written = [(clean[number], dtype)]
            written += [(maps[number], np.dtype(np.float32))] if maps else []
            notes = [
                text
                for path, kind in written
                for text in check_writable_as(path, source.axes, kind, source.shape)
            ]
            check_footprint(source, dtype, differences=bool(maps))
            image.tell(*notes)
            sizes.extend((path, source.size * kind.itemsize) for path, kind in written)
            places = [path for path, _ in written]
            known = image.acquisition, image.inherited, image.file.notes
            tasks.append(_Task(files[number], places, *known))

        images = Images(files, options, together)
        batch.look_at(images, check)
        check_space(sizes)
        if tasks:
            images = images if len(tasks) == len(files) else images.only([t.file for t in tasks])
            results = _Results(tasks, settings, batch, model_out, options.report)
            steps = denoise_steps(
                images.sources,
                settings,
                lessons=images.lessons,
                model=model,
                go_on=not batch.single,
                folder=None if resumption is None else resumption.begin(),
            )
            try:
                run(results.written(steps if resumption is None else resumption.told(steps)))
            finally:
                results.write_report(at_the_end=True)
            if resumption is not None and not batch.unwritten:
                resumption.end()
        return batch.status()


def _bytes_of(start: ScoreModel | None, settings: DenoiseSettings) -> int:
    """What the weights of a score that began so take in a file, at most."""
    from napari_noise2score.score.network import ScoreNetwork

    size = settings.training.network or NetworkSettings()
    network = ScoreNetwork(size) if start is None else start.network
    weights = sum(weight.numel() for weight in network.parameters())
    return 4 * weights * settings.training.slices


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What is known of an image before the work, so that its file is not needed after it.

    Attributes
    ----------
    file : Path
        The image.
    targets : list of Path
        Where the clean image goes, and what the training changed, if that is asked for.
    acquisition : Acquisition
        Sizes and channels.
    inherited : Inherited
        What else the file hands on to a result.
    notes : tuple of str
        What is to be said of the file.
    """

    file: Path
    targets: list[Path]
    acquisition: Acquisition
    inherited: Inherited
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Results:
    """Writes what comes out, as it comes out: files first, then words.

    Attributes
    ----------
    tasks : list of _Task
        What is denoised.
    settings : DenoiseSettings
        How.
    batch : Batch
        What becomes of the images.
    model_out, report : Path or None
        Where the trained score goes, and the report.
    """

    tasks: list[_Task]
    settings: DenoiseSettings
    batch: Batch
    model_out: Path | None
    report: Path | None
    _reports: list[dict[str, Any]] = field(default_factory=list)
    _gains: list[str] = field(default_factory=list)
    _due: float = 0.0
    _pending: bool = False

    def written(self, events: Iterable[Event]) -> Generator[Progress, None, None]:
        """Write what events bring; their progress is passed on."""
        from napari_noise2score.analysis.training_gain import gain_words
        from napari_noise2score.pipeline.results import Denoised, LeftOut, Progress, Trained

        for event in events:
            match event:
                case Trained():
                    if self.model_out is not None:
                        self._write(self.model_out, event.model.save)
                    self._gains += filter(None, [gain_words(event.model.training)])
                case LeftOut():
                    self.batch.leave_out(self.tasks[event.number].file, event.error)
                    self._pending = bool(self._reports)
                case Denoised():
                    yield from self._result(event)
                case Progress():
                    yield event
            del event  # a result is let go of before the next image is looked at

    def _result(self, result: Denoised) -> Generator[Any, None, None]:
        """Write what belongs to an image, then say what there is to say of it."""
        from napari_noise2score.images.formats import write_image

        task, source = self.tasks[result.number], result.score_map.prepared.source

        def write(path: Path, values: NDArray[Any]) -> None:
            write_image(
                path,
                values,
                source.axes,
                task.acquisition,
                inherited=task.inherited,
                record={**result.report, 'warnings': [*task.notes, *warnings]},
            )

        warnings, trained_on = result.report['warnings'], result.report['trained_on']
        clean, *maps = task.targets
        self._write(clean, lambda path: write(path, result.image))
        for path in maps:
            yield from self._map(path, result, write)
        report = {**result.report, 'warnings': [*task.notes, *warnings]}
        if self._reports and self._reports[-1]['trained_on'] == trained_on:
            report['trained_on'] = self._reports[-1]['trained_on']  # many images, held once
        self._reports.append(report)
        self._pending = True
        self.write_report()
        for gain in self._gains:
            say(gain)
        self._gains.clear()
        for warning in warnings:
            note(f'{source.name}: warning: {warning}')

    def _map(
        self, path: Path, result: Denoised, write: Callable[[Path, NDArray[Any]], None]
    ) -> Generator[Any, None, None]:
        """Write what the training changed; where most, into the report."""
        from napari_noise2score.analysis.training_effect import training_difference

        device = self.settings.training.device
        views = self.settings.views(result.score_map.prepared.source.size)
        try:
            change = yield from training_difference(
                result.score_map, device=device, orientations=views
            )
        except (InputError, CheckpointError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not ran_out(error):
                raise
            self._lost(path, error)
            return
        result.report['largest_change'] = [place.to_dict() for place in change.largest]
        self._write(path, lambda path: write(path, change.image))

    def write_report(self, at_the_end: bool = False) -> None:
        """Write the report as far as it is known, but seldom while there is more to come."""
        from napari_noise2score.files import write_json

        begin = time.perf_counter()
        if self.report is None or not self._pending or (begin < self._due and not at_the_end):
            return
        failed = [{'source': name, 'error': text} for name, text in self.batch.failed.items()]
        record = {'images': self._reports, 'failed': failed}
        record = self._reports[0] if self.batch.single else record
        self._write(self.report, lambda path: write_json(path, record))
        self._pending = False
        now = time.perf_counter()
        self._due = now + _SELDOM * (now - begin)

    def _write(self, path: Path, write: Callable[[Path], None]) -> None:
        """Write one file; if it cannot be written, the others still are."""
        try:
            write(path)
        except (OSError, InputError, MemoryError) as error:
            self._lost(path, error)

    def _lost(self, path: Path, error: Exception) -> None:
        text = words_of(error)
        name = named(path)
        note(text if name in text else f'{name}: {text}')
        self.batch.unwritten.append(path)
