"""What is named as input: files, folders and patterns become files."""

from __future__ import annotations

import argparse
import glob
import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_noise2score.cli.console import note
from napari_noise2score.errors import InputError
from napari_noise2score.images.foreign import NEEDED
from napari_noise2score.images.ome_zarr import (
    fields_of,
    is_ome_zarr,
    is_zarr_folder,
    root_of,
    url_of,
)
from napari_noise2score.images.scenes import ALL, number_of, split_scene
from napari_noise2score.images.unfinished import SUFFIX as UNFINISHED
from napari_noise2score.settings import StartFrom

_MAGIC = frozenset('*?[')
_LISTED = 4
"""Most files that a line names."""


def files_of(
    named: Sequence[Path],
    besides: Collection[Path] = (),
    *,
    recursive: bool = False,
    scene: str | None = None,
) -> tuple[list[Path], list[tuple[Path, InputError]]]:
    """The files that are meant, in the order in which they are named, and what is no file and why.

    A folder stands for the images in it except PNG and NPY, sorted by name, without hidden ones; a
    pattern such as ``data/*.tif`` for those that match it; a plate or a file of several scenes for
    the fields or scenes that are wanted. What is found in these ways is told.
    An OME-Zarr, which is a folder or a URL, counts as one file. An image in several files of an
    OME-TIFF stands for itself once, also if all of them are named.

    Parameters
    ----------
    named : sequence of Path
        As on the command line.
    besides : collection of Path
        Files and folders that are outputs, and so no inputs where a folder or a pattern is named.
    recursive : bool
        Whether a folder stands for the images of the folders in it as well.
    scene : str, optional
        Number or name of the image to read in each file of several ones, or ``'all'``; see
        `images.formats.choose_scenes`. In a plate, a field such as ``'A/1/0'``.

    Raises
    ------
    InputError
        If there is no file at all.
    """
    outputs = {path.resolve() for path in besides}
    found: list[_Image] = []
    wrong: list[tuple[Path, InputError]] = []
    for path in named:
        try:
            several = stands_for_files(path)
            if several:
                matches, failed = _expanded(path, outputs, recursive, scene)
                wrong += failed
            else:
                matches = _fields(existing_image(path), scene, told=True)
        except InputError as error:
            wrong.append((path, error))
            continue
        for match in matches:
            try:
                found += _scenes(match, scene, told=not several)
            except InputError as error:
                wrong.append((match, error))
    if not found:
        raise wrong[0][1] if wrong else InputError(f'no image begins in these files; {NEEDED}')
    return _once(found), wrong


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


def subfolder(path: Path, named: Sequence[Path]) -> Path:
    """Where a file lies below the folder on the command line that stands for it; ``.`` if not."""
    above = [one for one in named if one in path.parents and stands_for_files(one)]
    parent = (root_of(path) or split_scene(path)[0]).parent
    return parent.relative_to(max(above, key=lambda one: len(one.parts))) if above else Path()


def _expanded(
    path: Path, outputs: Collection[Path], recursive: bool, scene: str | None
) -> tuple[list[Path], list[tuple[Path, InputError]]]:
    """What a folder or a pattern stands for, and plates without the field that is wanted."""
    folder = path.is_dir()
    base = path if folder else _folder_of_pattern(path)
    matches = _of_folder(path, outputs, recursive) if folder else _of_pattern(path)
    named = [one for one in matches if not _is_output(one.resolve(), base.resolve(), outputs)]
    if not named:
        raise InputError(f'{path}: contains only outputs of this command; {NEEDED}')
    inputs: list[Path] = []
    failed: list[tuple[Path, InputError]] = []
    for match in named:
        try:
            inputs += _fields(match, scene)
        except InputError as error:
            failed.append((match, error))
    left = len(matches) - len(named)
    kind, s = 'folder' if folder else 'pattern', '' if len(inputs) == 1 else 's'
    words = f', without {left} with the name of an output' if left else ''
    note(f'{path}: a {kind} of {len(inputs)} file{s}{words}')
    return inputs, failed


def _is_output(path: Path, base: Path, outputs: Collection[Path]) -> bool:
    """Whether a file is an output, or lies in a folder of outputs below the one named."""
    below = [parent for parent in path.parents if base in parent.parents]
    return not set(outputs).isdisjoint([path, *below])


def _fields(path: Path, scene: str | None, told: bool = False) -> list[Path]:
    """The fields of a plate or a well that are wanted; of all else the path itself."""
    found = fields_of(path) if url_of(path) is not None or _is_zarr(path) else None
    if found is None:
        return [path]
    if not found:
        raise InputError(f'{path}: is a plate whose metadata list no images; {NEEDED}')
    words = f'a plate or well of {len(found)} image{"" if len(found) == 1 else "s"}'
    if scene is not None and scene != ALL:
        names = [field.relative_to(path).as_posix() for field in found]
        try:
            number = number_of(scene, names)
        except InputError as error:
            raise InputError(f'{path}: {words} {error}') from error
        found = [found[number]]
        words += f', of which {names[number]} is read'
    if told:
        note(f'{path}: {words}')
    return found


