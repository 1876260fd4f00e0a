"""The files in which trainings save their states, and when they do."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from napari_noise2score.errors import CheckpointError
from napari_noise2score.score.training_origin import TrainingOrigin
from napari_noise2score.score.training_state import TrainingState

OLD = '.old'
"""What is added to the name of a folder whose trainings were not continued."""

_SELDOM = 200
"""Least time between two savings, in times that one takes: half a percent of the training."""

_NAME = 'training-{}.safetensors'

log = logging.getLogger(__name__)


class SavedTraining:
    """The file of one training.

    Parameters
    ----------
    path : Path
        Where the state is saved.
    origin : TrainingOrigin
        What the training belongs to.
    every : float
        Time between two savings, s.
    state : TrainingState, optional
        The state from which the training continues.
    always : bool
        Whether what the training delivers is saved even if the training was too short to be
        saved.
    """

    def __init__(
        self,
        path: Path,
        origin: TrainingOrigin,
        every: float,
        state: TrainingState | None = None,
        *,
        always: bool = False,
    ) -> None:
        self.path, self.origin, self.state = path, origin, state
        self._always = always
        self._every, self._failed = every, False
        self._due = time.perf_counter() + every

    def sometimes(self, state: Callable[[], TrainingState]) -> None:
        """Save what ``state`` gives, if it is time. A training that cannot be saved goes on."""
        begin = time.perf_counter()
        if begin < self._due:
            return
        self._save(state())
        now = time.perf_counter()
        self._due = now + max(self._every, _SELDOM * (now - begin))

    def finish(self, state: TrainingState) -> None:
        """Save what a training delivers, instead of its state, if there is one in the file.

        A training that was too short to be saved is not saved at its end either, unless it is
        always saved.
        """
        if self._always or self.path.exists():
            self._save(state)

    def _save(self, state: TrainingState) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            state.save(self.path)
        except OSError as error:
            if not self._failed:  # once is enough
                log.warning(
                    '%s: the state of the training could not be saved (%s); the training '
                    'continues and tries again later',
                    self.path,
                    error.strerror or error,
                )
            self._failed = True
        else:
            self._failed = False


class TrainingFolder:
    """A folder with the states of the trainings of one run, in their order.

    A training that is done leaves what it delivers, so that a run that continues has it at once.

    Parameters
    ----------
    path : Path
        The folder. It is made when it is needed.
    every : float
        Time between two savings of a training, s; 0 saves none.
    resume : bool
        Whether trainings continue from what is there.
    keeps_all : bool
        Whether what a training delivers is saved even if the training was too short to be saved.
    """

    def __init__(
        self, path: Path, every: float, *, resume: bool = False, keeps_all: bool = False
    ) -> None:
        self.path, self._every, self._resume = path, every, resume
        self._keeps_all = keeps_all
        self._count = 0

    @property
    def first(self) -> Path:
        """The file of the first training."""
        return self.path / _NAME.format(1)

    @property
    def files(self) -> list[Path]:
        """The states that are there."""
        return sorted(self.path.glob(_NAME.format('*')))

    def next(self, origin: TrainingOrigin) -> SavedTraining | None:
        """The file of the next training of the run; None if nothing is saved or continued.

        Raises
        ------
        CheckpointError
            If it is to continue from a file that cannot be read, or that belongs to something
            else: the message says what differs.
        """
        self._count += 1
        path = self.path / _NAME.format(self._count)
        state = None
        if self._resume and path.exists():
            state = TrainingState.load(path)
            differing = state.origin.differences(origin)
            if differing:
                raise CheckpointError(
                    f'{path}: cannot be resumed: {"; ".join(differing)}. Use the same images, '
                    'settings and versions, or begin a new training without resuming'
                )
        if not self._every and state is None:
            return None
        every = self._every or float('inf')
        return SavedTraining(path, origin, every, state, always=self._keeps_all)

    def set_aside(self) -> Path:
        """Give the folder another name, so that new trainings leave it alone.

        Earlier trainings of that name are removed. Returns the new name.
        """
        aside = self.path.with_name(self.path.name + OLD)
        TrainingFolder(aside, 0).remove()
        self.path.replace(aside)
        return aside

    def remove(self) -> None:
        """Remove the states, and the folder if nothing else is in it."""
        with suppress(OSError):
            for file in self._own():
                file.unlink(missing_ok=True)
            self.path.rmdir()

    def _own(self) -> Iterator[Path]:
        """States, and what a process that was killed left of one."""
        yield from self.path.glob(_NAME.format('*'))
        yield from self.path.glob('.*.part')
