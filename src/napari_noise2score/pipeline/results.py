"""Results of the stages of the pipeline, and the events that it yields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.pipeline.levels import LevelsOnDemand
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel
from napari_noise2score.pipeline.residual_check import ResidualCheck
from napari_noise2score.pipeline.selection import ChannelEvaluation
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.progress import TrainProgress
from napari_noise2score.score.risk import Risk

Levels: TypeAlias = NDArray[np.float32] | LevelsOnDemand
"""Clean levels (N, Y, X) of a channel; an index gives those of a plane."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreMap:
    """The learned score of an image, from which any correction follows without the network.

    Attributes
    ----------
    prepared : Prepared
        The image and the noise models of the training's coordinate.
    clean : tuple of (N, Y, X) float32
        For each channel the clean level ``D`` in its unit-noise coordinate; the score there is
        ``(D - t) / v(D)``. Held as an array, or predicted plane by plane where it is indexed.
    evaluations : tuple of ChannelEvaluation
        For each channel its trials, with which the risk of a correction is measured.
    models : tuple of ScoreModel
        For each channel the model of its score.
    checksum : int
        Checksum of the grey levels, to detect a change of the image in place.
    warnings : tuple of str
        Warnings of the score for the user.
    """

    prepared: Prepared
    clean: tuple[Levels, ...]
    evaluations: tuple[ChannelEvaluation, ...]
    models: tuple[ScoreModel, ...]
    checksum: int
    warnings: tuple[str, ...] = ()

    @property
    def distinct(self) -> list[ScoreModel]:
        """The models, each once."""
        return list({id(model): model for model in self.models}.values())

    @property
    def on_demand(self) -> bool:
        """Whether clean levels are predicted when they are asked for, instead of held."""
        return any(isinstance(levels, LevelsOnDemand) for levels in self.clean)

    @property
    def noise_doubted(self) -> bool:
        """Whether a training has shown that the noise model is wrong.

        A risk that depends on that model is then not reliable.
        """
        return any(
            model.training.get('flat_places', {}).get('harmed', False) for model in self.models
        )


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """A clean image.

    Attributes
    ----------
    image : array
        Shape, axes and grey levels of the source, float32 (float64 where that is too coarse) or
        its dtype.
    families : tuple of NoiseFamily
        Noise corrected for, channel by channel.
    correction : Correction
        Form of the correction.
    checks : tuple of ResidualCheck
        What the residual says, channel by channel.
    risks : mapping of Correction to Risk
        Estimated risk of the forms that were compared; of the one used if it was given.
    clipped : int
        Values that lay outside the range of the dtype and were clipped.
    warnings : tuple of str
        What a user should know of the image.
    blank : tuple of float
        Share of each channel that holds no noise and is returned as it is.
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
    """How much of a stage is done.

    Attributes
    ----------
    stage : str
        ``'estimate'``, ``'train'`` or ``'correct'``.
    fraction : float
        Share of the stage that is done, 0 to 1.
    training : TrainProgress or None
        Details of the training, in that stage.
    part : (int, int) or None
        Number of the training, from 1, and how many trainings there are, in that stage.
    left : float or None
        Seconds until the trainings, or the correction of this image, are done, where known.
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
    """The images of the next trainings have their noise models; the first training comes next.

    Attributes
    ----------
    images : dict of int to Prepared
        These images, by their numbers.
    groups : tuple of tuple of PreparedChannel
        The channels that each of the trainings is for, in the order of the trainings.
    start : callable
        Returns the weights that the trainings begin with, ready to be applied; None if these are
        random.
    """

    images: dict[int, Prepared]
    groups: tuple[tuple[PreparedChannel, ...], ...]
    start: Callable[[], ScoreModel | None]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model was trained; it has not been applied yet.

    Attributes
    ----------
    model : ScoreModel
        The trained model.
    numbers : tuple of int
        Numbers of the images that it was trained on.
    """

    model: ScoreModel
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Denoised:
    """What `denoise` returns for one image.

    Attributes
    ----------
    image : array
        The clean image: shape, axes and grey levels of the source, float32 or its dtype. If it
        was asked for on demand, a `CleanImage`.
    corrected : Corrected
        The image with its noise models and residual checks.
    score_map : ScoreMap
        For other corrections without the network.
    report : dict
        Settings, noise, checks, versions; plain values.
    number : int
        Which of the images it is of.
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
        """The trained score; of several the first."""
        return self.score_map.models[0]


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """An image that could not be denoised, while the work on the others goes on.

    Attributes
    ----------
    number : int
        Which of the images it is.
    error : Exception
        What is wrong with it.
    """

    number: int
    error: Exception


Event = Estimated | ReadyToTrain | Progress | Trained | Denoised | LeftOut
"""What the pipeline yields."""
