"""Image layers of napari: what is read from them, and what is added to the viewer.

targets -> the image in a layer; new_layers -> layers above their sources; results -> which layer
is a result of which; live_view -> the displayed part; stored -> layers of an interrupted run;
overlay, split_view -> arrays for these; following -> events of napari.
"""

from __future__ import annotations

from napari_noise2score._widget.layers.new_layers import add_map, add_preview, add_result
from napari_noise2score._widget.layers.results import Pair, ResultLayers
from napari_noise2score._widget.layers.stored import candidates
from napari_noise2score._widget.layers.targets import (
    METADATA,
    full_data,
    image_layers,
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
    'likely_axes',
    'stated_axes',
    'target_of',
    'unwrapped',
]
