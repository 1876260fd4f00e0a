"""Models and scores of a panel: the model in use, the scores of layers, the loss curve.

Models and scores are stored until they are replaced. A failed run changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from napari_noise2score._widget.jobs import Scored, Trained, Update
from napari_noise2score.settings import StartFrom


class ModelStore:
    """The model in use, the scores of layers, and the loss curve of the latest training."""

    def __init__(self) -> None:
        self._model: Trained | None = None
        self._scores: WeakKeyDictionary[Any, Scored] = WeakKeyDictionary()
        self._history: list[tuple[float, float]] = []

    @property
    def model(self) -> Trained | None:
        """The model in use: the last one that was trained or loaded."""
        return self._model

    @property
    def init(self) -> str:
        """The setting ``init`` of a training that continues from the model in use."""
        path = self._model.path if self._model is not None else None
        return StartFrom.UNSAVED if path is None else str(path)

    @property
    def history(self) -> list[tuple[float, float]]:
        """The latest training: time in seconds and loss."""
        return self._history

    def use(self, trained: Trained) -> None:
        """Use a model from now on."""
        self._model = trained

    def save(self, path: Path) -> Trained:
        """Write the model in use to a file.

        Returns
        -------
        Trained
            The same model, with its path.

        Raises
        ------
        ValueError
            If there is no model.
        OSError
            If the file cannot be written.
        """
        if self._model is None:
            raise ValueError('there is no model to save')
        self._model.model.save(path)
        return replace(self._model, path=path)

    def store_score(self, layer: Any, scored: Scored) -> None:
        """Store the score of a layer as long as the layer exists."""
        self._scores[layer] = scored

    def score_of(self, layer: Any) -> Scored | None:
        """The score of a layer, if it has one."""
        return self._scores.get(layer)

    def score_in_use(self, layer: Any) -> Scored | None:
        """The score of a layer for a correction with the model in use; None if there is none, or
        a new score is needed.

        A loaded model accepts only scores that it has predicted itself.
        """
        scored, latest = self.score_of(layer), self._model
        if latest is None or scored is None:
            return None
        return scored if not latest.loaded or latest.model in scored.score_map.models else None

    def begin_history(self) -> None:
        """Delete the loss curve of the last training."""
        self._history = []

    def add_loss(self, update: Update) -> bool:
        """Add a point of the loss curve; False if the update has none."""
        if update.loss is None or update.spent is None:
            return False
        if self._history and update.spent < self._history[-1][0]:  # the next of several trainings
            self._history = []
        self._history.append((update.spent, update.loss))
        return True
