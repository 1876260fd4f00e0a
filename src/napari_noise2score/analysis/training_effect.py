"""Effect of a training: difference between its result and that of its initial weights.

Where both are equal, the result comes from the initial weights; where they differ, it comes from
the training on the images.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import CheckpointError, InputError
from napari_noise2score.images.storage import allocate
from napari_noise2score.pipeline.context_levels import levels_of
from napari_noise2score.pipeline.results import Denoised, ScoreMap
from napari_noise2score.progress import relay
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress
from napari_noise2score.score.pretraining.weights import starting_model
from napari_noise2score.settings import VIEWS, DenoiseSettings, StartFrom

BLOCK = 32
"""Side of the squares in which the difference is measured, pixels."""


@dataclass(frozen=True, slots=True)
class LargestChange:
    """The square of a channel with the largest difference.

    Attributes
    ----------
    plane, y, x : int
        Number of the plane, and first row and column of the square.
    size : int
        Height and width, pixels; the square may be cut at the border.
    rms : float
        Root mean square difference in the square, noise standard deviations.
    rms_of_channel : float
        The same over the whole channel.
    """

    plane: int
    y: int
    x: int
    size: int
    rms: float
    rms_of_channel: float

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """Difference that a training made in an image.

    Attributes
    ----------
    image : array
        Result of the trained model minus that of the initial weights, with the shape and axes of
        the source, float32, noise standard deviations.
    largest : tuple of LargestChange
        Square with the largest difference, for each channel.
    """

    image: NDArray[np.float32]
    largest: tuple[LargestChange, ...]


def start_of(model: ScoreModel, start: ScoreModel | None = None) -> ScoreModel:
    """The initial weights of the training of a model.

    Parameters
    ----------
    model : ScoreModel
        The trained model.
    start : ScoreModel, optional
        The initial weights, if they are not in a file.

    Raises
    ------
    InputError
        If the initial weights were random.
    CheckpointError
        If their file is missing or has changed.
    """
    init = model.training.get('init', StartFrom.SCRATCH)
    start = start or starting_model(init, context=model.network.settings.context)
    if start is None:
        raise InputError(
            'this model was trained from scratch, so there is nothing to compare it with; train '
            'from the pretrained weights (init warm, --init warm)'
        )
    known = model.training.get('start', {}).get('sha256')
    if known is not None and known != start.digest:
        raise CheckpointError(
            f'{init}: the file has changed since this model was trained from it; train the '
            'model again'
        )
    return start.at_level(float(model.network.centre))


def training_difference(
    score_map: ScoreMap,
    *,
    device: str = 'auto',
    orientations: int = VIEWS,
    start: ScoreModel | None = None,
) -> Generator[PredictProgress, None, Change]:
    """Apply the initial weights of a training to an image, and compare with its score map.

    Parameters
    ----------
    score_map : ScoreMap
        Score of the image from a model, or one for each channel, that was not trained from random
        weights.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    orientations : int
        Number of rotated and mirrored views that are averaged; as many as for ``score_map``.
    start : ScoreModel, optional
        The initial weights of the training, if they are not in a file.

    Raises
    ------
    InputError, CheckpointError
        As in `start_of`.
    """
    starts = {id(model): start_of(model, start) for model in score_map.distinct}
    source, channels = score_map.prepared.source, score_map.prepared.channels
    image = allocate(source.shape, np.float32)
    largest = []
    count = len(channels)
    for number, (channel, clean, evaluation, model) in enumerate(
        zip(channels, score_map.clean, score_map.evaluations, score_map.models, strict=True)
    ):

        def of_all(tile: PredictProgress, number: int = number) -> PredictProgress:
            return PredictProgress(number * tile.total + tile.done, tile.total * count)

        begin = starts[id(model)]
        beside = score_map.beside[number] if score_map.beside else None
        if beside is not None and beside.model is model:
            beside = replace(beside, model=begin)
        steps = levels_of(
            begin,
            channel,
            beside,
            device=device,
            orientations=orientations,
            sigma_a=evaluation.sigma_a,
        )
        difference = np.nan_to_num(np.asarray(clean) - (yield from relay(steps, of_all)))
        for index in range(channel.shape[0]):
            channel.channel.write(index, difference[index], image)
        largest.append(_largest(difference))
    for constant in score_map.prepared.constant:
        for index in range(constant.shape[0]):
            constant.write(index, np.zeros(constant.shape[1:], np.float32), image)
    return Change(image, tuple(largest))


def change_of(
    result: Denoised, settings: DenoiseSettings, start: ScoreModel | None = None
) -> Generator[PredictProgress, None, NDArray[np.float32]]:
    """The effect of the training on a result; its largest differences go into the report.

    Parameters
    ----------
    result : Denoised
        The result.
    settings : DenoiseSettings
        How it was made.
    start : ScoreModel, optional
        As in `training_difference`, which raises the same errors.
    """
    change = yield from training_difference(
        result.score_map,
        device=settings.training.device,
        orientations=settings.views(result.score_map.prepared.source.size),
        start=start,
    )
    result.report['largest_change'] = [place.to_dict() for place in change.largest]
    return change.image


def _largest(difference: NDArray[np.float32]) -> LargestChange:
    square = difference.astype(np.float64) ** 2
    _, height, width = square.shape
    rows, columns = np.arange(0, height, BLOCK), np.arange(0, width, BLOCK)
    sums = np.add.reduceat(np.add.reduceat(square, rows, axis=1), columns, axis=2)
    means = sums / np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    plane, row, column = (int(i) for i in np.unravel_index(means.argmax(), means.shape))
    return LargestChange(
        plane,
        row * BLOCK,
        column * BLOCK,
        BLOCK,
        float(means.max() ** 0.5),
        float(square.mean() ** 0.5),
    )
