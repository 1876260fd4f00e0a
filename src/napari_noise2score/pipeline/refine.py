"""What every image passes before a training: its noise model, refined with the pretrained network.

The noise is estimated (`model_noise`), the correlation of the noise of single images is measured
on what the network removes, and pixels and rows that differ are made alike (`levelling`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.arrays import central
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.estimate.residual_correlation import from_residual
from napari_noise2score.noise.fill import filled
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.equalisation import level_by_warm_start
from napari_noise2score.pipeline.levelling import levelled
from napari_noise2score.pipeline.prepare import Refine, model_noise
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel

Array = NDArray[np.float64]

_SIDE = 256
"""Largest height and width of the part of a plane that is looked at, pixels."""


def prepare_image(
    source: ImageSource,
    noise: NoiseRequest | None = None,
    separate: str = '',
    *,
    device: str = 'auto',
    constant_too: bool = False,
) -> Prepared:
    """Give every channel of an image its noise model, with all that the network says of it.

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

    From the middle of one plane, of 256 x 256 pixels at most. Takes about a second. Nothing is
    measured, None, where the frames themselves have shown the correlation, or where pixels differ
    (``maps``).

    Parameters
    ----------
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    """

    def refine(channel: PreparedChannel) -> Correlation | None:
        fit = channel.fit
        if fit is None or fit.compared or channel.maps is not None or fit.rows.waves:
            return None
        plane = _middle(channel.plane(channel.shape[0] // 2))

        def denoise(noisy: Array) -> Array:
            level = level_by_warm_start(channel, noisy.astype(np.float32), device)
            return level.astype(np.float64)

        usable = np.isfinite(plane) & (plane < channel.coordinate.forward(channel.rail))
        found = from_residual(filled(plane), usable, denoise, channel.table.variance_at)
        if found is not None and found.relevant.is_white and not fit.correlation.is_white:
            return None  # what flat places have shown is not taken back
        return found

    return refine


def _middle(plane: NDArray[np.float32]) -> Array:
    """The middle of a plane (Y, X)."""
    window = tuple(central(side, _SIDE) for side in plane.shape)
    return plane[window].astype(np.float64)
