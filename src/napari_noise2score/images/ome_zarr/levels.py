"""All levels of an image, for viewers."""

from __future__ import annotations

import os
import warnings
from typing import Any

from napari_noise2score.images.ome_zarr.checked_codecs import checked
from napari_noise2score.images.ome_zarr.guard import readable
from napari_noise2score.images.ome_zarr.location import Location, load_zarr
from napari_noise2score.images.ome_zarr.metadata import multiscales_of, ome_part, stated


def levels_of(path: str | os.PathLike[str]) -> tuple[str, list[Any]]:
    """Axes and levels of an image, full resolution first; values are not read.

    Parameters
    ----------
    path : path or URL
        The group of an image.

    Returns
    -------
    str
        One letter for each axis.
    list of zarr.Array
        The levels.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    location = Location.of(path)
    with readable(location), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        group = load_zarr().open_group(store=location.store(read_only=True), mode='r')
        ome, others = ome_part(group.attrs.asdict())
        multiscale = multiscales_of(ome)[0]
        names = [str(one['path']) for one in multiscale['datasets']]
        return stated(multiscale, ome, others).axes, [checked(group[name]) for name in names]
