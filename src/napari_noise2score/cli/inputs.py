"""What is named as input: files, folders and patterns become files."""

from __future__ import annotations

import argparse
import glob
import os
import stat
from collections.abc import Collection, Sequence
from pathlib import Path

from napari_noise2score.cli.console import note
from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr import is_ome_zarr, is_zarr_folder, url_of
from napari_noise2score.settings import StartFrom

NEEDED = 'a TIFF, OME-TIFF or OME-Zarr image is needed'
_MAGIC = frozenset('*?[')


def files_of(
    named: Sequence[Path], besides: Collection[Path] = ()
) -> tuple[list[Path], list[tuple[Path, InputError]]]:
    """The files that are meant, in the order in which they are named, and what is no file and why.

    A folder stands for the TIFF files and OME-Zarr images in it, sorted by name, without hidden
    ones and without those of folders in it; a pattern such as ``data/*.tif`` for those that match
    it. What is found in these ways is told. An OME-Zarr, which is a folder or a URL, counts as one
    file.

    Parameters
    ----------
    named : sequence of Path
        As on the command line.
    besides : collection of Path
        Files that are outputs, and so no inputs where a folder or a pattern is named.

    Raises
    ------
    InputError
        If there is no file at all.
    """
    outputs = {path.resolve() for path in besides}
    found: list[Path] = []
    wrong: list[tuple[Path, InputError]] = []
    for path in named:
        try:
            found += _expanded(path, outputs) if stands_for_files(path) else [existing_image(path)]
        except InputError as error:
            wrong.append((path, error))
    if not found:
        raise wrong[0][1]
    return found, wrong


def other_inputs(options: argparse.Namespace, *names: str) -> list[Path]:
    """Files that are read besides the images, by the options that name them."""
    given = [getattr(options, name, None) for name in names]
    return [Path(path) for path in given if path not in (None, StartFrom.WARM, StartFrom.SCRATCH)]


def stands_for_files(path: Path) -> bool:
    """Whether a folder or a pattern is named, and no OME-Zarr."""
    if url_of(path) is not None:
        return False
    if os.path.isdir(path):  # noqa: PTH112 (of names that cannot be, it says no)
        return not _is_zarr(path)
    return not os.path.lexists(path) and not _MAGIC.isdisjoint(str(path))


def _expanded(path: Path, outputs: Collection[Path]) -> list[Path]:
    """What a folder or a pattern stands for."""
    folder = path.is_dir()
    matches = _of_folder(path) if folder else _of_pattern(path)
    inputs = [match for match in matches if match.resolve() not in outputs]
    if not inputs:
        raise InputError(f'{path}: contains only outputs of this command; {NEEDED}')
    left = len(matches) - len(inputs)
    kind, s = 'folder' if folder else 'pattern', '' if len(inputs) == 1 else 's'
    words = f', without {left} with the name of an output' if left else ''
    note(f'{path}: a {kind} of {len(inputs)} file{s}{words}')
    return inputs


def existing_image(path: Path) -> Path:
    """The path, if there is a file or an OME-Zarr to be read; at a URL, the reading will tell.

    Raises
    ------
    InputError
        If there is none, saying what there is instead.
    """
    if url_of(path) is not None or (os.path.isdir(path) and _is_zarr(path)):  # noqa: PTH112
        return path
    return existing_file(path)


def existing_file(path: Path) -> Path:
    """The path, if there is a file to be read.

    Raises
    ------
    InputError
        If there is none, saying what there is instead.
    """
    try:
        path.lstat()
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        if os.path.lexists(path):
            raise InputError(
                f'{path}: is a link to {path.resolve()}, which does not exist; {NEEDED}'
            ) from None
        raise InputError(f'{path}: no such file; {NEEDED}') from None
    except OSError as error:
        raise InputError(f'{path}: {error.strerror}; {NEEDED}') from error
    if stat.S_ISDIR(mode):
        raise InputError(f'{path}: is a folder; {NEEDED}')
    if not stat.S_ISREG(mode):
        raise InputError(
            f'{path}: is not a regular file but a device, a pipe or a socket, which cannot be '
            f'read as an image; {NEEDED}'
        )
    return path


def _of_folder(folder: Path) -> list[Path]:
    from tifffile import TIFF

    try:
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith('.'))
    except OSError as error:
        raise InputError(f'{folder}: {error.strerror}; {NEEDED}') from error
    found = [
        path
        for path in inside
        if (_is_zarr(path) if path.is_dir() else _extension(path) in TIFF.FILE_EXTENSIONS)
    ]
    if not found:
        others = sorted({path.suffix for path in inside if path.is_file()} - {''})
        has = f'files of {", ".join(others[:5])}' if others else 'no files'
        raise InputError(
            f'{folder}: is a folder without TIFF files (it has {has}); {NEEDED}, or a folder '
            f'with TIFF files, or a pattern such as {folder}/*.dat for TIFF files with other '
            'names'
        )
    return found


def _of_pattern(pattern: Path) -> list[Path]:
    there = pattern.parent
    while (
        not there.exists()
    ):  # the folders that are named in full may have brackets in their names
        there = there.parent
    rest = str(pattern.relative_to(there))
    found = [there / name for name in sorted(glob.glob(rest, root_dir=there, recursive=True))]  # noqa: PTH207
    files = [path for path in found if not path.is_dir() or _is_zarr(path)]
    if not files:
        matched = f'only folders match it, such as {found[0]}' if found else 'no file matches it'
        raise InputError(f'{pattern}: {matched}; {NEEDED}')
    return files


def _extension(path: Path) -> str:
    return path.suffix.lower().lstrip('.')


def _is_zarr(folder: Path) -> bool:
    """Whether a folder is meant as an OME-Zarr: by its name, or by what there is in it."""
    return is_ome_zarr(folder) or is_zarr_folder(folder)
