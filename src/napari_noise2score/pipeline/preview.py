"""One plane at a time, as it would come out now: for looking at while a training runs."""

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
from napari_noise2score.score.predict import predict_clean
from napari_noise2score.score.sampler import PlanesInMemory
from napari_noise2score.score.slabs import read_slab


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
        What has been learned so far.
    channel : PreparedChannel
        The channel, with its noise model.
    plane : int
        Which of its planes.
    correction : Correction
        Form of the correction; ``AUTO`` takes the stabilised one, as no risk is measured here.
    window : Region
        Which of its rows and columns.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.

    Returns
    -------
    (Y, X) float32, or float64 for an image of a dtype that has no place in it
        Grey levels.
    """
    inner = channel.channel
    part = Channel(inner.source.part(window), inner.place)
    ranges = part.source.rows_and_columns
    seen = replace(
        channel,
        channel=part,
        blanks=BlankPlaces(),
        offsets=channel.offsets.part(*ranges),
        maps=channel.maps and channel.maps.part(*ranges),
        even=channel.even and channel.even.part(*ranges),
    )
    form = Correction.STABILISED if correction is Correction.AUTO else correction
    numbers = seen.slab(plane, model.network.settings.planes)
    held = PlanesInMemory.like(seen, read_slab(numbers, seen.plane)[None])
    (clean,) = finish(predict_clean(model, held, device=device, orientations=1))
    values = seen.correct(plane, clean, channel.family, form).clean
    return values.astype(np.result_type(inner.source.data.dtype, np.float32))
