"""Where an OME-Zarr may be written: what is in the way, and a trial at a URL."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from napari_noise2score import files
from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr.guard import reason
from napari_noise2score.images.ome_zarr.location import (
    Location,
    PathLike,
    inside_words,
    inside_zarr,
)


def obstacle(path: PathLike) -> str | None:
    """What is known to keep an OME-Zarr from being written, in words; None if nothing is.

    Looks only. An OME-Zarr never replaces anything, and never becomes a part of another one.
    """
    location = Location.of(path)
    if location.remote:
        return _remote_obstacle(location)
    if os.path.lexists(path):
        return 'exists already; an OME-Zarr is not overwritten: give another name, or remove it'
    outer = inside_zarr(path)
    if outer is not None:
        return inside_words(outer)
    return files.obstacle(Path(path))


def _remote_obstacle(location: Location) -> str | None:
    if location.where.lower().startswith(('http:', 'https:')):
        return 'nothing can be written over http; a local path or s3:// is accepted'
    system, path = location.filesystem()
    system.invalidate_cache()
    try:
        there = system.exists(path)
    except Exception as error:  # noqa: BLE001 (see `guard.readable`)
        return f'is out of reach ({reason(error)})'
    if there:
        return 'exists already; an OME-Zarr is not overwritten: give another name, or remove it'
    return None


def try_to_write(path: PathLike) -> None:
    """Write a few bytes at a URL and remove them, as a trial of the rights.

    Raises
    ------
    InputError
        If that fails.
    """
    location = Location.of(path)
    trial = location.child(f'{secrets.token_hex(6)}.part')
    system, name = trial.filesystem()
    try:
        system.pipe_file(name, b'trial')
        system.rm_file(name)
    except Exception as error:  # of any class, see `guard.readable`
        raise InputError(f'{location}: cannot be written ({reason(error)})') from error
