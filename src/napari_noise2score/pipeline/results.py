"""Results of the stages of the pipeline, and the events that it yields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.pipeline.blending import WithContext
from napari_noise2score.pipeline.levels import LevelsOnDemand
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel
from napari_noise2score.pipeline.residual_check import ResidualCheck
from napari_noise2score.pipeline.response import Response
from napari_noise2score.pipeline.selection import ChannelEvaluation
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.progress import TrainProgress
from napari_noise2score.score.risk import Risk

Levels: TypeAlias = NDArray[np.float32] | LevelsOnDemand
"""Clean levels (N, Y, X) of a channel; an index selects a plane."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreMap:
    """The learned score of an image; every correction is computed from it without the network.

    Attributes
    ----------
    prepared : Prepared
        The image with the noise models of its unit-noise coordinates.
    clean : tuple of (N, Y, X) float32
        For each channel the clean level ``D`` in its unit-noise coordinate; the score there is
        ``(D - t) / v(D)``. It is an array, or is predicted plane by plane when it is indexed.
    evaluations : tuple of ChannelEvaluation
        For each channel its trials, on which the risk of a correction is estimated.
    models : tuple of ScoreModel
        For each channel the model of its score.
    checksum : int
        Checksum of the grey levels, to detect a change of the image in place.
    warnings : tuple of str
        Warnings of the score for the user.
    beside : tuple of WithContext or None
        For each channel what the other planes say; empty if no channel has such.
    responses : tuple of dict
        For each channel what was smoothed: the response at steady and unsteady places.
    """

    prepared: Prepared
    clean: tuple[Levels, ...]
    evaluations: tuple[ChannelEvaluation, ...]
    models: tuple[ScoreModel, ...]
    checksum: int
    warnings: tuple[str, ...] = ()
    beside: tuple[WithContext | None, ...] = ()
    responses: tuple[Mapping[str, Response], ...] = ()

    @property
    def distinct(self) -> list[ScoreModel]:
        """The models, each once."""
        return list({id(model): model for model in self.models}.values())

    @property
    def on_demand(self) -> bool:
        """Whether clean levels are predicted when they are read, and not stored."""
        return any(isinstance(levels, LevelsOnDemand) for levels in self.clean)

    @property
    def noise_doubted(self) -> bool:
        """Whether a training has shown that the noise model is wrong.

        A risk that depends on that model is then not reliable.
        """
        return any(
            model.training.get('flat_places', {}).get('harmed', False) for model in self.models
        )

    @property
    def others_seen(self) -> bool:
        """Whether the other frames or slices were used.

        Clean levels are then so near the truth that the forms of the correction hardly differ but
        for the noise that they add, and frames that were seen cannot judge them.
        """
        return any(beside is not None and beside.used for beside in self.beside)


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """A clean image.

    Attributes
    ----------
    image : array
        Clean image with the shape, axes and grey levels of the source; float32 (float64 if
        float32 is too coarse) or the data type of the source.
    families : tuple of NoiseFamily
        Noise that was corrected for, for each channel.
    correction : Correction
        Form of the correction.
    checks : tuple of ResidualCheck
        Checks of the residual, for each channel.
    risks : mapping of Correction to Risk
        Estimated risk of the compared forms; if the form was given, of that one.
    clipped : int
        Number of values outside the range of the data type, which were clipped.
    warnings : tuple of str
        Warnings for the user.
    blank : tuple of float
        Share of each channel without noise, which is returned unchanged.
    """

    image: NDArray[Any]
    families: tuple[NoiseFamily, ...]
    correction: Correction
    checks: tuple[ResidualCheck, ...]
    risks: Mapping[Correction, Risk]
    clipped: int = 0
    warnings: tuple[str, ...] = ()
    blank: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a stage.

    Attributes
    ----------
    stage : str
        ``'estimate'``, ``'train'`` or ``'correct'``.
    fraction : float
        Completed share of the stage, 0 to 1.
    training : TrainProgress or None
        Details of the training, in that stage.
    part : (int, int) or None
        Number of the training, from 1, and number of all trainings, in that stage.
    left : float or None
        Remaining seconds of the trainings or of the correction of this image, if known.
    """

    stage: str
    fraction: float
    training: TrainProgress | None = None
    part: tuple[int, int] | None = None
    left: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Estimated:
    """The noise of an image was estimated.

    Attributes
    ----------
    number : int
        Number of the image.
    image : Prepared
        The image with its noise models.
    """

    number: int
    image: Prepared


@dataclass(frozen=True, slots=True, eq=False)
class ReadyToTrain:
    """The images of the next trainings have their noise models; the first training starts next.

    Attributes
    ----------
    images : dict of int to Prepared
        These images, by their numbers.
    groups : tuple of tuple of PreparedChannel
        The channels of each training, in the order of the trainings.
    start : callable
        Returns the initial weights of the trainings as a model; None if they are random.
    """

    images: dict[int, Prepared]
    groups: tuple[tuple[PreparedChannel, ...], ...]
    start: Callable[[], ScoreModel | None]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model was trained; it is not applied yet.

    Attributes
    ----------
    model : ScoreModel
        The trained model.
    numbers : tuple of int
        Numbers of the images on which it was trained.
    """

    model: ScoreModel
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Denoised:
    """Result of `denoise` for one image.

    Attributes
    ----------
    image : array
        The clean image with the shape, axes and grey levels of the source; float32 or the data
        type of the source. With ``on_demand`` it is a `CleanImage`.
    corrected : Corrected
        The image with its noise models and residual checks.
    score_map : ScoreMap
        The learned score, for other corrections without the network.
    report : dict
        Settings, noise, checks, versions; plain values.
    number : int
        Number of the image.
    """

    corrected: Corrected
    score_map: ScoreMap
    report: dict[str, Any]
    number: int = 0

    @property
    def image(self) -> NDArray[Any]:
        """The clean image."""
        return self.corrected.image

    @property
    def model(self) -> ScoreModel:
        """The trained model; the first one if there are several."""
        return self.score_map.models[0]


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """An image that could not be denoised; the work on the other images continues.

    Attributes
    ----------
    number : int
        Number of the image.
    error : Exception
        The error.
    """

    number: int
    error: Exception


Event = Estimated | ReadyToTrain | Progress | Trained | Denoised | Failed
"""Events that the pipeline yields."""
