"""The layers of a run that was interrupted, found again in a viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.layers.targets import target_of
from napari_noise2score._widget.stored_run import StoredLayer, StoredRun
from napari_noise2score.errors import InputError
from napari_noise2score.images.region import Region


def candidates(run: StoredRun, layers: Sequence[Any]) -> list[list[Target | None]]:
    """For each layer of a run what would be read of each of these layers; nothing is read yet.

    None where a layer has another shape.
    """
    return [[_as_stored(layer, stored) for layer in layers] for stored in run.layers]


def _as_stored(layer: Any, stored: StoredLayer) -> Target | None:
    """What would be read of a layer; None if it has another shape."""
    try:
        target = target_of(layer, stored.axes)
        region = Region.parse(stored.region)
        source = target.source.part(region)
        training_parts = tuple(
            target.source.part(Region.parse(text)) for text in stored.training_parts
        )
    except InputError:
        return None
    whole = tuple(getattr(source.data, 'whole', source.shape))
    return Target(layer, source, region, training_parts) if whole == stored.whole else None
