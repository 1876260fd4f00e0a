"""Results that are computed while they are written, part by part, and go on after an
interruption.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from napari_noise2score.cli.console import note
from napari_noise2score.cli.tasks import Task
from napari_noise2score.images.ome_zarr.location import url_of
from napari_noise2score.images.unfinished import UnfinishedImage
from napari_noise2score.progress import seconds_left
from napari_noise2score.settings import DenoiseSettings

if TYPE_CHECKING:
    from napari_noise2score.pipeline.clean_image import CleanImage
    from napari_noise2score.pipeline.results import Denoised, Progress


@dataclass(frozen=True, slots=True, eq=False)
class ResultInParts:
    """A result whose planes are computed when they are read.

    Attributes
    ----------
    task : Task
        The image.
    result : Denoised
        Its result; the report gets the checks of the planes when all are written.
    settings : DenoiseSettings
        How it is denoised.
    resume : bool or None
        Whether to go on from the parts of an earlier run. None if no later run could go on, as it
        would have another model; nothing is left behind after an interruption then.
    """

    task: Task
    result: Denoised
    settings: DenoiseSettings
    resume: bool | None

    def written(self, path: Path) -> Generator[Progress, None, None]:
        """Write the image; yields after each part.

        Raises
        ------
        CheckpointError
            If it is to go on from parts of another origin.
        """
        from napari_noise2score.images.formats import write_steps
        from napari_noise2score.pipeline.results import Progress

        begin, task = time.perf_counter(), self.task
        unfinished = self.unfinished(path)
        try:
            if unfinished is not None:
                begin_parts(unfinished)
            held, known, start = 0, 0.0, begin
            # without parts that can be continued, the old one has to make room at once
            aside = task.replacing(path) if unfinished is None else nullcontext()
            with aside:
                for written in write_steps(
                    path,
                    self.result.image,
                    self.result.score_map.prepared.source.axes,
                    task.acquisition,
                    inherited=task.inherited,
                    record=self._record,
                    unfinished=unfinished,
                ):
                    share = self._image.done(written)
                    if unfinished is not None and unfinished.held > held:
                        held, known, start = unfinished.held, share, time.perf_counter()
                    new = (share - known) / (1 - known) if known < 1 else 0.0
                    yield Progress('correct', share, left=seconds_left(start, new))
            self._record(begin)
            if unfinished is not None:
                with task.replacing(path):
                    unfinished.finish()
        finally:
            if unfinished is not None:
                unfinished.close()

    def _record(self, begin: float | None = None) -> dict[str, Any]:
        """The report, with the checks of the planes that were computed so far.

        The time since ``begin`` is added to it, if that is given.
        """
        from napari_noise2score.pipeline.stages import checked

        report = self.result.report
        begin = time.perf_counter() if begin is None else begin
        report |= checked(self.result, self.settings, begin=begin).report
        return {**report, 'warnings': [*self.task.notes, *report['warnings']]}

    @property
    def _image(self) -> CleanImage:
        image: Any = self.result.image
        return cast('CleanImage', image)

    def unfinished(self, path: Path) -> UnfinishedImage | None:
        """The image of that name while it is incomplete; None if no later run can go on."""
        from napari_noise2score.pipeline.record import versions
        from napari_noise2score.score.device import choose_device

        if self.resume is None or url_of(path) is not None:
            return None
        image = self._image
        stated = self.task.before.origin.record(self.result.report['crc32'])
        origin = {
            'input': {name: stated[name] for name in stated if name.startswith('input')},
            'settings': stated['settings'],
            'model': [stated['model'], *(model.digest for model in self.result.score_map.models)],
            'versions': versions(),
            'device': choose_device(self.settings.training.device).type,
            'shape': [image.axes, list(image.shape), str(image.dtype)],
        }
        unfinished = UnfinishedImage(
            path,
            origin,
            resume=self.resume,
            state=image.new_checks,
            restore=image.take_checks,
        )
        image.correction.folder = unfinished.estimates
        return unfinished


def begin_parts(unfinished: UnfinishedImage) -> None:
    """Begin, and say what becomes of an earlier run."""
    aside = unfinished.begin()
    if aside is not None:
        note(
            f'{unfinished.folder}: contains an interrupted result, which --resume would continue; '
            f'it begins again, and the interrupted one is kept as {aside}'
        )
    if unfinished.parts:
        note(f'{unfinished.folder}: continues; {unfinished.parts} parts of it are done')
