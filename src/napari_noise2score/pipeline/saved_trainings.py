"""Where the functions for scripts save their trainings, to continue them after an interruption."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_noise2score.errors import InputError
from napari_noise2score.files import obstacle
from napari_noise2score.score.training_files import TrainingFolder
from napari_noise2score.settings import TrainSettings


@contextmanager
def saved_trainings(
    save_to: str | os.PathLike[str] | None, settings: TrainSettings, *, resume: bool
) -> Iterator[TrainingFolder | None]:
    """The folder with the states of the trainings of one call; None if nothing is saved.

    It is removed at the end. After an error or an interruption it stays.

    Parameters
    ----------
    save_to : path or None
        The folder.
    settings : TrainSettings
        How often a state is saved.
    resume : bool
        Whether trainings continue from the states that are there.

    Raises
    ------
    InputError
        If there is no folder to resume from, if it cannot be written, or if it contains an
        interrupted training that is not to be continued.
    """
    if save_to is None:
        if resume:
            raise InputError(
                'resume=True needs save_to, the folder in which the interrupted training was '
                'saved; save_to is None'
            )
        yield None
        return
    folder = TrainingFolder(Path(save_to), settings.save_every, resume=resume)
    words = obstacle(folder.first)
    if words is not None:
        raise InputError(f'save_to: {folder.first}: {words}')
    if folder.files and not resume:
        raise InputError(
            f'save_to: {folder.path} contains an interrupted training; resume=True continues it, '
            'and another folder begins a new one'
        )
    yield folder
    folder.remove()
