"""The commands that write clean images: train and denoise, or apply a trained score."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_noise2score.cli.batch import Batch
from napari_noise2score.cli.claims import Claims, TakenError
from napari_noise2score.cli.cluster import ClusterWork, check_scheduler, cluster_of
from napari_noise2score.cli.console import note
from napari_noise2score.cli.images import Images, Opened
from napari_noise2score.cli.inputs import files_of, other_inputs
from napari_noise2score.cli.memory_limit import MemoryLimit
from napari_noise2score.cli.options import settings_of
from napari_noise2score.cli.outputs import (
    Output,
    check_names,
    check_outputs,
    outputs_of,
    targets,
    tried,
)
from napari_noise2score.cli.plan import Plan, tell_plan
from napari_noise2score.cli.progress import run
from napari_noise2score.cli.results import Results
from napari_noise2score.cli.resume import Resumption, folder_beside
from napari_noise2score.cli.space import bytes_of_model, check_space
from napari_noise2score.cli.table import NAME, SUFFIXES, Table
from napari_noise2score.cli.tasks import DoneBefore, Task, claimed
from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr.location import is_ome_zarr
from napari_noise2score.settings import DenoiseSettings, ModelPer, StartFrom

if TYPE_CHECKING:
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.score.model import ScoreModel

_LEFT_ONLY = (
    'the model is trained on the images that are left, not on those that are done already; to '
    'give all images the same model, save one (train, or --model-out) and use apply'
)


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
            options.images,
            [place.path for place in places],
            recursive=options.recursive,
            scene=options.scene,
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

    check_scheduler(options)
    names, limit = _Names.of(options), MemoryLimit.of(options, trains=_trains(settings, model))
    resumption = None if model is not None else _resumption(options, settings, names)
    choose_device(settings.training.device)
    start = starting_model(settings.training.init) if model is None else None
    outputs = {file: goals[0] for file, goals in zip(names.files, names.goals, strict=True)}
    table = Table([] if options.dry_run else names.tables)
    batch = Batch(names.files, names.wrong, table, outputs)
    batch.only_planned = options.dry_run
    again = options.overwrite or (resumption is not None and resumption.resumes)
    done = DoneBefore(options, settings, model or start, trains=model is None, again=again)
    pairs = enumerate(zip(names.files, names.goals, strict=True))
    todo = [number for number, (file, goals) in pairs if done.is_to_do(file, goals, batch)]
    if names.model_out is not None and not todo:
        words = 'is not written: no image is left to train on; --overwrite trains again'
        note(f'{names.model_out}: {words}')
    together = model is None and settings.model_per is ModelPer.ALL
    images = Images([names.files[number] for number in todo], options, together)
    sizes = (
        []
        if names.model_out is None
        else [(names.model_out, bytes_of_model(start, settings.training))]
    )
    written = names.outputs(options, todo)
    if options.dry_run:
        check_outputs(written, names.inputs, overwrite=again)
        goals = [names.goals[number] for number in todo]
        tasks = _tasks(images, goals, settings, done, batch, sizes, limit, options.resume)
        plan = Plan(settings, model, sizes, several_models=not together, limit=limit)
        tell_plan(plan, [(task.file, task.targets[0]) for task in tasks], images, batch)
        return batch.status()
    if resumption is not None:
        written += resumption.outputs
    with tried(written, names.inputs, overwrite=again):
        goals = [names.goals[number] for number in todo]
        tasks = _tasks(images, goals, settings, done, batch, sizes, limit, options.resume)
        results = Results(
            tasks, settings, batch, Claims(), names.model_out, options.report, replaces=again
        )
        if not _trains(settings, model) or (resumption is not None and resumption.used):
            results.resume = options.resume
        try:
            if together:
                results.tasks = claimed(tasks, results.claims, batch)
            if together and settings.training.trains and results.tasks and batch.skipped:
                note(_LEFT_ONLY)
            if results.tasks:
                _work(results, images, model, together, resumption, limit, options)
        finally:
            results.claims.give_all_back()
            batch.write_table(at_the_end=True)
        return batch.status()


def _trains(settings: DenoiseSettings, model: ScoreModel | None) -> bool:
    return model is None and settings.training.trains


def _tasks(
    images: Images,
    goals: Sequence[list[Path]],
    settings: DenoiseSettings,
    done: DoneBefore,
    batch: Batch,
    sizes: list[tuple[Path, int]],
    limit: MemoryLimit,
    resume: bool,
) -> list[Task]:
    """Look at images before the work; those that pass all checks are tasks.

    ``sizes`` gets the outputs and their bytes; the disk has to have space for all of them, but
    for those parts that an earlier run has written if it is to ``resume``.
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
        in_parts = limit.on_demand(source, dtype)
        if in_parts:
            image.tell(*notes, limit.check(source, dtype, goals[number]))
        else:
            check_footprint(source, dtype, differences=len(written) > 1)
            image.tell(*notes)
        sizes.extend((path, source.size * kind.itemsize) for path, kind in written)
        file = images.files[number]
        stated = image.acquisition, image.inherited, image.file.notes
        tasks.append(Task(file, goals[number], done.known[file], *stated, in_parts))

    batch.look_at(images, check)
    check_space(sizes, resume=resume)
    return tasks


def _resumption(
    options: argparse.Namespace, settings: DenoiseSettings, names: _Names
) -> Resumption | None:
    """Where the state of the training is saved; None if each of several images has a model.

    Then complete images are skipped when the call is repeated, also by other processes.
    """
    several = len(names.files) > 1
    if several and settings.model_per is not ModelPer.ALL:
        if options.resume:
            note(
                '--resume has no effect if each of several images has its own model: results that '
                'are complete are skipped, and the others begin again'
            )
        return None
    is_folder = options.output.is_folder(names.files, several or names.files != options.images)
    place = folder_beside(options.output.path, is_folder=is_folder)
    return Resumption(place, settings.training, resume=options.resume)


def _work(
    results: Results,
    images: Images,
    model: ScoreModel | None,
    together: bool,
    resumption: Resumption | None,
    limit: MemoryLimit,
    options: argparse.Namespace,
) -> None:
    """Denoise images; without ``together``, each is claimed when its turn comes."""
    from napari_noise2score.pipeline.run import denoise_steps

    settings = results.settings

    def on_demand(source: ImageSource) -> bool:
        return limit.on_demand(source, settings.dtype_of(source))

    images = images.only([task.file for task in results.tasks])
    if resumption is not None:
        resumption.keeps_all = any(task.in_parts for task in results.tasks)
    images.before = results.check_input if together else results.take
    told = iter if resumption is None else resumption.told
    try:
        with ExitStack() as stack:
            cluster = cluster_of(options, stack)
            folder = None if resumption is None else resumption.begin()
            if cluster is not None:
                work = ClusterWork(cluster, options, results, images, model).steps(folder, told)
            else:
                steps = denoise_steps(
                    images.sources,
                    settings,
                    training_parts=images.training_parts,
                    model=model,
                    keep_going=not results.batch.single,
                    on_demand=on_demand,
                    keep_levels=False,
                    folder=folder,
                )
                work = results.written(told(steps))
            run(work, results.where)
    except TakenError as error:  # of the only image
        results.batch.leave_out(results.tasks[0].file, error)
    finally:
        results.write_report(at_the_end=True)
    if resumption is not None and not results.batch.unwritten:
        resumption.end()
