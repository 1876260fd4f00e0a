"""The last training on disk, so that a crash costs half a minute of it. No Qt in here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_data_path

if TYPE_CHECKING:
    from napari_noise2score.score.model import ScoreModel

EVERY = 30.0
"""Time between two savings, s."""

log = logging.getLogger(__name__)


def default_file() -> Path:
    """Where it is kept: the folder that the system has for data of programs."""
    return Path(user_data_path('napari-noise2score', appauthor=False)) / 'last.safetensors'


class Kept:
    """Saves the model of a training now and then. What cannot be written is not kept, no more.

    Parameters
    ----------
    file : Path, optional
        Where to; `default_file` if not given. What was kept there before is replaced.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or default_file()
        self._last = time.perf_counter()

    def sometimes(self, model: Callable[[], ScoreModel]) -> None:
        """Save what ``model`` gives, if it is time."""
        if time.perf_counter() - self._last >= EVERY:
            self.save(model())

    def save(self, model: ScoreModel) -> None:
        """Save a model now."""
        self._last = time.perf_counter()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            model.save(self._file)
        except OSError:
            log.debug('the training could not be autosaved', exc_info=True)
