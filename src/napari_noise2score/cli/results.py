"""Writes the results of a call: each image when it is done, its report, and what is said of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_noise2score.cli.batch import Batch, words_of
from napari_noise2score.cli.claims import Claims
from napari_noise2score.cli.console import note, say
from napari_noise2score.cli.parts import ResultInParts
from napari_noise2score.cli.progress import Pace, duration
from napari_noise2score.cli.table import row_of
from napari_noise2score.cli.tasks import Task, take
from napari_noise2score.images.lost_outputs import losing_one_output
from napari_noise2score.images.ome_zarr.location import named, url_of
from napari_noise2score.report import PAGE
from napari_noise2score.settings import DenoiseSettings, ModelPer

if TYPE_CHECKING:
    from napari_noise2score.cluster.target import SharedOmeZarr
    from napari_noise2score.cluster.whole_files import FileDone
    from napari_noise2score.pipeline.results import Denoised, Event, Progress

_SELDOM = 10
"""Least time between two writings of a growing report, in times that one takes."""


@dataclass(slots=True)
class Results:
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
    report : Path or None
        Where the report goes.
    page : callable
        Writes the report of a single image as a page, given the path and the record.
    resume : bool or None
        Whether results that are written in parts go on from those of an earlier run; see
        `ResultInParts`.
    learn_from : str
        The part that is learned from, as on the command line.
    """

    tasks: list[Task]
    settings: DenoiseSettings
    batch: Batch
    claims: Claims
    model_out: Path | None
    report: Path | None
    page: Callable[[Path, dict[str, Any]], None]
    resume: bool | None = None
    learn_from: str = ''
    _reports: dict[int, dict[str, Any]] = field(default_factory=dict)
    _gains: list[str] = field(default_factory=list)
    _due: float = 0.0
    _pending: bool = False
    _pace: Pace = field(default_factory=Pace)

    def check_input(self, number: int) -> None:
        """Raise if an image was changed since it was looked at, when its turn comes."""
        task = self.tasks[number]
        task.before.origin.check_input(task.file)

    def take(self, number: int) -> None:
        """Claim the output of an image when its turn comes."""
        self.check_input(number)
        take(self.tasks[number], self.claims)

    def where(self) -> str:
        """Which of the files the work is at, and how long all of them will take."""
        from napari_noise2score.images.formats import image_name

        finished, count = self._pace.finished, len(self.tasks)
        if count < 2 or finished == count:
            return ''
        words = f'file {finished + 1} of {count}, {image_name(self.tasks[finished].file)}'
        left = self._pace.left(count)
        return words if left is None else f'{words}, about {duration(left)} left of all'

    def left_out(self, number: int, error: Exception) -> None:
        """An image could not be denoised.

        Raises
        ------
        Exception
            ``error``, if there is no other image.
        """
        self.batch.leave_out(self.tasks[number].file, error)
        self._pending = bool(self._reports)
        self._finished(number, None)

    def received(self, number: int, done: FileDone) -> None:
        """Give what another process has written its names, and record it."""
        from napari_noise2score.cluster.whole_files import move

        task = self.tasks[number]
        for path, part in zip(task.targets, done.written, strict=True):
            if isinstance(part, Path):
                self._write(path, partial(move, part), task)
            else:
                self._lost(path, part)
        self._gains += done.gains
        self._record(number, done.report, done.report['seconds'])
        self._finished(number, 'done', done.report['seconds'])

    def _finished(self, number: int, words: str | None, own_seconds: float | None = None) -> None:
        """An image is done or left out; said where there is no bar that shows it."""
        from napari_noise2score.images.formats import image_name

        task, count = self.tasks[number], len(self.tasks)
        self.claims.give_back(task.targets[0])
        seconds = self._pace.finish(worked=words is not None)
        if count < 2 or words is None:
            return
        seconds = seconds if own_seconds is None else own_seconds
        left = self._pace.left(count)
        more = '' if not left else f', about {duration(left)} left of all'
        note(
            f'file {self._pace.finished} of {count}, {image_name(task.file)}: {words} in '
            f'{duration(seconds)}{more}'
        )

    def written(self, events: Iterable[Event]) -> Generator[Progress, None, None]:
        """Write what events bring; their progress is passed on."""
        from napari_noise2score.analysis.training_gain import gain_words
        from napari_noise2score.pipeline.results import Denoised, Failed, Progress, Trained

        for event in events:
            match event:
                case Trained():
                    if self.model_out is not None:
                        self._write(self.model_out, event.model.save)
                    self._gains += filter(None, [gain_words(event.model.training)])
                    if self.settings.model_per is ModelPer.ALL:
                        self._pace.restart()
                case Failed():
                    self.left_out(event.number, event.error)
                case Denoised():
                    yield from self._result(event)
                    lost = self.tasks[event.number].targets[0] in self.batch.unwritten
                    self._finished(event.number, None if lost else 'done')
                case Progress():
                    self.claims.renew()
                    yield event
            del event  # a result is let go of before the next image is looked at

    def _result(self, result: Denoised) -> Generator[Any, None, None]:
        """Write what belongs to an image, then say what there is to say of it."""
        from napari_noise2score.analysis.training_effect import change_of
        from napari_noise2score.cluster.target import SharedOmeZarr
        from napari_noise2score.images.formats import ORIGIN, write_image
        from napari_noise2score.pipeline.clean_image import CleanImage
        from napari_noise2score.pipeline.record import with_notes

        task, source = self.tasks[result.number], result.score_map.prepared.source
        result.report[ORIGIN] = task.before.origin.record(result.report['crc32'])
        if self.learn_from:
            result.report['learn_from'] = self.learn_from

        def write(path: Path, values: NDArray[Any] | SharedOmeZarr) -> None:
            record = with_notes(result.report, task.notes)
            if isinstance(values, SharedOmeZarr):
                values.finish(task.acquisition, task.inherited, record)
                return
            write_image(
                path,
                values,
                source.axes,
                task.acquisition,
                inherited=task.inherited,
                record=record,
            )

        clean, *maps = task.targets
        image: Any = result.image
        if isinstance(image, CleanImage):
            yield from self._in_parts(clean, task, result)
        else:
            self._write(clean, lambda path: write(path, image), task)
        for path in maps:
            with losing_one_output(partial(self._lost, path)):
                change = yield from change_of(result, self.settings)
                self._write(path, partial(write, values=change), task)
        self._record(result.number, result.report, self._pace.seconds)

    def _record(self, number: int, report: dict[str, Any], seconds: float) -> None:
        """Add an image to report and table, and say what there is to say of it."""
        from napari_noise2score.analysis.smoothing import smoothing_words
        from napari_noise2score.pipeline.record import with_notes

        task = self.tasks[number]
        warnings, trained_on = report['warnings'], report['trained_on']
        report = {**with_notes(report, task.notes), 'file': _where(task.file)}
        last = next(reversed(self._reports.values()), None)
        if last is not None and last['trained_on'] == trained_on:
            report['trained_on'] = last['trained_on']  # many images, held once
        self._reports[number] = report
        self._pending = True
        self.write_report()
        values = row_of(report, task.acquisition)
        self.batch.finish(task.file, {**values, 'seconds': round(seconds, 3)})
        for gain in self._gains:
            say(gain)
        self._gains.clear()
        for sentence in smoothing_words(report):
            say(f'{report["source"]}: {sentence}')
        for warning in warnings:
            note(f'{report["source"]}: warning: {warning}')

    def _in_parts(
        self, path: Path, task: Task, result: Denoised
    ) -> Generator[Progress, None, None]:
        """Write an image that is computed meanwhile; if that fails, the others still are."""
        with losing_one_output(partial(self._lost, path)):
            parts = ResultInParts(task, result, self.settings, self.resume)
            for progress in parts.written(path):
                self.claims.renew()
                yield progress

    def write_report(self, at_the_end: bool = False) -> None:
        """Write the report as far as it is known, but seldom while there is more to come."""
        from napari_noise2score.files import write_json

        begin = time.perf_counter()
        path = self.report
        if path is None or not self._pending or (begin < self._due and not at_the_end):
            return
        failed = [{'source': name, 'error': text} for name, text in self.batch.failed.items()]
        reports = [self._reports[number] for number in sorted(self._reports)]
        record = reports[0] if self.batch.single else {'images': reports, 'failed': failed}
        if path.suffix.lower() == PAGE:
            self._write(path, lambda path: self.page(path, record))
        else:
            self._write(path, lambda path: write_json(path, record))
        self._pending = False
        now = time.perf_counter()
        self._due = now + _SELDOM * (now - begin)

    def _write(self, path: Path, write: Callable[[Path], None], task: Task | None = None) -> None:
        """Write one file, an output of a ``task`` or another one; if it cannot be written, the
        others still are.
        """
        aside = nullcontext() if task is None else task.replacing(path)
        with losing_one_output(partial(self._lost, path)), aside:
            write(path)

    def _lost(self, path: Path, error: Exception) -> None:
        text = words_of(error)
        name = named(path)
        note(text if name in text else f'{name}: {text}')
        self.batch.unwritten.append(path)


def _where(path: Path) -> str:
    """Where an image is, so that a report can be replayed."""
    return str(path) if url_of(path) is not None else str(Path(os.path.abspath(path)))  # noqa: PTH100