@dataclass(frozen=True, slots=True)
class _Image:
    """An image of the command line.

    Attributes
    ----------
    path : Path
        Its path, with the scene.
    begin : tuple of Path
        The files in which it begins, if these may be others; see `images.formats.Scenes`.
    """

    path: Path
    begin: tuple[Path, ...] = ()

    @property
    def file(self) -> Path:
        return split_scene(self.path)[0].resolve()

    @property
    def scene(self) -> str | None:
        return split_scene(self.path)[1]

    @property
    def elsewhere(self) -> frozenset[Path]:
        """The files in which it begins, if it does not begin in its own."""
        begin = frozenset(one.resolve() for one in self.begin)
        return frozenset() if self.file in begin else begin


def _once(images: Sequence[_Image]) -> list[Path]:
    """The images, but those in several files of a set once: by the file in which they begin."""
    there: dict[Path, set[str | None]] = {}
    for image in images:
        there.setdefault(image.file, set()).add(image.scene)
    found: list[Path] = []
    left: list[Path] = []
    seen: set[tuple[frozenset[Path], str | None]] = set()
    for image in images:
        elsewhere, scene = image.elsewhere, image.scene
        key = elsewhere, scene
        named = all(
            file in there and (scene is None or not there[file].isdisjoint([scene, None]))
            for file in elsewhere
        )
        if elsewhere and (named or key in seen):
            left.append(image.path)
            continue
        seen.add(key)
        found.append(image.path)
    if left:
        names = ', '.join(map(str, left[:_LISTED])) + (' ...' if len(left) > _LISTED else '')
        note(f'{names}: left out, because the image is named by another of its files too')
    return found


def _scenes(path: Path, wanted: str | None, *, told: bool) -> list[_Image]:
    """The images of a file; what cannot be read is left to the reading, which says why."""
    from napari_noise2score.images.formats import choose_scenes
    from napari_noise2score.images.ome_zarr import named

    try:
        scenes = choose_scenes(path, wanted)
    except InputError:
        if wanted is not None or split_scene(path)[1] is not None:
            raise
        return [_Image(path)]
    if not scenes.paths and told:  # named by itself, it stands for the whole image
        return [_Image(path, scenes.begin)]
    if scenes.note and (told or len(scenes.paths) != 1):
        note(f'{named(path)}: {scenes.note}')
    if not scenes.begin:
        return [_Image(one) for one in scenes.paths]
    return [_Image(one, (first,)) for one, first in zip(scenes.paths, scenes.begin, strict=False)]


def existing_image(path: Path) -> Path:
    """The path, if there is a file or an OME-Zarr to be read; at a URL, the reading will tell.

    Raises
    ------
    InputError
        If there is none, saying what there is instead.
    """
    if url_of(path) is not None or (os.path.isdir(path) and _is_zarr(path)):  # noqa: PTH112
        return path
    if split_scene(path)[1] is not None:
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


def _inside(folder: Path, outputs: Collection[Path], recursive: bool) -> list[Path]:
    """All that is in a folder, by name, but nothing hidden or unfinished; links to folders are
    not followed.
    """
    found = []
    names = [path for path in folder.iterdir() if not path.name.startswith('.')]
    for path in sorted(path for path in names if path.suffix != UNFINISHED):
        found.append(path)
        enters = recursive and path.is_dir() and not path.is_symlink() and not _is_zarr(path)
        if enters and path.resolve() not in outputs:
            found += _inside(path, outputs, recursive)
    return found


def _of_folder(folder: Path, outputs: Collection[Path], recursive: bool) -> list[Path]:
    from napari_noise2score.images.formats import is_in_folder

    try:
        inside = _inside(folder, outputs, recursive)
    except OSError as error:
        raise InputError(f'{folder}: {error.strerror}; {NEEDED}') from error
    found = [path for path in inside if is_in_folder(path)]
    if not found:
        others = sorted({path.suffix for path in inside if path.is_file()} - {''})
        has = f'files of {", ".join(others[:5])}' if others else 'no files'
        raise InputError(
            f'{folder}: is a folder without TIFF, OME-Zarr and microscope images (it has {has}); '
            f'{NEEDED}, or a folder of images, or a pattern such as {folder}/*.png for PNG, NPY '
            f'and other names{"" if recursive else ", or --recursive for the folders in it"}'
        )
    return found


def _folder_of_pattern(pattern: Path) -> Path:
    """The folders that are named in full; these may have brackets in their names."""
    there = pattern.parent
    while not there.exists():
        there = there.parent
    return there


def _of_pattern(pattern: Path) -> list[Path]:
    there = _folder_of_pattern(pattern)
    rest = str(pattern.relative_to(there))
    found = [there / name for name in sorted(glob.glob(rest, root_dir=there, recursive=True))]  # noqa: PTH207
    files = [path for path in found if not path.is_dir() or _is_zarr(path)]
    if not files:
        matched = f'only folders match it, such as {found[0]}' if found else 'no file matches it'
        raise InputError(f'{pattern}: {matched}; {NEEDED}')
    return files


def _is_zarr(folder: Path) -> bool:
    """Whether a folder is meant as an OME-Zarr: by its name, or by what there is in it."""
    return is_ome_zarr(folder) or is_zarr_folder(folder)
