"""What a training belongs to: images, noise models, settings, start, versions."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.pipeline.divided_planes import divided
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel
from napari_noise2score.pipeline.record import versions
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.pretraining.weights import starting_model
from napari_noise2score.score.training_origin import TrainingOrigin
from napari_noise2score.settings import TrainSettings

_DECISIVE = ('napari-noise2score', 'torch')
"""Programs whose version can change the numbers of a training."""


def origin_of(
    prepared: Sequence[Prepared], settings: TrainSettings, start: ScoreModel | None = None
) -> TrainingOrigin:
    """What a training on these images belongs to.

    Reads the images, of large ones evenly spread planes.

    Parameters
    ----------
    prepared : sequence of Prepared
        The images, with the planes that the training sees.
    settings : TrainSettings
        How to train.
    start : ScoreModel, optional
        Weights to begin with, instead of those that the settings name.
    """
    start = start or starting_model(settings.init)
    found = versions()
    return TrainingOrigin(
        {name: found[name] for name in _DECISIVE},
        settings.decisive,
        None if start is None else start.digest,
        [_image(image) for image in prepared],
    )


def _image(image: Prepared) -> dict[str, Any]:
    source = image.source
    return {
        'name': source.name,
        'axes': source.axes,
        'shape': list(source.shape),
        'region': str(source.region),
        'places': [channel.channel.place for channel in image.channels],
        'crc32': source.checksum(),
        'noise': [channel.family.to_dict() for channel in image.channels],
        'coordinate': [_coordinate(channel) for channel in image.channels],
    }


def _coordinate(channel: PreparedChannel) -> int:
    """CRC-32 of the first plane in the coordinate, or of the first part of a large one; of its
    variance, correlation and pairs.
    """
    curve = channel.curve
    pairs = [(pair.first, pair.second) for pair in channel.pairs]
    parts: list[NDArray[Any]] = [
        divided(channel).plane(0),
        np.array([curve.start, curve.stop, curve.doubt]),
        curve.values,
        channel.correlation.kernel,
        np.array(pairs),
    ]
    if channel.neighbours is not None:
        parts.append(np.array([ord(channel.neighbours.axis)]))
    found = 0
    for part in parts:
        found = zlib.crc32(np.ascontiguousarray(part).tobytes(), found)
    return found
