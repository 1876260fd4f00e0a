"""What a job says: where it is, and what it has found, as soon as it has it."""

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
    from napari_noise2score.settings import DenoiseSettings


class Stage(StrEnum):
    """Stages of jobs."""

    LOAD = 'load'
    ESTIMATE = 'estimate'
    CALIBRATE = 'calibrate'
    PREVIEW = 'preview'
    TRAIN = 'train'
    CORRECT = 'correct'
    COMPARE = 'compare'
    EXPORT = 'export'


@dataclass(frozen=True, slots=True)
class Update:
    """Where a job is. The only thing a job yields that may be skipped.

    Attributes
    ----------
    stage : Stage
        What it does now.
    fraction : float
        Share of the stage that is done, 0 to 1.
    step, loss : int, float or None
        Of the training.
    spent : float or None
        Seconds since the training began.
    left : float or None
        Seconds until the stage ends, where known.
    start_risk, risk : float or None
        Estimated error before and after the training so far, in units of the noise variance.
    part : (int, int) or None
        Which of how many trainings.
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
    """What a user should know, in sentences."""

    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """What was measured on calibration frames."""

    calibration: Calibration


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A score model, ready for use.

    Attributes
    ----------
    model, settings : ScoreModel, DenoiseSettings
        The model and how to apply it.
    start : ScoreModel or None
        What its training went on from, if that was the model in use.
    path : Path or None
        The file that holds it.
    loaded : bool
        Whether it was loaded, and so is to be applied to layers that have another score too.
    """

    model: ScoreModel
    settings: DenoiseSettings
    start: ScoreModel | None = None
    path: Path | None = None
    loaded: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The learned score of an image, kept to correct again without the network.

    Attributes
    ----------
    score_map : ScoreMap
        The score.
    settings : DenoiseSettings
        Whence it came.
    start : ScoreModel or None
        What the training went on from, if that was the model in use.
    """

    score_map: ScoreMap
    settings: DenoiseSettings
    start: ScoreModel | None = None

    def holds_for(self, source: ImageSource) -> bool:
        """Whether the image is still the one that was scored."""
        scored = self.score_map.prepared.source
        same = all(
            getattr(scored, key) == getattr(source, key) for key in ('axes', 'shape', 'region')
        )
        return same and self.score_map.checksum == source.checksum()


@dataclass(frozen=True, slots=True)
class Found:
    """The layers of an interrupted run were found: the number of each."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The clean image number ``number`` of a job."""

    number: int
    scored: Scored
    corrected: Corrected
    report: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """Why there is no clean image number ``number`` of a job; the others go on."""

    number: int
    error: Exception


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """What the training changed in the image number ``number`` of a job."""

    number: int
    change: Change


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """What was removed from image number ``number`` of a job, noise standard deviations."""

    number: int
    image: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """A plane of image number ``number`` as the training would deliver it now.

    Attributes
    ----------
    index : tuple
        Where it lies in the data of the image.
    values : array, floating
        The plane, with its axes as in the data.
    """

    number: int
    index: tuple[int | slice, ...]
    values: NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at of an image.

    Attributes
    ----------
    place : dict of str to int
        Position on its axes but Y and X, by letter.
    window : Region
        Rows and columns in sight.
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
)

Watched: TypeAlias = 'Callable[[int], View | None]'
"""What is looked at now of an image, by its number; None if nothing is."""

Job: TypeAlias = Generator[Event, None, None]

MakeJob: TypeAlias = 'Callable[[Stop], Job]'
"""Makes a job that looks at the flag it is given."""
