"""Events that a job yields: its progress and its results."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.region import WHOLE, Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.calibration.calibrate import Calibration
from napari_noise2score.noise.estimate.noise_fit import NoiseFit

if TYPE_CHECKING:
    from napari_noise2score.analysis.training_effect import Change
    from napari_noise2score.pipeline.results import Corrected, ScoreMap
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.score.train import Stop
    from napari_noise2score.settings import Context, DenoiseSettings


class Stage(StrEnum):
    """Stages of jobs."""

    LOAD = 'load'
    ESTIMATE = 'estimate'
    CALIBRATE = 'calibrate'
    PREVIEW = 'preview'
    TRAIN = 'train'
    CORRECT = 'correct'
    SAVE = 'save'
    COMPARE = 'compare'
    EXPORT = 'export'
    REPORT = 'report'

    @property
    def applies_model(self) -> bool:
        """Whether a trained model is applied in this stage."""
        return self in (Stage.CORRECT, Stage.SAVE)


@dataclass(frozen=True, slots=True)
class Update:
    """Progress of a job; the only event that may be skipped.

    Attributes
    ----------
    stage : Stage
        The current stage.
    fraction : float
        Completed share of the stage, 0 to 1.
    step, loss : int, float or None
        Step and loss of the training.
    spent : float or None
        Seconds since the start of the training.
    left : float or None
        Remaining seconds of the stage, if known.
    start_risk, risk : float or None
        Estimated error at the start of the training and now, in units of the noise variance.
    part : (int, int) or None
        Number of the training, and number of all trainings.
    """

    stage: Stage
    fraction: float
    step: int | None = None
    loss: float | None = None
    spent: float | None = None
    left: float | None = None
    start_risk: float | None = None
    risk: float | None = None
    part: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Estimated:
    """The blind estimate of one channel of an image."""

    source: ImageSource
    place: dict[str, int]
    fit: NoiseFit


@dataclass(frozen=True, slots=True)
class Noted:
    """Notes for the user, in sentences."""

    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """The result of a measurement on calibration frames."""

    calibration: Calibration


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A score model, ready for use.

    Attributes
    ----------
    model, settings : ScoreModel, DenoiseSettings
        The model and the settings to apply it.
    start : ScoreModel or None
        The model from which its training continued, if that was the model in use.
    path : Path or None
        The file of the model.
    loaded : bool
        Whether it was loaded; it is then also applied to layers with the score of another model.
    """

    model: ScoreModel
    settings: DenoiseSettings
    start: ScoreModel | None = None
    path: Path | None = None
    loaded: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The learned score of an image, stored for other corrections without the network.

    Attributes
    ----------
    score_map : ScoreMap
        The score.
    settings : DenoiseSettings
        The settings with which it was computed.
    start : ScoreModel or None
        The model from which the training continued, if that was the model in use.
    """

    score_map: ScoreMap
    settings: DenoiseSettings
    start: ScoreModel | None = None

    def is_valid_for(self, source: ImageSource) -> bool:
        """Whether the image has not changed since the score was computed."""
        scored = self.score_map.prepared.source
        same = all(
            getattr(scored, key) == getattr(source, key) for key in ('axes', 'shape', 'region')
        )
        return same and self.score_map.checksum == source.checksum()

    def saw(self, context: Context) -> bool:
        """Whether the score was computed with what a context requests.

        Raises
        ------
        InputError
            If the image does not have the axis that it requests.
        """
        source = self.score_map.prepared.source
        now, then = (
            requested.axis_of(source.axes, source.shape)
            for requested in (context, self.settings.context)
        )
        return now == then


@dataclass(frozen=True, slots=True)
class Found:
    """The layers of an interrupted run were found: the number of each."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The clean image number ``number`` of a job.

    If it is ``saved`` in a file, its image is read from there.
    """

    number: int
    scored: Scored
    corrected: Corrected
    report: dict[str, Any]
    saved: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """The error of image number ``number`` of a job; the work on the other images continues."""

    number: int
    error: Exception


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """Effect of the training on image number ``number`` of a job."""

    number: int
    change: Change


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """Removed noise of image number ``number`` of a job, noise standard deviations."""

    number: int
    image: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reported:
    """The page on image number ``number`` of a job was written.

    Attributes
    ----------
    page : Path
        The page.
    doubtful : tuple of str
        What is doubtful, in sentences.
    """

    number: int
    page: Path
    doubtful: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """A plane of image number ``number``, corrected with the current weights.

    Attributes
    ----------
    index : tuple
        Index of the plane in the data of the image.
    values : array, floating
        The plane, with its axes as in the data.
    """

    number: int
    index: tuple[int | slice, ...]
    values: NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class View:
    """The displayed part of an image.

    Attributes
    ----------
    place : dict of str to int
        Position on the axes other than Y and X, by letter.
    window : Region
        Displayed rows and columns.
    """

    place: dict[str, int]
    window: Region = WHOLE


Event: TypeAlias = (
    Update
    | Estimated
    | Noted
    | Calibrated
    | Trained
    | Found
    | Result
    | Failed
    | Changed
    | Live
    | Residual
    | Reported
)

Watched: TypeAlias = 'Callable[[int], View | None]'
"""Returns the displayed part of an image from its number; None if it is not displayed."""

Job: TypeAlias = Generator[Event, None, None]

MakeJob: TypeAlias = 'Callable[[Stop], Job]'
"""Makes a job from its stop flag."""
