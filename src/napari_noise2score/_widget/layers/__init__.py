"""Image layers of napari: images of layers, and layers that are added to the viewer.

`targets` has the image of a layer; `new_layers` adds layers above their sources; `results` stores
the results of layers; `saved` names results that are saved; `live_view` has the displayed part;
`stored` finds the layers of an interrupted run; `overlay` and `split_view` are arrays of new
layers, `contrast` has their contrast limits; `following` connects widgets to events of napari.
"""

from __future__ import annotations

from napari_noise2score._widget.layers.contrast import show_like
from napari_noise2score._widget.layers.new_layers import add_map, add_preview, add_result
from napari_noise2score._widget.layers.results import Pair, ResultLayers
from napari_noise2score._widget.layers.saved import saved_levels, saved_to
from napari_noise2score._widget.layers.stored import candidates
from napari_noise2score._widget.layers.targets import (
    METADATA,
    full_data,
    image_layers,
    is_result,
    likely_axes,
    stated_axes,
    target_of,
    unwrapped,
)

__all__ = [
    'METADATA',
    'Pair',
    'ResultLayers',
    'add_map',
    'add_preview',
    'add_result',
    'candidates',
    'full_data',
    'image_layers',
    'is_result',
    'likely_axes',
    'saved_levels',
    'saved_to',
    'show_like',
    'stated_axes',
    'target_of',
    'unwrapped',
]
