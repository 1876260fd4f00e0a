"""Interrupted trainings: where their states are saved, and how a command resumes them."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_noise2score.cli.console import note
from napari_noise2score.cli.outputs import Output
from napari_noise2score.images.unfinished import SUFFIX as UNFINISHED
from napari_noise2score.settings import TrainSettings

if TYPE_CHECKING:
    from napari_noise2score.pipeline.results import Event
    from napari_noise2score.score.training_files import TrainingFolder

SUFFIX = '.resume'
"""End of the name of a folder with the states of trainings."""


PARTS = (
    'an interrupted result that was too large for the memory (see --max-memory) from the parts '
    f'that are done; they are in the folder OUT{UNFINISHED}'
)
"""What is continued of a result, for the help."""


def add_resume(group: argparse._ActionsContainer, place: str, more: str = '') -> None:
    """The option that resumes a training.

    ``place`` names where its state is saved; ``more`` says what else is continued.
    """
    group.add_argument(
        '--resume',
        action='store_true',
        help=f'continue an interrupted training of the same images with the same settings. Its '
        f'state is saved in the folder {place} while it runs (see --save-every), and is removed '
        f'at the end. If there is none, a new training begins{more}',
    )


def add_resume_of_parts(group: argparse._ActionsContainer) -> None:
    """The option that continues a result that was written part by part."""
    group.add_argument('--resume', action='store_true', help=f'continue {PARTS}')


def folder_beside(output: Path, *, is_folder: bool = False) -> Path:
    """Where the trainings for an output are saved: beside a file, or in a folder of results."""
    if is_folder:
        return output / f'training{SUFFIX}'
    return output.with_name(output.name + SUFFIX)


class Resumption:
    """The saved trainings of one call.

    Parameters
    ----------
    path : Path
        The folder with their states.
    settings : TrainSettings
        How to train.
    resume : bool
        Whether they continue from what is there.

    Attributes
    ----------
    used : bool
        Whether states are saved.
    keeps_all : bool
        Whether short trainings are saved at their end too, for results that take long.
    """

    def __init__(self, path: Path, settings: TrainSettings, *, resume: bool) -> None:
        self._path, self._resume = path, resume
        self._every = settings.save_every
        self.used = settings.trains and bool(resume or self._every)
        self.keeps_all = False

    @property
    def outputs(self) -> list[Output]:
        """What is going to be written: the state of the first training stands for all."""
        return [Output(self._folder().first, '--resume')] if self.used else []

    @property
    def resumes(self) -> bool:
        """Whether there is an interrupted training, and it is to continue."""
        return self._resume and bool(self._folder().files)

    def begin(self) -> TrainingFolder | None:
        """The folder for the trainings that begin now; None if nothing is saved.

        States that are not to be resumed get another name.
        """
        if not self.used:
            return None
        folder = self._folder()
        if not self._resume and folder.files:
            aside = folder.set_aside()
            note(
                f'{self._path}: contains an interrupted training, which --resume would continue; '
                f'a new training begins, and the interrupted one is kept as {aside}'
            )
        elif self._resume and not folder.files:
            note(f'{self._path}: contains no interrupted training; a new one begins')
        return folder

    def told(self, events: Iterable[Event]) -> Generator[Event, None, None]:
        """Say from which step trainings continue; the events are passed on."""
        from napari_noise2score.pipeline.results import Progress

        for event in events:
            if isinstance(event, Progress) and event.training is not None:
                training, part = event.training, event.part or (1, 1)
                if training.resumed is not None:
                    which = '' if part[1] == 1 else f' {part[0]} of {part[1]}'
                    done = training.fraction >= 1
                    words = 'is complete' if done else f'continues from step {training.resumed}'
                    note(f'{self._path}: the training{which} {words}')
            yield event
            del event  # a result is let go of before the next image is looked at

    def end(self) -> None:
        """Remove the states: all that came of them was written."""
        if self.used:
            self._folder().remove()

    def _folder(self) -> TrainingFolder:
        from napari_noise2score.score.training_files import TrainingFolder

        return TrainingFolder(
            self._path, self._every, resume=self._resume, keeps_all=self.keeps_all
        )
