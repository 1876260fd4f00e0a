"""napari layers: what is read from one, and how a result comes back beside its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.axes import KNOWN, guess_axes
from napari_noise2score.images.source import ImageSource

if TYPE_CHECKING:
    from napari.layers import Image

METADATA = 'noise2score'
"""Key of the report in the metadata of a result."""

_NOT_COPIED = ('name', 'metadata', 'visible', 'multiscale', 'rgb', 'locked_data_level', 'locked')
_PLACED = ('scale', 'translate', 'rotate', 'shear', 'affine', 'units', 'axis_labels')
_COLOURS = 3
_SHOWN = 3.0
"""Largest change that is told from larger ones, noise standard deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A layer and the image that is read from it.

    Attributes
    ----------
    layer : Image
        The layer itself, no proxy.
    source : ImageSource
        Its grey levels; of a colour layer the three colours without alpha.
    """

    layer: Image
    source: ImageSource


def unwrapped(layer: Any) -> Any:
    """The layer behind the proxy that napari hands to plugins."""
    return getattr(layer, '__wrapped__', layer)


def image_layers(viewer: Any) -> list[Any]:
    """The Image layers of a viewer, no proxies, the lowest first."""
    from napari.layers import Image

    layers = (unwrapped(layer) for layer in viewer.layers)
    return [layer for layer in layers if isinstance(layer, Image)]


def full_data(layer: Image) -> Any:
    """The array of a layer; of a multiscale layer its full resolution."""
    return layer.data[0] if layer.multiscale else layer.data


def likely_axes(layer: Image) -> str:
    """Axes of a layer: its labels where they are letters of ``TCZYXS``, else a guess."""
    letters = ''.join(str(label).upper() for label in layer.axis_labels)
    meant = len(letters) == layer.ndim == len(set(letters)) and set(letters) <= set(KNOWN)
    if meant and {'Y', 'X'} <= set(letters) and not (layer.rgb and 'S' in letters):
        return letters + ('S' if layer.rgb else '')
    return guess_axes(full_data(layer).shape, rgb=bool(layer.rgb))


def target_of(layer: Image, axes: str) -> Target:
    """What is read from a layer.

    Raises
    ------
    InputError
        If axes and shape do not fit, or the values are not real numbers.
    """
    data = full_data(layer)
    if layer.rgb and axes.upper().endswith('S'):
        data = data[..., :_COLOURS]
    return Target(layer, ImageSource(data, axes.strip(), str(layer.name)))


def add_result(
    viewer: Any, layer: Image, image: NDArray[np.float32], name: str, report: dict[str, Any]
) -> Image:
    """Add a clean image right above its source and with all its properties.

    Colour layers keep their dtype, whole numbers rounded and clipped to its range: napari shows
    colours as ``uint8``, ``uint16`` or as 0 to 1. Everything else is float32. Either way the
    intensity units are those of the source.

    Parameters
    ----------
    viewer : Viewer
        The viewer, or napari's proxy of it.
    layer : Image
        The source; it is not touched, and may be gone from the viewer.
    image : array, float32
        The clean image, in the shape and units of ``target_of(layer, ...).source``.
    name : str
        Name of the new layer.
    report : dict
        Goes into the metadata of the new layer.
    """
    from napari.layers import Image

    _, state, _ = layer.as_layer_data_tuple()
    kept = {key: value for key, value in state.items() if key not in _NOT_COPIED}
    data = _colours(layer, image) if layer.rgb else image
    metadata = {METADATA: report}
    result = Image(data, name=name, metadata=metadata, rgb=bool(layer.rgb), **kept)
    if not layer.rgb:
        result.contrast_limits_range = layer.contrast_limits_range
        result.contrast_limits = layer.contrast_limits
    _insert_above(viewer, layer, result)
    return result


def place_in(viewer: Any, target: Target) -> dict[str, int]:
    """Where a layer is looked at: the place of the slider on each of its axes but Y and X."""
    layer, axes = target.layer, target.source.axes
    point = layer.world_to_data(viewer.dims.point)
    letters = [letter for letter in axes if not (layer.rgb and letter == 'S')]
    return {
        letter: round(float(at))
        for letter, at in zip(letters, point, strict=True)
        if letter not in 'YX'
    }


def replace_image(
    result: Image, layer: Image, image: NDArray[np.float32], report: dict[str, Any]
) -> None:
    """Put another clean image of ``layer`` into a layer that `add_result` has made."""
    result.data = _colours(layer, image) if layer.rgb else image
    result.metadata = {METADATA: report}


def put_plane(result: Image, index: tuple[int | slice, ...], values: NDArray[np.float32]) -> None:
    """Replace a plane of a layer that `add_result` has made."""
    dtype = result.data.dtype
    if dtype.kind in 'ui':
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    result.data[index] = values
    result.refresh(extent=False, highlight=False)


def add_change(
    viewer: Any, layer: Image, image: NDArray[np.float32], name: str, report: dict[str, Any]
) -> Image:
    """Add what a training changed right above its source, where it is in the world.

    Parameters
    ----------
    viewer : Viewer
        The viewer, or napari's proxy of it.
    layer : Image
        The source.
    image : array, float32
        The change in standard deviations of the noise, shape of ``target_of(layer, ...).source``;
        of colours the one that changed most is shown.
    name : str
        Name of the new layer.
    report : dict
        Goes into its metadata.
    """
    from napari.layers import Image

    _, state, _ = layer.as_layer_data_tuple()
    kept = {key: state[key] for key in _PLACED if key in state}
    if layer.rgb:
        most = np.abs(image).argmax(axis=-1)[..., None]
        image = np.take_along_axis(image, most, axis=-1)[..., 0]
    top = max(1.0, float(np.abs(image).max()))
    result = Image(
        image,
        name=name,
        metadata={METADATA: report},
        colormap='PiYG',
        contrast_limits=(-min(top, _SHOWN), min(top, _SHOWN)),
        **kept,
    )
    _insert_above(viewer, layer, result)
    return result


def _insert_above(viewer: Any, layer: Image, result: Image) -> None:
    present = [unwrapped(other) for other in viewer.layers]
    where = next((i + 1 for i, other in enumerate(present) if other is layer), len(present))
    viewer.layers.insert(where, result)


def _colours(layer: Image, image: NDArray[np.float32]) -> NDArray[Any]:
    """Colours in the dtype of the layer, with its alpha."""
    source = full_data(layer)
    dtype = np.dtype(source.dtype)
    if dtype.kind in 'ui':
        limits = np.iinfo(dtype)
        image = np.clip(np.rint(image), limits.min, limits.max)
    colours: NDArray[Any] = image.astype(dtype)
    if source.shape[-1] > _COLOURS:
        colours = np.concatenate([colours, np.asarray(source[..., _COLOURS:])], axis=-1)
    return colours
