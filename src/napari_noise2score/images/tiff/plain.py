"""Plain TIFF: sizes and channels from and into its description, which holds JSON.

Programs that do not read it find the size of a pixel in the resolution tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_noise2score.images.acquisition import Acquisition
from napari_noise2score.images.tiff import imagej, ome, tags
from napari_noise2score.images.tiff.tags import Resolution


def stated(
    said: Mapping[str, Any], resolution: Resolution, counts: Mapping[str, int]
) -> Acquisition:
    """What a description and the resolution tags tell.

    Parameters
    ----------
    said : mapping
        The JSON of the description, with the words of OME or of ImageJ; empty if there is none.
    resolution : Resolution
        Pixels for a unit along X and Y.
    counts : mapping of str to int
        Length of the axes T, Z and C that there are.
    """
    words = imagej.stated(said, resolution, counts)
    sizes = dict(words.spacing)
    if not said.get('unit'):
        sizes |= tags.stated(resolution).spacing
    exact = ome.from_words(said)
    return Acquisition({**sizes, **exact.spacing}, exact.channels or words.channels)


def described(acquisition: Acquisition, axes: str, shape: Sequence[int]) -> dict[str, Any]:
    """What tifffile is to write into the description."""
    return ome.described(acquisition, axes, shape)
