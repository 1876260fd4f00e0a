"""A layer and its image for the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_noise2score._widget.jobs import Destination
from napari_noise2score.images.region import WHOLE, Region
from napari_noise2score.images.source import ImageSource


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A layer and its image for the pipeline.

    Attributes
    ----------
    layer : Image
        The layer itself, not napari's proxy.
    source : ImageSource
        The grey levels to denoise; for a colour layer the three colours without alpha.
    region : Region
        The part of the layer in the source.
    training_parts : tuple of ImageSource
        The parts of the layer to train on; the whole source if empty.
    destination : Destination or None
        Where the result is saved; None if it is not.
    """

    layer: Any
    source: ImageSource
    region: Region = WHOLE
    training_parts: tuple[ImageSource, ...] = ()
    destination: Destination | None = None


def destinations_of(targets: Sequence[Target]) -> list[Destination]:
    """Where the results of targets are saved; empty if they are not."""
    return [target.destination for target in targets if target.destination is not None]
