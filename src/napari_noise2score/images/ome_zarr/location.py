"""Where an OME-Zarr is: a local folder or a URL, and which paths are meant as one.

A URL may be kept as a `Path`: that leaves out a slash, and `url_of` puts it back.
"""

from __future__ import annotations

import importlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_noise2score.errors import InputError

PathLike = str | os.PathLike[str]

SUFFIX = '.zarr'
"""How the name of an OME-Zarr ends."""
_SCHEME = re.compile(r'[A-Za-z][A-Za-z0-9+.-]+:')
"""Of two letters or more: one letter is a drive."""
_MARKS = ('zarr.json', '.zgroup', '.zattrs', '.zarray')
"""Files that make a folder a Zarr store, in both formats."""
_PACKAGES = {
    's3': 's3fs',
    's3a': 's3fs',
    'http': 'aiohttp',
    'https': 'aiohttp',
    'gs': 'gcsfs',
    'gcs': 'gcsfs',
    'az': 'adlfs',
    'abfs': 'adlfs',
}
"""What fsspec needs for a protocol."""


def url_of(path: PathLike) -> str | None:
    """The URL that a path stands for, such as ``s3://bucket/in.ome.zarr``; None if it is none."""
    parts = Path(path).parts
    if len(parts) < 2 or not _SCHEME.fullmatch(parts[0]):
        return None
    root = '///' if parts[0].lower() == 'file:' else '//'
    return parts[0] + root + '/'.join(parts[1:])


def named(path: PathLike) -> str:
    """A path as it is typed, for messages."""
    return url_of(path) or str(path)


def is_ome_zarr(path: PathLike) -> bool:
    """Whether a path is meant as an OME-Zarr, by its form.

    That is: a URL, a name that ends in ``.zarr``, or a place inside a folder of such a name.
    """
    if url_of(path) is not None or Path(path).name.lower().endswith(SUFFIX):
        return True
    return root_of(path) is not None and not os.path.isfile(path)  # noqa: PTH113 (says no, never raises)


def root_of(path: PathLike) -> Path | None:
    """The outermost folder of a path whose name ends in ``.zarr``; None if there is none."""
    parts = Path(path).parts
    for number, part in enumerate(parts):
        if part.lower().endswith(SUFFIX):
            return Path(*parts[: number + 1])
    return None


def inside_zarr(path: PathLike) -> Path | None:
    """The Zarr store on the local disk that a path lies in, below its root; None if in none."""
    for parent in Path(os.path.realpath(path)).parents:
        if is_zarr_folder(parent):
            return parent
    return None


def inside_words(store: Path) -> str:
    """Why nothing is written below the root of a store."""
    return f'lies inside the Zarr store {store}, which is left as it is; give another place'


def is_zarr_folder(folder: PathLike) -> bool:
    """Whether a local folder is a Zarr store or a part of one."""
    return any(os.path.isfile(os.path.join(folder, mark)) for mark in _MARKS)  # noqa: PTH113, PTH118


def load_zarr() -> Any:
    """The package zarr.

    Raises
    ------
    InputError
        If it is not installed, or is older than version 3.1.
    """
    words = "pip install 'napari-noise2score[zarr]'"
    try:
        zarr: Any = importlib.import_module('zarr')
        importlib.import_module('zarr.storage')
    except ImportError as error:
        raise InputError(
            f'OME-Zarr needs the package zarr, which is not installed: {words}'
        ) from error
    found = tuple(int(number) for number in re.findall(r'\d+', zarr.__version__)[:2])
    if found < (3, 1):
        raise InputError(
            f'OME-Zarr needs the package zarr 3.1 or newer, but {zarr.__version__} is '
            f'installed: {words}'
        )
    return zarr


@dataclass(frozen=True, slots=True)
class Location:
    """A folder on the local disk, or its like at a URL.

    Attributes
    ----------
    where : str
        Path or URL.
    remote : bool
        Whether it is a URL.
    """

    where: str
    remote: bool = False

    @classmethod
    def of(cls, path: PathLike) -> Location:
        """The location that a path or a URL names."""
        url = url_of(path)
        return cls(str(Path(path))) if url is None else cls(url, True)

    def __str__(self) -> str:
        return self.where

    @property
    def name(self) -> str:
        """The last part."""
        return Path(self.where).name

    @property
    def parent(self) -> Location:
        """The folder that it is in."""
        if self.remote:
            return Location(self.where.rstrip('/').rpartition('/')[0], True)
        return Location(str(Path(self.where).absolute().parent))

    def child(self, name: str) -> Location:
        """A folder inside."""
        where = f'{self.where}/{name}' if self.remote else str(Path(self.where) / name)
        return Location(where, self.remote)

    def store(self, *, read_only: bool) -> Any:
        """What zarr reads from or writes to, with this location as its root.

        Raises
        ------
        InputError
            If a package is missing.
        """
        storage = load_zarr().storage
        if not self.remote:
            return storage.LocalStore(self.where, read_only=read_only)
        self.filesystem()
        return storage.FsspecStore.from_url(self.where, read_only=read_only)

    def filesystem(self) -> tuple[Any, str]:
        """The file system of fsspec for a URL, and the path in it.

        Raises
        ------
        InputError
            If fsspec, or the package that it needs for the protocol, is not installed.
        """
        protocol = self.where.partition(':')[0].lower()
        try:
            fsspec = importlib.import_module('fsspec')
        except ImportError as error:
            raise InputError(
                f'{self}: URLs need the package fsspec, which is not installed: pip install fsspec'
            ) from error
        try:
            system, path = fsspec.url_to_fs(self.where)
        except ImportError as error:
            package = _PACKAGES.get(protocol)
            hint = f'pip install {package}' if package else str(error)
            raise InputError(
                f'{self}: {protocol}:// needs a package that is not installed: {hint}'
            ) from error
        except ValueError as error:
            raise InputError(
                f'{self}: {" ".join(str(error).split())}; a local path, s3://, http:// or '
                'https:// is accepted'
            ) from error
        return system, path
