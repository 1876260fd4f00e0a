"""Names of results that are saved, and checks of them before any work."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.jobs import Destination
from napari_noise2score.errors import InputError
from napari_noise2score.images.footprint import in_files
from napari_noise2score.images.ome_zarr import check_writable_as, named, obstacle, url_of
from napari_noise2score.images.ome_zarr.location import SUFFIX
from napari_noise2score.images.space import check_space
from napari_noise2score.settings import DenoiseSettings

_OTHER_FORMATS = ('.tif', '.tiff', '.ome', '.n5', '.h5', '.hdf5', '.zip')


def destinations(names: Sequence[str], place: str) -> list[Path]:
    """Paths of the results of layers with these names.

    Parameters
    ----------
    names : sequence of str
        Names of the layers.
    place : str
        Path or URL. A name that ends in ``.zarr`` is the OME-Zarr of a single layer; anything
        else is a folder, with one for each layer.

    Raises
    ------
    InputError
        If ``place`` is the name of one OME-Zarr, but there are several layers, or the name of a
        file in another format.
    """
    path = Path(place)
    if url_of(path) is None:
        path = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 (resolves .., no links)
    suffix = path.suffix.lower()
    if suffix in _OTHER_FORMATS:
        raise InputError(
            f'Save to: {named(path)} ends in {suffix}, but results are saved as OME-Zarr; a name '
            f'that ends in {SUFFIX}, such as {path.stem}.ome{SUFFIX}, or a folder is needed'
        )
    if suffix != SUFFIX:
        return [path / f'{_file_name(name)}_denoised.ome{SUFFIX}' for name in names]
    if len(names) > 1:
        raise InputError(
            f'Save to: {named(path)} is one OME-Zarr, but {len(names)} layers are ticked; give a '
            'folder, in which each layer gets its own OME-Zarr, or tick one layer'
        )
    return [path]


def checked(targets: Sequence[Target], settings: DenoiseSettings) -> list[Target]:
    """The targets, if the result of each can be written to its destination.

    Nothing is read or written.

    Raises
    ------
    InputError
        If one exists, is the file of a layer, is that of another target, or cannot be written, or
        if the disk has no space for the results.
    """
    paths = [_path(target) for target in targets]
    for number, (target, path) in enumerate(zip(targets, paths, strict=True)):
        name, source = target.source.name, target.source
        for other in targets:
            file = other.layer.source.path
            if file and url_of(path) is None and _same(path, file):
                raise InputError(
                    f'Save to: {path} is the file of the layer {other.source.name}, which is not '
                    'overwritten; give another name'
                )
        if path in paths[:number]:
            first = targets[paths.index(path)].source.name
            raise InputError(
                f'Save to: {named(path)} would be the result of both {first} and {name}; rename '
                'one of the layers'
            )
        words = obstacle(path)
        if words is not None:
            raise InputError(f'Save to: {named(path)} {words}')
        check_writable_as(path, source.axes, settings.dtype_of(source), source.shape)
    sizes = (
        target.source.size * settings.dtype_of(target.source).itemsize + in_files(target.source)
        for target in targets
    )
    try:
        check_space(list(zip(paths, sizes, strict=True)))
    except InputError as error:
        raise InputError(f'Save to: {error}') from error
    return list(targets)


def with_destination(target: Target, destination: Destination) -> Target:
    """A target whose result is saved."""
    return replace(target, destination=destination)


def _path(target: Target) -> Path:
    assert target.destination is not None  # only such targets are checked
    return target.destination.path


def _same(path: Path, file: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(file)


def _file_name(name: str) -> str:
    """The name of a layer without characters that a file name cannot have."""
    return re.sub(r'[^\w.-]+', '_', name).strip('._') or 'image'
