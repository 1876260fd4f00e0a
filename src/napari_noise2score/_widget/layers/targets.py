"""Image layers of napari, and their images for the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score._widget.control.target import Target
from napari_noise2score.errors import InputError
from napari_noise2score.images.axes import KNOWN, guess_axes
from napari_noise2score.images.region import Part, Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.arrays import readable

if TYPE_CHECKING:
    from napari.layers import Image

METADATA = 'noise2score'
"""Key of the report in the metadata of a result."""

COLOURS = 3
"""Number of channels of a colour layer that are denoised, without alpha."""


def unwrapped(layer: Any) -> Any:
    """The layer itself, for the proxy that napari passes to plugins."""
    return getattr(layer, '__wrapped__', layer)


def image_layers(viewer: Any) -> list[Any]:
    """The Image layers of a viewer, without proxies, the lowest one first."""
    from napari.layers import Image

    layers = (unwrapped(layer) for layer in viewer.layers)
    return [layer for layer in layers if isinstance(layer, Image)]


def is_result(layer: Image) -> bool:
    """Whether a layer is a result: of a panel, or from a local file that states it is one."""
    if METADATA in layer.metadata:
        return True
    path = layer.source.path
    if path is None or not Path(path).exists():
        return False
    from napari_noise2score.images.formats import recipe_of  # many formats, for few layers

    try:
        return recipe_of(path) is not None
    except InputError:  # not an image that is read here
        return False


def full_data(layer: Image) -> Any:
    """The array of a layer; for a multiscale layer that of full resolution."""
    return layer.data[0] if layer.multiscale else layer.data


def stated_axes(layer: Image) -> str | None:
    """Axes of a layer from its axis labels; None if the labels are not letters of axes."""
    letters = ''.join(str(label).upper() for label in layer.axis_labels)
    valid = len(letters) == layer.ndim == len(set(letters)) and set(letters) <= set(KNOWN)
    if valid and {'Y', 'X'} <= set(letters) and not (layer.rgb and 'S' in letters):
        return letters + ('S' if layer.rgb else '')
    return None


def likely_axes(layer: Image) -> str:
    """Axes of a layer from its axis labels, or a guess from its shape."""
    return stated_axes(layer) or guess_axes(full_data(layer).shape, rgb=bool(layer.rgb))


def target_of(layer: Image, axes: str) -> Target:
    """A layer with its image for the pipeline.

    Raises
    ------
    InputError
        If axes and shape do not fit, or the values are not real numbers.
    """
    data, axes = readable(full_data(layer), str(layer.name)), axes.strip().upper()
    if layer.rgb and axes.endswith('S') and len(axes) == len(data.shape):
        colours = Region({'S': (0, COLOURS)})
        data = Part(data, colours.slices(axes, data.shape, str(layer.name)))
    return Target(layer, ImageSource(data, axes, str(layer.name)))


def in_units(
    points: Any, given: Sequence[Any] | None, wanted: Sequence[Any] | None
) -> NDArray[np.float64]:
    """World coordinates (..., axes) in the units of a layer; the last axes correspond.

    napari 0.9 has the coordinates of the viewer in the smallest unit of its layers. Coordinates
    are not changed if units are not known, or measure different things (pixels and nanometres).
    """
    changed = np.array(points, float)
    pairs = zip(reversed(given or ()), reversed(wanted or ()), strict=False)
    for axis, (unit, other) in enumerate(pairs, 1):
        if axis <= changed.shape[-1] and unit.dimensionality == other.dimensionality:
            changed[..., -axis] *= (1 * unit).to(other).magnitude
    return changed


def has_axes_of(target: Target) -> bool:
    """Whether the layer of a target has as many axes as when the target was made."""
    return bool(target.layer.ndim == len(target.source.axes) - bool(target.layer.rgb))


def offset(target: Target) -> NDArray[np.float64]:
    """First pixel of the denoised part along each axis of the layer."""
    letters = target.source.axes[: target.layer.ndim]
    return np.array([target.region.ranges.get(letter, (0, 0))[0] for letter in letters], float)
