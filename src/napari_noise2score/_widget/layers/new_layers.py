"""New layers above their sources, with the position and colours of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.layers.contrast import own_limits, show_apart, show_like, show_with
from napari_noise2score._widget.layers.overlay import Overlay
from napari_noise2score._widget.layers.targets import (
    COLOURS,
    METADATA,
    full_data,
    has_axes_of,
    offset,
    unwrapped,
)
from napari_noise2score.images.region import Part
from napari_noise2score.images.storage import as_dtype
from napari_noise2score.plain import plain

if TYPE_CHECKING:
    from napari.layers import Image

LayerData = tuple[Any, dict[str, Any], str]
"""A layer as a tuple of napari: data, properties, type."""

_NOT_COPIED = ('name', 'metadata', 'visible', 'multiscale', 'rgb', 'locked_data_level', 'locked')
_PLACED = ('scale', 'translate', 'rotate', 'shear', 'affine', 'units', 'axis_labels')
_SHOWN = 3.0
"""Maximum of the contrast limits of a difference, noise standard deviations."""


def add_result(
    viewer: Any,
    target: Target,
    image: Any,
    name: str,
    report: dict[str, Any],
    above: Image | None = None,
) -> Image:
    """Add a clean image directly above its source, with all its properties.

    A source that is black with contrast limits that nobody has chosen has a result with limits of
    its own (`own_limits`).

    The result of a colour layer has the data type of the layer, because napari displays colours as
    ``uint8``, ``uint16`` or as 0 to 1; values of an integer type are rounded and clipped to its
    range. Other results are not converted. The intensity units are those of the source.

    Parameters
    ----------
    viewer : Viewer
        The viewer, or napari's proxy of it.
    target : Target
        The source layer; it is not changed, and may have been removed from the viewer.
    image : array, or list of arrays
        The clean image, in the shape and units of the source of the target; or an array-like with
        the shape of the data of the layer, alpha included. A list has the levels of a multiscale
        layer, full resolution first.
    name : str
        Name of the new layer.
    report : dict
        Report for the metadata of the new layer.
    above : Image, optional
        The layer above which it is added; by default its source.
    """
    from napari.layers import Image

    layer = target.layer
    data, properties, _ = layer_data(target, image, name, report)
    result = Image(data, **properties)
    limits = tuple(properties['contrast_limits'])
    if limits != tuple(layer.contrast_limits):
        show_with(result, limits)
    else:
        show_like(result, layer)
    _insert_above(viewer, layer, above, result)
    return result


def layer_data(target: Target, image: Any, name: str, report: dict[str, Any]) -> LayerData:
    """Data, properties and type of the layer that `add_result` adds."""
    layer = target.layer
    _, state, kind = layer.as_layer_data_tuple()
    apart = *_NOT_COPIED, *_PLACED
    properties = {key: value for key, value in state.items() if key not in apart}
    properties |= {'name': name, 'metadata': _metadata(target, report), 'rgb': bool(layer.rgb)}
    properties |= {'multiscale': isinstance(image, list), **_placed(target)}
    limits = own_limits(target, image)
    if limits is not None:
        properties['contrast_limits'] = limits
    fresh = isinstance(image, np.ndarray)  # otherwise it already has the colours of the layer
    data = _colours(target, image) if layer.rgb and fresh else image
    return data, properties, kind


def _metadata(target: Target, report: dict[str, Any]) -> dict[str, Any]:
    """The metadata of the source layer, with the report."""
    return {**target.layer.metadata, METADATA: plain(report)}


def first_pixel(target: Target) -> NDArray[np.float64]:
    """Position of the first pixel of a result, which may be a part of its layer."""
    from napari.utils.transforms import Affine

    layer = target.layer
    return np.asarray(
        Affine(
            scale=layer.scale, rotate=layer.rotate, shear=layer.shear, translate=layer.translate
        )(offset(target))
    )


def add_preview(
    viewer: Any, target: Target, name: str, base: Any = None, above: Image | None = None
) -> Image:
    """Add a layer whose planes can be replaced. The other planes show ``base``, by default the
    noisy image, without a copy. The layer is above ``above``, by default its source.
    """
    noisy = full_data(target.layer)
    axes = target.source.axes
    below = base if base is not None else Part(noisy, target.region.slices(axes, noisy.shape))
    dtype = noisy.dtype if target.layer.rgb else np.result_type(target.source.data.dtype, 'f4')
    report = {'region': str(target.region)}
    return add_result(viewer, target, Overlay(below, dtype), name, report, above)


def turn_into_result(
    preview: Image, target: Target, image: NDArray[Any], name: str, report: dict[str, Any]
) -> None:
    """Turn a layer from `add_preview` into a result; this is faster than a new layer.

    It is placed as its source is now.
    """
    preview.data = _colours(target, image) if target.layer.rgb else image
    for key, value in _placed(target).items():
        setattr(preview, key, value)
    show_apart(preview, target, image)
    preview.name = name
    preview.metadata = _metadata(target, report)


def put_plane(
    preview: Image, index: tuple[int | slice, ...], values: NDArray[np.floating]
) -> None:
    """Replace a plane, or a window of it, in a layer from `add_preview`."""
    preview.data.put(index, as_dtype(values, preview.data.dtype)[0])
    preview.refresh(extent=False, highlight=False)


def add_map(
    viewer: Any,
    target: Target,
    image: NDArray[np.float32],
    name: str,
    report: dict[str, Any],
    above: Image | None = None,
) -> Image:
    """Add differences directly above their source, at the same position in world coordinates.

    Parameters
    ----------
    viewer : Viewer
        The viewer, or napari's proxy of it.
    target : Target
        The source layer.
    image : array, float32
        Differences in noise standard deviations, with the shape of the source of the target. Of
        several colours, the one with the largest difference is shown.
    name : str
        Name of the new layer.
    report : dict
        Report for its metadata.
    above : Image, optional
        The layer above which it is added; by default its source.
    """
    from napari.layers import Image

    layer = target.layer
    if layer.rgb:
        most = np.abs(image).argmax(axis=-1)[..., None]
        image = np.take_along_axis(image, most, axis=-1)[..., 0]
    top = max(1.0, float(np.abs(image).max()))
    result = Image(
        image,
        name=name,
        metadata=_metadata(target, report),
        colormap='PiYG',
        contrast_limits=(-min(top, _SHOWN), min(top, _SHOWN)),
        **_placed(target),
    )
    _insert_above(viewer, layer, above, result)
    return result


def _placed(target: Target) -> dict[str, Any]:
    """Position of a result, which is that of its layer; nothing if that has got other axes."""
    if not has_axes_of(target):
        return {}
    _, state, _ = target.layer.as_layer_data_tuple()
    placed = {key: state[key] for key in _PLACED if key in state}
    return {**placed, 'translate': first_pixel(target)}


def _insert_above(viewer: Any, source: Image, above: Image | None, result: Image) -> None:
    """Insert a layer directly above its source, or above ``above`` and the results on it."""
    present = [unwrapped(other) for other in viewer.layers]
    below = above or source
    where = next((i + 1 for i, other in enumerate(present) if other is below), len(present))
    while above is not None and where < len(present) and METADATA in present[where].metadata:
        where += 1
    viewer.layers.insert(where, result)


def _colours(target: Target, image: NDArray[np.float32]) -> NDArray[Any]:
    """Colours in the dtype of the layer, with its alpha."""
    source = full_data(target.layer)
    colours, _ = as_dtype(image, source.dtype)
    if source.shape[-1] > COLOURS:
        where = target.region.slices(target.source.axes, (*source.shape[:-1], COLOURS))[:-1]
        alpha = np.asarray(source[(*where, slice(COLOURS, None))])
        colours = np.concatenate([colours, alpha], axis=-1)
    return colours
