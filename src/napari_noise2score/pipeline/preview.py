"""One clean plane with the current weights, as a preview during the training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.blank_places import BlankPlaces
from napari_noise2score.images.region import WHOLE, Region
from napari_noise2score.images.source import Channel
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.pipeline.prepared import PreparedChannel
from napari_noise2score.progress import finish
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.planes import PlanesInMemory
from napari_noise2score.score.predict import predict_clean


def correct_plane(
    model: ScoreModel,
    channel: PreparedChannel,
    plane: int,
    correction: Correction = Correction.AUTO,
    *,
    window: Region = WHOLE,
    device: str = 'auto',
) -> NDArray[np.floating]:
    """One plane of a channel, or a window of it, corrected with a single view.

    Parameters
    ----------
    model : ScoreModel
        The model with its current weights.
    channel : PreparedChannel
        The channel, with its noise model.
    plane : int
        Number of the plane.
    correction : Correction
        Form of the correction; ``AUTO`` selects the stabilised one, because no risk is estimated
        here.
    window : Region
        Rows and columns.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.

    Returns
    -------
    (Y, X) float32, or float64 if float32 cannot represent the data type of the image
        Grey levels.
    """
    inner = channel.channel
    part = Channel(inner.source.part(window), inner.place)
    ranges = part.source.rows_and_columns
    cropped = replace(
        channel,
        channel=part,
        blanks=BlankPlaces(),
        offsets=channel.offsets.part(*ranges),
        maps=channel.maps and channel.maps.part(*ranges),
        even=channel.even and channel.even.part(*ranges),
    )
    form = Correction.STABILISED if correction is Correction.AUTO else correction
    alone = PlanesInMemory.like(cropped, cropped.plane(plane)[None, None])
    (clean,) = finish(predict_clean(model, alone, device=device, orientations=1))
    values = cropped.correct(plane, clean, channel.family, form).clean
    return values.astype(np.result_type(inner.source.data.dtype, np.float32))
