"""An image is read from an OME-Zarr: its values, which stay in their chunks, and its metadata."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.images.acquisition import NOTHING_STATED, Acquisition
from napari_noise2score.images.axes import check_axes, overruled
from napari_noise2score.images.ome_zarr.checked_codecs import checked
from napari_noise2score.images.ome_zarr.chunk_files import ChunkFiles
from napari_noise2score.images.ome_zarr.guard import readable
from napari_noise2score.images.ome_zarr.location import Location, load_zarr
from napari_noise2score.images.ome_zarr.metadata import (
    NOTHING_INHERITED,
    RECORD,
    Inherited,
    multiscales_of,
    ome_part,
    stated,
)
from napari_noise2score.images.ome_zarr.ome_xml import completed, only_image, read_xml
from napari_noise2score.images.ome_zarr.stored import REMEMBERED, ChunkedArray
from napari_noise2score.images.scenes import number_of

_LISTED = 6
"""Most images of a store that a message lists."""
_DIMENSIONS = '_ARRAY_DIMENSIONS'
"""Attribute with the names of the axes, which xarray wrote into arrays of version 0.4."""


@dataclass(frozen=True, slots=True, eq=False)
class OmeZarrImage:
    """An image of an OME-Zarr.

    Attributes
    ----------
    data : ChunkedArray
        Grey levels in full resolution; chunks are read when they are looked at.
    axes : str
        One letter for each axis, see `images.axes`.
    acquisition : Acquisition
        What the metadata state of sizes and channels.
    notes : tuple of str
        What is to be said of it: what is left out or missing.
    inherited : Inherited
        What its metadata hand on to a result.
    """

    data: ChunkedArray
    axes: str
    acquisition: Acquisition = NOTHING_STATED
    notes: tuple[str, ...] = ()
    inherited: Inherited = NOTHING_INHERITED


def read_ome_zarr(
    path: str | os.PathLike[str],
    axes: str | None = None,
    scene: int | str | None = None,
    *,
    in_memory: int = REMEMBERED,
) -> OmeZarrImage:
    """Open an image of an OME-Zarr of version 0.4 or 0.5; its values are read when looked at.

    Parameters
    ----------
    path : path or URL
        The group of the image, such as ``in.ome.zarr``, ``in.zarr/0`` or
        ``s3://bucket/in.ome.zarr``.
    axes : str, optional
        A letter for each axis, instead of those that the metadata state.
    scene : int or str, optional
        Number, from 0, or name of one of several images.
    in_memory : int
        Bytes of decoded chunks that are kept for the next look.

    Raises
    ------
    InputError
        If there is no OME-Zarr image, there are several and none is chosen, its metadata are
        damaged, chunks are missing that must be stored, or a package is missing.
    """
    location = Location.of(path)
    load_zarr()
    with readable(location), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # two formats side by side, files of others: no concern
        group, location, scene, xml = _image_group(_opened(location), location, scene)
        ome, others = _attributes(group, location)
        multiscale, notes = _multiscale(ome, location, scene)
        try:
            found = stated(multiscale, ome, others, axes)
        except InputError as error:
            raise InputError(f'{location}: {error}') from error
        array = _array(group, found.dataset, location)
        chunks = ChunkFiles(array, location, found.dataset)
        absent = chunks.notes(complete=RECORD in others)
        data = ChunkedArray(array, location, found.dataset, in_memory, chunks)
    try:
        chosen = check_axes(found.axes if axes is None else axes, array.shape)
    except InputError as error:
        known = f'its metadata name the axes {found.axes}'
        raise InputError(f'{location}: {error}; {known}') from error
    acquisition = completed(found.acquisition, xml).renamed(found.axes, chosen)
    notes += (*found.notes, *absent, *overruled(chosen, found.axes))
    own = {key: value for key, value in array.attrs.asdict().items() if key != _DIMENSIONS}
    inherited = replace(found.inherited, array=own, xml=xml)
    return OmeZarrImage(data, chosen, acquisition, notes, inherited)


def _opened(location: Location) -> Any:
    """The group or array at a location."""
    zarr = load_zarr()
    if not location.remote and not os.path.isdir(location.where):  # noqa: PTH112 (never raises)
        there = os.path.exists(location.where)  # noqa: PTH110
        words = 'is a file, but an OME-Zarr is a folder' if there else 'no such folder'
        raise InputError(f'{location}: {words}; an OME-Zarr image is needed')
    try:
        return zarr.open(store=location.store(read_only=True), mode='r')
    except (FileNotFoundError, KeyError) as error:
        raise InputError(
            f'{location}: there is no Zarr store (no zarr.json and no .zgroup); an OME-Zarr '
            'image is needed'
        ) from error


def _attributes(group: Any, location: Location) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        return ome_part(group.attrs.asdict())
    except InputError as error:
        raise InputError(f'{location}: {error}') from error


def _image_group(
    node: Any, location: Location, scene: int | str | None
) -> tuple[Any, Location, int | str | None, str]:
    """The group that holds the image, where it is, the scene that is still to be chosen, and the
    OME-XML of the image.

    Raises
    ------
    InputError
        If there is none, or one of several has to be chosen.
    """
    if not hasattr(node, 'attrs') or not hasattr(node, 'members'):
        raise InputError(
            f'{location}: is a single Zarr array without axes; the group of an OME-Zarr image is '
            'needed, most often the folder above'
        )
    ome, _ = _attributes(node, location)
    if multiscales_of(ome):
        return node, location, scene, _own_xml(location)
    if 'bioformats2raw.layout' in ome:
        return _of_series(node, location, scene)
    if 'plate' in ome or 'well' in ome:
        kind, fields = ('plate', 'A/1/0') if 'plate' in ome else ('well of a plate', '0')
        raise InputError(
            f'{location}: is a {kind}; one of its images is needed, such as {location}/{fields}'
        )
    if 'labels' in ome:
        raise InputError(f'{location}: holds labels; an OME-Zarr image is needed')
    raise InputError(
        f"{location}: is a Zarr group without 'multiscales' metadata; an OME-Zarr image is needed"
    )


def _own_xml(location: Location) -> str:
    """The OME-XML of an image: its own, or that of the store whose image it is."""
    own = read_xml(location)
    if own:
        return only_image(own, 0)
    if not location.name.isdecimal():
        return ''
    return only_image(read_xml(location.parent), int(location.name))


def _of_series(
    node: Any, location: Location, scene: int | str | None
) -> tuple[Any, Location, None, str]:
    """One image of a store that bioformats2raw laid out: groups 0, 1, ..."""
    names = _series_names(node)
    if not names:
        raise InputError(f'{location}: contains no image; an OME-Zarr image is needed')
    if scene is None and len(names) > 1:
        raise InputError(
            f'{location}: contains {len(names)} images; choose one by its path, such as '
            f'{location}/{names[0]}, or with scene (--scene): {_listing(node, names)}'
        )
    number = _number(scene, _titles(node, names), location, _listing(node, names))
    name = names[number]
    inner = location.child(name)
    if name not in node:
        raise InputError(f'{location}: its image {name!r} is missing')
    return node[name], inner, None, only_image(read_xml(location), number)


def _series_names(node: Any) -> list[str]:
    """Names of the groups that are images, as the store states them, else as they are counted."""
    if 'OME' in node:
        listed = ome_part(node['OME'].attrs.asdict())[0].get('series')
        if isinstance(listed, list) and listed:
            return [str(name) for name in listed]
    found: list[str] = []
    while str(len(found)) in node:
        found.append(str(len(found)))
    return found


def _titles(node: Any, names: list[str]) -> list[str]:
    """Names of images as their metadata state them, else those of their groups."""
    found = []
    for name in names:
        try:
            ome, _ = ome_part(node[name].attrs.asdict())
            found.append(str(multiscales_of(ome)[0].get('name') or name))
        except (KeyError, IndexError, AttributeError, InputError):
            found.append(name)
    return found


def _number(
    scene: int | str | None, titles: list[str], location: Location, listing: str = ''
) -> int:
    """The number of a scene; 0 if none is given."""
    try:
        return 0 if scene is None else number_of(scene, titles, listing)
    except InputError as error:
        raise InputError(f'{location}: {error}') from error


def series_of(path: str | os.PathLike[str]) -> dict[Path, str]:
    """Paths of the images that bioformats2raw laid out in a store, and their names.

    Returns
    -------
    dict of Path to str
        In the order of the store; empty for every other store.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    location = Location.of(path)
    load_zarr()
    with readable(location), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        node = _opened(location)
        if not hasattr(node, 'attrs') or not hasattr(node, 'members'):
            return {}
        ome, _ = _attributes(node, location)
        if multiscales_of(ome) or 'bioformats2raw.layout' not in ome:
            return {}
        names = _series_names(node)
        titles = _titles(node, names)
    return {Path(path, name): title for name, title in zip(names, titles, strict=True)}


