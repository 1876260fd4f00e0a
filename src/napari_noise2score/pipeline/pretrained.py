"""What the pretrained weights say of a channel, whatever model it is going to be denoised with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.pipeline.divided_planes import divided
from napari_noise2score.pipeline.prepared import PreparedChannel
from napari_noise2score.progress import finish
from napari_noise2score.score.device import choose_device
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.parts import centre_of
from napari_noise2score.score.planes import PlanesInMemory
from napari_noise2score.score.predict import predict_clean
from napari_noise2score.score.pretraining.weights import warm_start, warm_start_with_context
from napari_noise2score.score.probe import Resample
from napari_noise2score.score.resampling import NoiseResampler
from napari_noise2score.score.sampler import some_patches

Array = NDArray[np.float64]

_PATCH = 64
"""Height and width of the patches from which the level of an image is measured."""


def level_by_pretrained(
    channel: PreparedChannel, plane: NDArray[np.float32], device: str
) -> NDArray[np.float32]:
    """Clean level (Y, X) of one plane (Y, X) from the pretrained weights, with a single view.

    Both are in the unit-noise coordinate of the channel; NaN where the plane is NaN.
    """
    seen = np.isfinite(plane)
    if not seen.any():
        return plane
    model = warm_start().at_level(float(np.median(plane[seen])))
    single = PlanesInMemory.like(channel, plane[None, None])
    (level,) = finish(predict_clean(model, single, device=device, orientations=1))
    return np.asarray(level)


def clean_by_pretrained(
    channel: PreparedChannel, plane: NDArray[np.float32], device: str
) -> Array:
    """Clean values of one plane from the pretrained weights, with a single view.

    Parameters
    ----------
    channel : PreparedChannel
        The channel of the plane.
    plane : (Y, X) float32
        The plane in the unit-noise coordinate of the channel; NaN where it is blank.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.

    Returns
    -------
    (Y, X) float64
        Grey levels; a typical one where the plane is blank.
    """
    clean = channel.table.clean_value(level_by_pretrained(channel, plane, device))
    return np.where(np.isnan(clean), channel.table.base, clean)


def context_model(channel: PreparedChannel) -> ScoreModel:
    """The pretrained weights with context, ready to be applied to a channel."""
    return ready_for(channel, warm_start_with_context())


def ready_for(channel: PreparedChannel, model: ScoreModel) -> ScoreModel:
    """A model, ready to be applied to a channel: pretrained weights have seen no image, so they
    take the level of the channel as their zero.
    """
    if not model.pretrained:
        return model
    return model.at_level(centre_of(some_patches([divided(channel)], _PATCH, 0)))


def resampler(channel: PreparedChannel, device: str) -> Resample:
    """Resampling of pixels with the pretrained weights, independent of what is evaluated."""
    denoiser = ready_for(channel, warm_start()).denoiser([channel], choose_device(device))
    return NoiseResampler(denoiser, alone=True).draw_from_cpu
