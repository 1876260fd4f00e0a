"""Plain TIFF: sizes and channels, read from and written to its JSON description.

For programs that do not read it, the size of a pixel is in the resolution tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_noise2score.images.acquisition import Acquisition
from napari_noise2score.images.tiff import imagej, ome, tags
from napari_noise2score.images.tiff.tags import Resolution


def stated(
    metadata: Mapping[str, Any], resolution: Resolution, counts: Mapping[str, int]
) -> Acquisition:
    """Metadata from a description and the resolution tags.

    Parameters
    ----------
    metadata : mapping
        The JSON of the description, with names of OME or of ImageJ; empty if there is none.
    resolution : Resolution
        Pixels per unit along X and Y.
    counts : mapping of str to int
        Lengths of the existing axes among T, Z and C.
    """
    words = imagej.stated(metadata, resolution, counts)
    sizes = dict(words.spacing)
    if not metadata.get('unit'):
        sizes |= tags.stated(resolution).spacing
    exact = ome.from_words(metadata)
    return Acquisition({**sizes, **exact.spacing}, exact.channels or words.channels)


def described(acquisition: Acquisition, axes: str, shape: Sequence[int]) -> dict[str, Any]:
    """Metadata for the description, as tifffile expects it."""
    return ome.described(acquisition, axes, shape)
