"""The commands that write clean images: train and denoise, or apply a trained score."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.cli.batch import Batch, words_of
from napari_noise2score.cli.claims import Claims, TakenError
from napari_noise2score.cli.console import note, say
from napari_noise2score.cli.images import Images, Opened
from napari_noise2score.cli.inputs import files_of, other_inputs
from napari_noise2score.cli.options import settings_of
from napari_noise2score.cli.outputs import (
    Output,
    check_names,
    check_outputs,
    check_space,
    outputs_of,
    targets,
    tried,
)
from napari_noise2score.cli.plan import Plan, tell_plan
from napari_noise2score.cli.progress import Pace, duration, run
from napari_noise2score.cli.table import NAME, SUFFIXES, Table, row_of
from napari_noise2score.cli.tasks import DoneBefore, Task, claimed, take
from napari_noise2score.errors import CheckpointError, InputError
from napari_noise2score.files import moved_aside
from napari_noise2score.images.ome_zarr.location import is_ome_zarr, named
from napari_noise2score.memory import ran_out
from napari_noise2score.settings import DenoiseSettings, ModelPer, NetworkSettings, StartFrom

if TYPE_CHECKING:
    from napari_noise2score.pipeline.results import Denoised, Event, Progress
    from napari_noise2score.score.model import ScoreModel

_LEFT_ONLY = (
    'the model is trained on the images that are left, not on those that are done already; to '
    'give all images the same model, save one (train, or --model-out) and use apply'
)
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


@dataclass(frozen=True, slots=True)
class _Names:
    """The files of a call.

    Attributes
    ----------
    files : list of Path
        The images.
    wrong : list of (Path, InputError)
        What was named and is no image.
    inputs : list of Path
        All that is read.
    goals : list of list of Path
        For each image where its result goes, and what the training changed, if that is wanted.
    model_out : Path or None
        Where the trained model goes.
    tables : list of Path
        The tables that are written: the one that is named, else both in a folder of results.
    """

    files: list[Path]
    wrong: list[tuple[Path, InputError]]
    inputs: list[Path]
    goals: list[list[Path]]
    model_out: Path | None
    tables: list[Path]

    @classmethod
    def of(cls, options: argparse.Namespace) -> _Names:
        """From the options.

        Raises
        ------
        InputError
            If there is no image, or two outputs would be one file, or one an input.
        """
        wanted = getattr(options, 'difference', None)
        model_out = getattr(options, 'model_out', None)
        places = [place for place in (options.output, wanted) if place is not None]
        files, wrong = files_of(
            options.images, [place.path for place in places], recursive=options.recursive
        )
        several = len(files) > 1 or files != options.images
        found = [targets(files, place, several, options.images) for place in places]
        goals = [list(paths) for paths in zip(*found, strict=True)]
        tables = [] if options.table is None else [options.table]
        folder = options.output.path
        if not tables and several and not is_ome_zarr(folder):
            in_folder = options.output.is_folder(files, several)
            tables = [folder / f'{NAME}{suffix}' for suffix in SUFFIXES if in_folder]
        inputs = [*files, *other_inputs(options, 'dark', 'flat', 'model', 'init')]
        names = cls(files, wrong, inputs, goals, model_out, tables)
        check_names(names.outputs(options, range(len(files))), inputs)
        return names

    def outputs(self, options: argparse.Namespace, numbers: Sequence[int]) -> list[Output]:
        """What is written if the images of these numbers are denoised."""
        goals = zip(*(self.goals[number] for number in numbers), strict=True)
        roles = dict(zip(('output', 'difference'), map(list, goals), strict=False))
        others = {'model_out': self.model_out, 'report': options.report} if numbers else {}
        return outputs_of(**roles, **others, table=self.tables)


def _write_clean(
    options: argparse.Namespace, settings: DenoiseSettings, model: ScoreModel | None
) -> int:
    from napari_noise2score.score.device import choose_device
    from napari_noise2score.score.pretraining.weights import starting_model

    names = _Names.of(options)
    choose_device(settings.training.device)
    start = starting_model(settings.training.init) if model is None else None
    outputs = {file: goals[0] for file, goals in zip(names.files, names.goals, strict=True)}
    table = Table([] if options.dry_run else names.tables)
    batch = Batch(names.files, names.wrong, table, outputs)
    batch.only_planned = options.dry_run
    done = DoneBefore(options, settings, model or start, trains=model is None)
    pairs = enumerate(zip(names.files, names.goals, strict=True))
    todo = [number for number, (file, goals) in pairs if done.is_to_do(file, goals, batch)]
    if names.model_out is not None and not todo:
        words = 'is not written: no image is left to train on; --overwrite trains again'
        note(f'{names.model_out}: {words}')
    together = model is None and settings.model_per is ModelPer.ALL
    images = Images([names.files[number] for number in todo], options, together)
    sizes = [] if names.model_out is None else [(names.model_out, _bytes_of(start, settings))]
    written = names.outputs(options, todo)
    if options.dry_run:
        check_outputs(written, names.inputs, overwrite=options.overwrite)
        goals = [names.goals[number] for number in todo]
        tasks = _tasks(images, goals, settings, done, batch, sizes)
        plan = Plan(settings, model, sizes, several_models=not together)
        tell_plan(plan, [(task.file, task.targets[0]) for task in tasks], images, batch)
        return batch.status()
    with tried(written, names.inputs, overwrite=options.overwrite):
        goals = [names.goals[number] for number in todo]
        tasks = _tasks(images, goals, settings, done, batch, sizes)
        results = _Results(tasks, settings, batch, Claims(), names.model_out, options)
        try:
            if together:
                results.tasks = claimed(tasks, results.claims, batch)
            if together and settings.training.trains and results.tasks and batch.skipped:
                note(_LEFT_ONLY)
            if results.tasks:
                _work(results, images, model, together)
        finally:
            results.claims.give_all_back()
            batch.write_table(at_the_end=True)
        return batch.status()


def _tasks(
    images: Images,
    goals: Sequence[list[Path]],
    settings: DenoiseSettings,
    done: DoneBefore,
    batch: Batch,
    sizes: list[tuple[Path, int]],
) -> list[Task]:
    """Look at images before the work; those that pass all checks are tasks.

    ``sizes`` gets the outputs and their bytes; the disk has to have space for all of them.
    """
    from napari_noise2score.images.footprint import check_footprint
    from napari_noise2score.images.formats import check_writable_as

    tasks: list[Task] = []

    def check(number: int, image: Opened) -> None:
        source, dtype = image.source, settings.dtype_of(image.source)
        kinds = [dtype, np.dtype(np.float32)]
        written = list(zip(goals[number], kinds, strict=False))
        notes = [
            text
            for path, kind in written
            for text in check_writable_as(path, source.axes, kind, source.shape)
        ]
        check_footprint(source, dtype, differences=len(written) > 1)
        image.tell(*notes)
        sizes.extend((path, source.size * kind.itemsize) for path, kind in written)
        file = images.files[number]
        stated = image.acquisition, image.inherited, image.file.notes
        tasks.append(Task(file, goals[number], done.known[file], *stated))

    batch.look_at(images, check)
    check_space(sizes)
    return tasks


def _work(results: _Results, images: Images, model: ScoreModel | None, together: bool) -> None:
    """Denoise images; without ``together``, each is claimed when its turn comes."""
    from napari_noise2score.pipeline.run import denoise_steps

    images = images.only([task.file for task in results.tasks])
    if not together:
        images.before = results.take
    steps = denoise_steps(
        images.sources,
        results.settings,
        lessons=images.lessons,
        model=model,
        go_on=not results.batch.single,
    )
    try:
        run(results.written(steps), results.where)
    except TakenError as error:  # of the only image
        results.batch.leave_out(results.tasks[0].file, error)
    finally:
        results.write_report(at_the_end=True)


def _bytes_of(start: ScoreModel | None, settings: DenoiseSettings) -> int:
    """What the weights of a score that began so take in a file, at most."""
    from napari_noise2score.score.network import ScoreNetwork

    size = settings.training.network or NetworkSettings()
    network = ScoreNetwork(size) if start is None else start.network
    weights = sum(weight.numel() for weight in network.parameters())
    return 4 * weights * settings.training.slices


@dataclass(slots=True)
class _Results:
    """Writes what comes out, as it comes out: files first, then words.

    Attributes
    ----------
    tasks : list of Task
        What is denoised.
    settings : DenoiseSettings
        How.
    batch : Batch
        What becomes of the images.
    claims : Claims
        The outputs that this process works on.
    model_out : Path or None
        Where the trained score goes.
    options : Namespace
        Where the report goes, and whether results are replaced.
    """

    tasks: list[Task]
    settings: DenoiseSettings
    batch: Batch
    claims: Claims
    model_out: Path | None
    options: argparse.Namespace
    _reports: list[dict[str, Any]] = field(default_factory=list)
    _gains: list[str] = field(default_factory=list)
    _due: float = 0.0
    _pending: bool = False
    _pace: Pace = field(default_factory=Pace)

    def take(self, number: int) -> None:
        """Claim the output of an image when its turn comes."""
        take(self.tasks[number], self.claims)

    def where(self) -> str:
        """Which of the files the work is at, and how long all of them will take."""
        finished, count = self._pace.finished, len(self.tasks)
        if count < 2 or finished == count:
            return ''
        words = f'file {finished + 1} of {count}, {self.tasks[finished].file.name}'
        left = self._pace.left(count)
        return words if left is None else f'{words}, about {duration(left)} left of all'

    def _finished(self, number: int, words: str | None) -> None:
        """An image is done or left out; said where there is no bar that shows it."""
        task, count = self.tasks[number], len(self.tasks)
        self.claims.give_back(task.targets[0])
        seconds = self._pace.finish(worked=words is not None)
        if count < 2 or words is None:
            return
        left = self._pace.left(count)
        more = '' if not left else f', about {duration(left)} left of all'
        note(
            f'file {self._pace.finished} of {count}, {task.file.name}: {words} in '
            f'{duration(seconds)}{more}'
        )

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
                    if self.settings.model_per is ModelPer.ALL:
                        self._pace.restart()
                case LeftOut():
                    self.batch.leave_out(self.tasks[event.number].file, event.error)
                    self._pending = bool(self._reports)
                    self._finished(event.number, None)
                case Denoised():
                    yield from self._result(event)
                    self._finished(event.number, 'done')
                case Progress():
                    self.claims.renew()
                    yield event
            del event  # a result is let go of before the next image is looked at

    def _result(self, result: Denoised) -> Generator[Any, None, None]:
        """Write what belongs to an image, then say what there is to say of it."""
        from napari_noise2score.images.formats import ORIGIN, write_image

        task, source = self.tasks[result.number], result.score_map.prepared.source
        result.report[ORIGIN] = task.before.origin.record(result.report['crc32'])

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
        values = row_of(report, task.acquisition)
        self.batch.finish(task.file, {**values, 'seconds': round(self._pace.seconds, 3)})
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
        path = self.options.report
        if path is None or not self._pending or (begin < self._due and not at_the_end):
            return
        failed = [{'source': name, 'error': text} for name, text in self.batch.failed.items()]
        record = {'images': self._reports, 'failed': failed}
        record = self._reports[0] if self.batch.single else record
        self._write(path, lambda path: write_json(path, record))
        self._pending = False
        now = time.perf_counter()
        self._due = now + _SELDOM * (now - begin)

    def _write(self, path: Path, write: Callable[[Path], None]) -> None:
        """Write one file; if it cannot be written, the others still are."""
        old = self.options.overwrite and is_ome_zarr(path) and path.is_dir()
        try:
            with moved_aside(path) if old else nullcontext():
                write(path)
        except (OSError, InputError, MemoryError) as error:
            self._lost(path, error)

    def _lost(self, path: Path, error: Exception) -> None:
        text = words_of(error)
        name = named(path)
        note(text if name in text else f'{name}: {text}')
        self.batch.unwritten.append(path)
