"""Choice of the parts of layers to train on and to denoise."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from magicgui.widgets import ComboBox, LineEdit
from napari.layers import Shapes
from numpy.typing import NDArray

from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.layers.targets import in_units
from napari_noise2score._widget.views.form import form_of, layer_menu
from napari_noise2score.errors import InputError
from napari_noise2score.images.region import Region

WHOLE, PART = 'whole', 'part'
_ALL, _WHOLE = 'all', 'Whole layers'
_ROUNDING = 1e-6
_WHERE_TIP = (
    'Part of the layers to train on. With a Shapes layer, only the rectangles around its shapes '
    'are used: this excludes unsuitable parts, such as a saturated corner, and makes training '
    'on large layers faster.'
)
_FRAMES_TIP = (
    'First and last frame to train on, with the numbers of the slider, such as 0-9: time points '
    'if there is a time axis, otherwise z-slices. If this is empty, all frames are used.'
)
_CLEAN_TIP = (
    'Part of the layers to denoise. With "Only that region", the result is a smaller layer at '
    'the position of the region, and only the region is read: use this for layers that are '
    'larger than the memory.'
)


class RegionBox:
    """Choice of a region, by a Shapes layer of the viewer and by frames.

    Parameters
    ----------
    viewer : Viewer
        The viewer, or napari's proxy of it.

    Attributes
    ----------
    form : magicgui.widgets.Container
        The widgets.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self.where = layer_menu(Shapes, 'where', 'Learn from', _WHOLE, _WHERE_TIP)
        self.frames = LineEdit(name='frames', label='Frames', tooltip=_FRAMES_TIP)
        self.frames.native.setPlaceholderText(_ALL)
        self.clean = ComboBox(
            name='clean',
            label='Clean',
            choices=[(_WHOLE, WHOLE), ('Only that region', PART)],
            value=WHOLE,
            tooltip=_CLEAN_TIP,
        )
        self.form = form_of([self.where, self.frames, self.clean])

    def restricted(self, target: Target) -> Target:
        """A target that is restricted to the chosen region.

        Raises
        ------
        InputError
            If the region is not valid, or outside of the layer.
        """
        frames = self._frames(target)
        shapes = self.where.value
        boxes = [{}] if shapes is None else boxes_of(shapes, target, self._viewer)
        if not frames and boxes == [{}]:
            if self.clean.value == PART:
                raise InputError(
                    'Only a region is to be denoised, but no region is chosen; choose a Shapes '
                    'layer under Learn from, or enter frames.'
                )
            return target
        source = target.source
        training_parts = tuple(source.part(Region({**frames, **box})) for box in boxes)
        if self.clean.value == WHOLE:
            return replace(target, training_parts=training_parts)
        around = Region({**frames, **_around(boxes)})
        one = len(boxes) == 1
        return Target(target.layer, source.part(around), around, () if one else training_parts)

    def _frames(self, target: Target) -> dict[str, tuple[int, int]]:
        text = self.frames.value.strip()
        if text in ('', _ALL):
            return {}
        source = target.source
        letter = next((letter for letter in 'TZ' if letter in source.axes), None)
        if letter is None:
            raise InputError(
                f'frames are {text!r}, but {source.name} has the axes {source.axes}, without '
                'time (T) or depth (Z); leave the field empty'
            )
        count = source.shape[source.axes.index(letter)]
        match = re.fullmatch(r'(\d+)(?:\s*-\s*(\d+))?', text)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (-1, -1)
        if not 0 <= first <= last < count:
            raise InputError(
                f'frames are {text!r}; the first and the last frame, from 0 to {count - 1}, are '
                f'needed, such as 0-{min(9, count - 1)}'
            )
        return {letter: (first, last + 1)}


def boxes_of(shapes: Any, target: Target, viewer: Any) -> list[dict[str, tuple[int, int]]]:
    """The pixels of a layer whose centres are inside the upright rectangle around each shape, as
    it is drawn in a viewer.

    Raises
    ------
    InputError
        If there is no shape, or none is inside the layer.
    """
    if not len(shapes.data):
        raise InputError(
            f'Shapes layer {shapes.name!r} contains no shape; draw a rectangle around the part '
            'to train on, or choose Whole layers'
        )
    axes, shape = target.source.axes, target.source.shape
    different = []
    for corners in shapes.data:
        places = _in_layer(shapes, target.layer, np.asarray(corners, float), viewer)
        box = {}
        for letter in 'YX':
            axis = axes.index(letter)
            along = places[:, axis - target.layer.ndim]
            start, stop = (int(np.ceil(end - _ROUNDING)) for end in (along.min(), along.max()))
            box[letter] = (max(0, start), min(shape[axis], stop))
        if all(start < stop for start, stop in box.values()) and box not in different:
            different.append(box)
    if not different:
        raise InputError(
            f'no shape of {shapes.name!r} is inside {target.source.name}; draw one on the image'
        )
    return different


def _in_layer(
    shapes: Any, layer: Any, corners: NDArray[np.float64], viewer: Any
) -> NDArray[np.float64]:
    """Corners in pixels of a layer; 0 on axes that the shapes do not have."""
    count = max(shapes.ndim, layer.ndim)
    places = np.zeros((len(corners), count))
    world = np.array([shapes.data_to_world(corner) for corner in corners])
    if getattr(viewer.dims, 'units', None) is not None:  # else all are drawn in one unit
        world = in_units(world, shapes.units, layer.units)
    places[:, count - shapes.ndim :] = world
    return np.array([layer.world_to_data(place[count - layer.ndim :]) for place in places])


def _around(boxes: list[dict[str, tuple[int, int]]]) -> dict[str, tuple[int, int]]:
    """The rectangle around several rectangles."""
    return {
        letter: (min(box[letter][0] for box in boxes), max(box[letter][1] for box in boxes))
        for letter in boxes[0]
    }
