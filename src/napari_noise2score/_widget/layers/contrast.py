"""Contrast limits of a result, also where its source is too dark to be seen.

A result has the limits of its source, so that both look alike where they are alike. napari shows
8-bit images from 0 to 255, which nobody has chosen: photon counts of 0 to 5 are black, and so
would be their clean image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_noise2score._widget.control.target import Target

if TYPE_CHECKING:
    from napari.layers import Image

Limits = tuple[float, float]

_DARK = 1 / 16
"""Share of its contrast limits below which nothing is seen of an image."""


def own_limits(target: Target, image: Any) -> Limits | None:
    """Contrast limits of a result whose source is black with the limits that it has by default.

    Parameters
    ----------
    target : Target
        The source. One plane of it is read if it has the limits of its data type.
    image : array-like
        The clean image, or planes of it, intensity units; a list has the levels of a multiscale
        layer.

    Returns
    -------
    limits : (float, float) or None
        Lowest and highest intensity; None if the limits of the source are to be taken: it can be
        seen, its limits were chosen, or the image is not in memory.
    """
    layer, source = target.layer, target.source
    image = image[-1] if isinstance(image, list) else image
    if layer.rgb or not isinstance(image, np.ndarray) or source.data.dtype.kind not in 'iu':
        return None
    whole = np.iinfo(source.data.dtype)
    if tuple(layer.contrast_limits) != (whole.min, whole.max):
        return None
    middle = np.asarray(source.data[tuple(side // 2 for side in source.shape[:-2])])
    if int(middle.max()) - int(middle.min()) > _DARK * (int(whole.max) - int(whole.min)):
        return None
    known = image[np.isfinite(image)]
    limits = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    return limits if limits[0] < limits[1] else None


def show_with(layer: Image, limits: Limits) -> None:
    """Set the contrast limits of a layer, and the range of their slider."""
    layer.contrast_limits_range = layer.contrast_limits = limits


def show_apart(layer: Image, target: Target, image: Any) -> None:
    """Give a layer that has the limits of its source those of `own_limits`, if there are any."""
    if tuple(layer.contrast_limits) == tuple(target.layer.contrast_limits):
        limits = own_limits(target, image)
        if limits is not None:
            show_with(layer, limits)


def show_like(layer: Image, other: Image) -> None:
    """Give a layer the contrast limits of another one, and the range of their slider. Layers in
    colour have none.
    """
    if not layer.rgb:
        layer.contrast_limits_range = other.contrast_limits_range
        layer.contrast_limits = other.contrast_limits
