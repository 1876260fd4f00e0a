"""Results that are saved: what their files state of the layer, and their layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_noise2score._widget.control.saving import checked, destinations, with_destination
from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.jobs import Destination
from napari_noise2score._widget.layers.new_layers import first_pixel
from napari_noise2score.images.acquisition import Acquisition, Spacing
from napari_noise2score.images.ome_zarr import Inherited
from napari_noise2score.images.ome_zarr.levels import levels_of
from napari_noise2score.images.storage import as_dtype
from napari_noise2score.settings import DenoiseSettings

if TYPE_CHECKING:
    from napari.layers import Image


def saved_to(targets: Sequence[Target], place: str, settings: DenoiseSettings) -> list[Target]:
    """The targets with the destinations of their results; unchanged if there is no ``place``.

    Raises
    ------
    InputError
        If a result cannot be saved there; see `control.saving`.
    """
    if not place:
        return list(targets)
    paths = destinations([str(target.layer.name) for target in targets], place)
    named = [
        with_destination(target, Destination(path, *stated_by(target)))
        for target, path in zip(targets, paths, strict=True)
    ]
    return checked(named, settings)


def stated_by(target: Target) -> tuple[Acquisition, Inherited]:
    """Sizes of a layer; its position, and how it is displayed."""
    layer = target.layer
    letters = target.source.axes[: layer.ndim]
    spacing = {
        letter: step
        for letter, size, unit in zip(letters, layer.scale, layer.units, strict=True)
        if letter in 'TZYX' and (step := _spacing(letter, float(size), str(unit))) is not None
    }
    origin = {
        letter: float(at)
        for letter, at in zip(letters, first_pixel(target), strict=True)
        if letter in 'TZYX' and at
    }
    omero = {} if set(target.source.axes) & set('CS') else {'channels': [_displayed(layer)]}
    return Acquisition(spacing), Inherited(omero=omero, origin=origin)


def _spacing(letter: str, size: float, unit: str) -> Spacing | None:
    """A step along an axis; None if it is 1 without a unit, which stands for an unknown size."""
    step = Spacing.of(size, unit)
    if step is None or not (step.is_time if letter == 'T' else step.is_length):
        step = Spacing.of(size)
    return step if step != Spacing(1.0) else None


def _displayed(layer: Image) -> dict[str, Any]:
    """Name, colour and contrast limits of a layer with one channel."""
    low, high = map(float, layer.contrast_limits)
    shown: dict[str, Any] = {'label': str(layer.name), 'window': {'start': low, 'end': high}}
    first, *_, last = np.round(255 * np.asarray(layer.colormap.colors)[:, :3]).astype(np.uint8)
    if not first.any() and last.any():  # from black to a colour
        shown['color'] = last.tobytes().hex().upper()
    return shown


def saved_levels(target: Target, path: Path) -> list[Any]:
    """The levels of a saved result as dask arrays, with the axes of its layer.

    Nothing is read before it is displayed. The result of a colour layer gets the data type of the
    layer, as napari displays it.
    """
    from dask import array

    axes, arrays = levels_of(path)
    order = [axes.index('C' if letter == 'S' else letter) for letter in target.source.axes]
    from_zarr: Callable[[Any], Any] = array.from_zarr
    levels = [from_zarr(one).transpose(order) for one in arrays]
    if not target.layer.rgb:
        return levels
    dtype = target.source.data.dtype
    return [
        level.map_blocks(lambda values: as_dtype(values, dtype)[0], dtype=dtype)
        for level in levels
    ]
