"""What a training changed: how far its result is from that of the weights it began with.

Where both agree, the result rests on what was learned elsewhere; where they differ, the layers
themselves have spoken.
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import CheckpointError, InputError
from napari_noise2score.images.storage import allocate
from napari_noise2score.pipeline.results import ScoreMap
from napari_noise2score.progress import relay
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress, predict_clean
from napari_noise2score.score.pretraining.weights import starting_model
from napari_noise2score.settings import StartFrom

BLOCK = 32
"""Side of the squares that are compared to find where the difference is largest, pixels."""


@dataclass(frozen=True, slots=True)
class LargestChange:
    """The square of a channel in which the training changed most.

    Attributes
    ----------
    plane, y, x : int
        Number of the plane, and the square's first row and column.
    size : int
        Height and width, pixels; less at the border.
    rms : float
        Root of the mean squared difference there, noise standard deviations.
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
    """What a training changed in an image.

    Attributes
    ----------
    image : array
        Trained result less that of the start, shape and axes of the source, float32, in standard
        deviations of the noise.
    largest : tuple of LargestChange
        Where it is largest, channel by channel.
    """

    image: NDArray[np.float32]
    largest: tuple[LargestChange, ...]


def start_of(model: ScoreModel, start: ScoreModel | None = None) -> ScoreModel:
    """The weights that the training of a model began with.

    Parameters
    ----------
    model : ScoreModel
        What was trained.
    start : ScoreModel, optional
        The weights themselves, where they are in no file.

    Raises
    ------
    InputError
        If it began with random weights.
    CheckpointError
        If they are not here any more.
    """
    init = model.training.get('init', StartFrom.SCRATCH)
    start = start or starting_model(init)
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
    same_zero = copy.deepcopy(start)
    same_zero.network.centre.copy_(model.network.centre)
    return same_zero


def training_difference(
    score_map: ScoreMap,
    *,
    device: str = 'auto',
    orientations: int = 8,
    start: ScoreModel | None = None,
) -> Generator[PredictProgress, None, Change]:
    """Apply the start of a training to an image that its model was applied to.

    Parameters
    ----------
    score_map : ScoreMap
        What a model, or one for each channel, has found that was trained from pretrained weights.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    orientations : int
        Turned and mirrored views that are averaged; as many as for ``score_map``.
    start : ScoreModel, optional
        What the training began with, where that is in no file.

    Raises
    ------
    InputError, CheckpointError
        As `start_of`.
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

        steps = predict_clean(
            starts[id(model)],
            channel,
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
