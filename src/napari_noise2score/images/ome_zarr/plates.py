"""The images of a plate, or of one of its wells, as the metadata list them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr.guard import readable
from napari_noise2score.images.ome_zarr.location import Location, load_zarr
from napari_noise2score.images.ome_zarr.metadata import ome_part


def fields_of(path: str | os.PathLike[str]) -> list[Path] | None:
    """Paths of all fields of a plate or of a well, in the order of the metadata.

    A well that cannot be read is listed by its own path, so that reading it gives the error.

    Parameters
    ----------
    path : path or URL
        Such as ``plate.ome.zarr`` or ``plate.ome.zarr/A/1``.

    Returns
    -------
    list of Path or None
        Such as ``plate.ome.zarr/A/1/0``; None if there is neither a plate nor a well.
    """
    try:
        ome = _metadata(Path(path))
    except InputError:
        return None
    if isinstance(ome.get('plate'), dict):
        wells = [Path(path, name) for name in _paths(ome['plate'].get('wells'))]
        return [field for well in wells for field in _fields(well)]
    return _fields(Path(path)) if isinstance(ome.get('well'), dict) else None


def _fields(well: Path) -> list[Path]:
    try:
        stated = _metadata(well).get('well')
    except InputError:
        return [well]
    names = _paths(stated.get('images')) if isinstance(stated, dict) else []
    return [well / name for name in names] or [well]


def _metadata(path: Path) -> dict[str, Any]:
    """The attributes of OME-Zarr of a group."""
    location = Location.of(path)
    with readable(location), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        group = load_zarr().open_group(store=location.store(read_only=True), mode='r')
        return ome_part(group.attrs.asdict())[0]


def _paths(entries: Any) -> list[str]:
    """The paths that a list of wells or images states."""
    found = entries if isinstance(entries, list) else []
    return [str(one['path']) for one in found if isinstance(one, dict) and 'path' in one]