def _listing(node: Any, names: list[str]) -> str:
    lines = [f'{name}{_outline(node, name)}' for name in names[:_LISTED]]
    more = len(names) - _LISTED
    return '; '.join(lines) + (f'; and {more} more' if more > 0 else '')


def _outline(node: Any, name: str) -> str:
    """Axes and shape of an image, for a listing; empty where they cannot be read."""
    try:
        group = node[name]
        ome, others = ome_part(group.attrs.asdict())
        found = stated(multiscales_of(ome)[0], ome, others)
        sides = 'x'.join(map(str, group[found.dataset].shape))
    except (KeyError, IndexError, ValueError, OSError):
        return ''
    return f': {found.axes} {sides}'


def _multiscale(
    ome: dict[str, Any], location: Location, scene: int | str | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The image that is asked for, else the first one, and a note if there are others."""
    images = multiscales_of(ome)
    if not images:
        raise InputError(f"{location}: has no 'multiscales' metadata; an OME-Zarr image is needed")
    if scene is not None or len(images) == 1:
        titles = [str(image.get('name', '')) for image in images]
        return images[_number(scene, titles, location)], ()
    listed = '; '.join(f'{i}: {image.get("name", "")}' for i, image in enumerate(images))
    return images[0], (
        f'the group states {len(images)} images; number 0 is read, the others are ignored '
        f'(--scene chooses another): {listed}',
    )


def _array(group: Any, dataset: str, location: Location) -> Any:
    with readable(location, dataset):
        found = group.get(dataset)
    if found is None or not hasattr(found, 'chunks'):
        raise InputError(
            f'{location}: its array {dataset!r} in full resolution is missing; the store is '
            'incomplete'
        )
    return checked(found)
