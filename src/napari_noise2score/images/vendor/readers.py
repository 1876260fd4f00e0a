"""Which package reads which format: those of bioio that are installed, and those to install.

A reader is found by the entry points that bioio defines, so bioio itself is not needed, and a
reader for a format that is not listed here is used as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.images.vendor.guard import reason

GROUP = 'bioio.readers'
"""Entry points of readers."""
_EXTRA = "'napari-noise2score[vendor]'"


@dataclass(frozen=True, slots=True)
class ReaderPackage:
    """A package that reads a format.

    Parameters
    ----------
    name : str
        Name of the package, which is that of its entry point as well.
    format : str
        Name of the format.
    installed_by : str
        What pip installs; the package itself if it is empty.
    note : str
        What a user should know before the installation.
    """

    name: str
    format: str
    installed_by: str = ''
    note: str = ''


_BIOFORMATS = 'bioio-bioformats'
_JAVA = 'it runs Bio-Formats in Java; licence GPL-2.0'
_PACKAGES = {
    '.czi': ReaderPackage('bioio-czi', 'Zeiss CZI', note='licence GPL-3.0'),
    '.nd2': ReaderPackage('bioio-nd2', 'Nikon ND2', _EXTRA),
    '.lif': ReaderPackage('bioio-lif', 'Leica LIF', _EXTRA),
    '.dv': ReaderPackage('bioio-dv', 'DeltaVision'),
    '.r3d': ReaderPackage('bioio-dv', 'DeltaVision'),
    '.sldy': ReaderPackage('bioio-sldy', 'SlideBook'),
    '.ims': ReaderPackage(_BIOFORMATS, 'Imaris', note=_JAVA),
    '.oib': ReaderPackage(_BIOFORMATS, 'Olympus OIB', note=_JAVA),
    '.oif': ReaderPackage(_BIOFORMATS, 'Olympus OIF', note=_JAVA),
    '.vsi': ReaderPackage(_BIOFORMATS, 'Olympus VSI', note=_JAVA),
}
SUFFIXES = tuple(_PACKAGES)
"""Ends of the names of files in these formats."""


def is_vendor(path: str | os.PathLike[str]) -> bool:
    """Whether a file is in one of these formats, or in another one that has an installed reader.

    Only its name is looked at.
    """
    suffix = Path(path).suffix.lower()
    if suffix in _PACKAGES:
        return True
    return bool(suffix) and next(_readers(suffix), None) is not None


def reader_class(path: Path) -> Any:
    """The class of bioio that reads a file.

    Raises
    ------
    InputError
        If none is installed, or the one that is cannot be loaded.
    """
    suffix = path.suffix.lower()
    found = next(_readers(suffix), None)
    if found is not None:
        return found.get_reader()
    package = _PACKAGES[suffix]
    note = f' ({package.note})' if package.note else ''
    raise InputError(
        f'{path}: {package.format} needs the package {package.name}, which is not installed'
        f'{note}: pip install {package.installed_by or package.name}'
    )


def _readers(suffix: str) -> Iterator[Any]:
    """The descriptions of the installed readers of a format, that of its own package first."""
    package = _PACKAGES.get(suffix)
    points = sorted(
        entry_points(group=GROUP),
        key=lambda point: (package is None or point.name != package.name, point.name),
    )
    for point in points:
        described = _described(point, needed=package is not None and point.name == package.name)
        if described is None:
            continue
        names = {f'.{name.lower().lstrip(".")}' for name in described.get_supported_extensions()}
        if suffix in names:
            yield described


def _described(point: EntryPoint, *, needed: bool) -> Any | None:
    """The description of a reader; None if it cannot be loaded and is not ``needed``."""
    try:
        return point.load().ReaderMetadata
    # A package of somebody else: what its import raises is not known.
    except Exception as error:
        if not needed:
            return None
        raise InputError(
            f'the package {point.name} is installed, but cannot be loaded ({reason(error)})'
        ) from error
