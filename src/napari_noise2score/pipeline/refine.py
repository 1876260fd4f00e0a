"""Noise models before a training, refined with the pretrained network.

`model_noise` estimates the noise. For single images the correlation of the noise is measured on
the residual of the pretrained network. `levelling` equalises the noise of pixels and subtracts the
offsets of rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.blocks import Window, is_large
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.arrays import central
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.estimate.residual_correlation import from_residual
from napari_noise2score.noise.fill import filled
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.levelling import levelled
from napari_noise2score.pipeline.prepare import Refine, model_noise
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel
from napari_noise2score.pipeline.pretrained import level_by_pretrained

Array = NDArray[np.float64]

_SIDE = 256
"""Maximum height and width of the window on which the correlation is measured, pixels."""


def prepare_image(
    source: ImageSource,
    noise: NoiseRequest | None = None,
    separate: str = '',
    *,
    device: str = 'auto',
    constant_too: bool = False,
) -> Prepared:
    """Give every channel of an image its noise model, refined with the pretrained network.

    Parameters
    ----------
    source, noise, separate, constant_too
        As of `napari_noise2score.pipeline.prepare.model_noise`.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.

    Raises
    ------
    InputError
        If the noise cannot be estimated and is not given, or every channel is constant.
    """
    refine = by_pretrained(device)
    prepared = model_noise(source, noise, separate, refine=refine, constant_too=constant_too)
    return levelled(prepared, device)


def by_pretrained(device: str = 'auto') -> Refine:
    """Correlation of the noise of single images: a `Refine` for `model_noise`.

    It is measured on the central window of one plane, of 256 x 256 pixels at most, in about a
    second. The result is None if the correlation was measured on frame differences, or if there
    are ``maps`` of the pixels.

    Parameters
    ----------
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    """

    def refine(channel: PreparedChannel) -> Correlation | None:
        fit = channel.fit
        if fit is None or fit.compared or channel.maps is not None or fit.rows.waves:
            return None
        plane = _central_window(channel, channel.shape[0] // 2)

        def denoise(noisy: Array) -> Array:
            level = level_by_pretrained(channel, noisy.astype(np.float32), device)
            return level.astype(np.float64)

        usable = np.isfinite(plane) & (plane < channel.coordinate.forward(channel.rail))
        measured = from_residual(filled(plane), usable, denoise, channel.table.variance_at)
        if measured is not None and measured.relevant.is_white and not fit.correlation.is_white:
            return None  # a correlation that was measured on flat places stays valid
        return measured

    return refine


def _central_window(channel: PreparedChannel, index: int) -> Array:
    """The central window of a plane, (Y, X), in the unit-noise coordinate."""
    window = Window(*(central(side, _SIDE) for side in channel.shape[1:]))
    if is_large(channel.shape):
        return channel.part(window).plane(index).astype(np.float64)
    return channel.plane(index)[window].astype(np.float64)
