"""The signals of a controller, and a snapshot of its state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from psygnal import Signal, SignalGroup

from napari_noise2score._widget.control.runner import RunnerStatus
from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.jobs import Trained
from napari_noise2score.noise.calibration.calibrate import Calibration


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot for the panel.

    Attributes
    ----------
    run : RunnerStatus
        State of the runner and its job.
    text : str
        The same in words, for the user.
    fraction : float
        Completed share of the stage, 0 to 1.
    has_model : bool
        Whether there is a model for a correction.
    """

    run: RunnerStatus
    text: str
    fraction: float
    has_model: bool


class Events(SignalGroup):
    """Signals of a controller, all emitted in the viewer's thread."""

    status_changed = Signal(Status)
    error_reported = Signal(str)
    error_withdrawn = Signal(str, description='An error that was reported and is gone.')
    notes_reported = Signal(tuple, description='Sentences for the user about a result.')
    request_answered = Signal(tuple, description='Sentences for the user on the present request.')
    loss_changed = Signal(list, description='The latest training: pairs of seconds and loss.')
    model_changed = Signal(Trained, description='The new model in use.')
    noise_estimated = Signal(tuple, bool, description='Estimates; whether they were requested.')
    noise_calibrated = Signal(Calibration)
    result_ready = Signal(
        Target, object, str, dict, description='Image, or path of a saved one; name, report.'
    )
    plane_ready = Signal(Target, tuple, np.ndarray, description='Index and values of a preview.')
    report_written = Signal(Path)
    map_ready = Signal(Target, object, str, dict, description='As a result, in noise units.')
