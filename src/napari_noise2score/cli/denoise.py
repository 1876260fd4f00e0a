"""The commands that write clean images: train and denoise, or apply a trained score."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Sequence
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
from napari_noise2score.cli.memory_limit import MemoryLimit
from napari_noise2score.cli.model_size import bytes_of_model
from napari_noise2score.cli.names import Names
from napari_noise2score.cli.options import settings_of
from napari_noise2score.cli.outputs import (
    check_outputs,
    tried,
)
from napari_noise2score.cli.plan import Plan, tell_plan
from napari_noise2score.cli.progress import run
from napari_noise2score.cli.report import check_page, write_page
from napari_noise2score.cli.results import Results
from napari_noise2score.cli.resume import Resumption
from napari_noise2score.cli.table import Table
from napari_noise2score.cli.tasks import DoneBefore, Task, claimed
from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr import url_of
from napari_noise2score.images.space import check_space
from napari_noise2score.settings import DenoiseSettings, ModelPer, StartFrom

if TYPE_CHECKING:
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.pipeline.results import Progress
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
class _Call:
    """A call that writes clean images.

    Attributes
    ----------
    options : Namespace
        The options.
    settings : DenoiseSettings
        The settings.
    model : ScoreModel or None
        The model that is applied; None if models are trained.
    names : Names
        The files.
    limit : MemoryLimit
        The memory that may be needed.
    resumption : Resumption or None
        The saved trainings; None if there are none.
    again : bool
        Whether results that are done are made again.
    """

    options: argparse.Namespace
    settings: DenoiseSettings
    model: ScoreModel | None
    names: Names
    limit: MemoryLimit
    resumption: Resumption | None
    again: bool

    @classmethod
    def of(
        cls, options: argparse.Namespace, settings: DenoiseSettings, model: ScoreModel | None
    ) -> _Call:
        """From the options."""
        check_scheduler(options)
        names = Names.of(options)
        check_page(options.report, len(names.files))
        trains = model is None and settings.training.trains
        limit = MemoryLimit.of(options, trains=trains)
        resumption = None if model is not None else _resumption(options, settings, names)
        again = options.overwrite or (resumption is not None and resumption.resumes)
        return cls(options, settings, model, names, limit, resumption, again)

    @property
    def trains(self) -> bool:
        """Whether weights are learned."""
        return self.model is None and self.settings.training.trains

    @property
    def together(self) -> bool:
        """Whether one model is trained on all images."""
        return self.model is None and self.settings.model_per is ModelPer.ALL

    def batch(self) -> Batch:
        """What becomes of the images, with the tables of it."""
        names, plans = self.names, self.options.dry_run
        outputs = {file: goals[0] for file, goals in zip(names.files, names.goals, strict=True)}
        batch = Batch(names.files, names.wrong, Table([] if plans else names.tables), outputs)
        batch.only_planned = plans
        return batch

    def to_do(self, done: DoneBefore, batch: Batch) -> list[int]:
        """Numbers of the images that are left; the batch is told what becomes of the others."""
        names = self.names
        pairs = enumerate(zip(names.files, names.goals, strict=True))
        found = [number for number, (file, goals) in pairs if done.is_to_do(file, goals, batch)]
        if names.model_out is not None and not found:
            words = 'is not written: no image is left to train on; --overwrite trains again'
            note(f'{names.model_out}: {words}')
        return found

    def tasks(
        self,
        images: Images,
        goals: Sequence[list[Path]],
        done: DoneBefore,
        batch: Batch,
        sizes: list[tuple[Path, int]],
    ) -> list[Task]:
        """Look at images before the work; those that pass all checks are tasks.

        ``sizes`` gets the outputs and their bytes; the disk has to have space for all of them, but
        for those parts that an earlier run has written and that are continued.
        """
        from napari_noise2score.images.footprint import check_footprint, in_files
        from napari_noise2score.images.formats import check_writable_as

        tasks: list[Task] = []

        def check(number: int, image: Opened) -> None:
            source, dtype = image.source, self.settings.dtype_of(image.source)
            kinds = [dtype, np.dtype(np.float32)]
            written = list(zip(goals[number], kinds, strict=False))
            notes = [
                text
                for path, kind in written
                for text in check_writable_as(path, source.axes, kind, source.shape)
            ]
            in_parts = self.limit.on_demand(source, dtype)
            if in_parts:
                image.tell(*notes, self.limit.check(source, dtype, goals[number]))
            else:
                check_footprint(source, dtype, differences=len(written) > 1)
                image.tell(*notes)
            more = in_files(source) if in_parts else 0
            sizes.extend((path, source.size * kind.itemsize + more) for path, kind in written)
            file = images.files[number]
            stated = image.acquisition, image.inherited, image.file.notes
            tasks.append(Task(file, goals[number], done.known[file], *stated, in_parts))

        batch.look_at(images, check)
        check_space(sizes, resume=self.options.resume)
        return tasks

    def work(self, tasks: list[Task], images: Images, batch: Batch) -> None:
        """Denoise the images of the tasks, and write the results."""
        settings, options, claims = self.settings, self.options, Claims()
        continues = not self.trains or (self.resumption is not None and self.resumption.used)
        results = Results(
            tasks,
            settings,
            batch,
            claims,
            self.names.model_out,
            options.report,
            lambda path, record: write_page(path, tasks[0], images, options, record),
            resume=options.resume if continues else None,
            learn_from=getattr(options, 'learn_from', ''),
        )
        try:
            if self.together:
                results.tasks = claimed(tasks, claims, batch)
            if self.together and settings.training.trains and results.tasks and batch.skipped:
                note(_LEFT_ONLY)
            if results.tasks:
                self._denoise(results, images.only([task.file for task in results.tasks]))
        finally:
            claims.give_all_back()
            batch.write_table(at_the_end=True)

    def _denoise(self, results: Results, images: Images) -> None:
        """Denoise images; if they do not share a model, each is claimed when its turn comes."""
        images.before = results.check_input if self.together else results.take
        try:
            with ExitStack() as stack:
                run(self._steps(results, images, stack), results.where)
        except TakenError as error:  # of the only image
            results.batch.leave_out(results.tasks[0].file, error)
        finally:
            results.write_report(at_the_end=True)
        if self.resumption is not None and not results.batch.unwritten:
            self.resumption.end()

    def _steps(
        self, results: Results, images: Images, stack: ExitStack
    ) -> Generator[Progress, None, None]:
        """The work, here or on a cluster that is connected until the ``stack`` ends."""
        from napari_noise2score.pipeline.run import denoise_steps

        settings, resumption = self.settings, self.resumption
        cluster, shared, folder = cluster_of(self.options, stack), None, None
        if cluster is not None:
            shared = ClusterWork(cluster, self.options, results, images, self.model)
        if resumption is not None:
            in_parts = any(task.in_parts for task in results.tasks)
            resumption.keeps_all = in_parts or (shared is not None and shared.by_planes)
            folder = resumption.begin()
        told = iter if resumption is None else resumption.told
        if shared is not None:
            return shared.steps(folder, told)

        def on_demand(source: ImageSource) -> bool:
            return self.limit.on_demand(source, settings.dtype_of(source))

        steps = denoise_steps(
            images.sources,
            settings,
            training_parts=images.training_parts,
            model=self.model,
            keep_going=not results.batch.single,
            on_demand=on_demand,
            keep_levels=False,
            folder=folder,
        )
        return results.written(told(steps))


def _write_clean(
    options: argparse.Namespace, settings: DenoiseSettings, model: ScoreModel | None
) -> int:
    from napari_noise2score.score.device import choose_device
    from napari_noise2score.score.pretraining.weights import starting_model

    call = _Call.of(options, settings, model)
    choose_device(settings.training.device)
    start = starting_model(settings.training.init) if model is None else None
    names, batch = call.names, call.batch()
    trains = model is None
    done = DoneBefore(options, settings, model or start, trains=trains, again=call.again)
    todo = call.to_do(done, batch)
    images = Images([names.files[number] for number in todo], options, call.together)
    goals = [names.goals[number] for number in todo]
    sizes = (
        []
        if names.model_out is None
        else [(names.model_out, bytes_of_model(start, settings.training))]
    )
    written = names.outputs(options, todo, done.replaced)
    if options.dry_run:
        check_outputs(written, names.inputs)
        tasks = call.tasks(images, goals, done, batch, sizes)
        plan = Plan(settings, model, sizes, several_models=not call.together, limit=call.limit)
        tell_plan(plan, [(task.file, task.targets[0]) for task in tasks], images, batch)
        return batch.status()
    if call.resumption is not None:
        written += call.resumption.outputs
    with tried(written, names.inputs):
        tasks = call.tasks(images, goals, done, batch, sizes)
        call.work(tasks, images, batch)
        return batch.status()


def _resumption(
    options: argparse.Namespace, settings: DenoiseSettings, names: Names
) -> Resumption | None:
    """Where the state of the training is saved; None if each of several images has a model.

    Then complete images are skipped when the call is repeated, also by other processes.
    """
    if len(names.files) > 1 and settings.model_per is not ModelPer.ALL:
        if options.resume:
            note(
                '--resume has no effect if each of several images has its own model: results that '
                'are complete are skipped, and the others begin again'
            )
        return None
    place = names.saved_trainings(options)
    if url_of(place) is not None:
        if options.resume:
            note('--resume has no effect for a result at a URL: no training is saved there')
        return None
    return Resumption(place, settings.training, resume=options.resume)
