"""Autosave of the model during a training: a crash loses half a minute at most. Without Qt."""

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
"""Interval of the autosave, s."""

log = logging.getLogger(__name__)


def default_file() -> Path:
    """Path of the autosave, in the folder of the user for data of programs."""
    return Path(user_data_path('napari-noise2score', appauthor=False)) / 'last.safetensors'


class Autosave:
    """Saves the model of a training at intervals. Write errors are logged and ignored.

    Parameters
    ----------
    file : Path, optional
        Path; `default_file` if not given. An existing file is replaced.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or default_file()
        self._last = time.perf_counter()

    def save_if_due(self, model: Callable[[], ScoreModel]) -> None:
        """Save the model that ``model`` returns, if the interval is over."""
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
