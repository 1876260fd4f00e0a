"""What a command writes: names of its files, and whether they can be written, before the work."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from napari_noise2score.cli.inputs import subfolder
from napari_noise2score.errors import InputError
from napari_noise2score.files import obstacle, os_words, real, temporary
from napari_noise2score.images.foreign import not_written
from napari_noise2score.images.ome_zarr import (
    inside_words,
    inside_zarr,
    is_ome_zarr,
    named,
    record_of,
    root_of,
    try_to_write,
    url_of,
)
from napari_noise2score.images.ome_zarr import obstacle as zarr_obstacle
from napari_noise2score.images.scenes import name_for_file, number_of, split_scene

_ZARR = '.ome.zarr'
_LONGEST_NAME = 250
"""Bytes of a file name that every usual file system accepts."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where results go, as named on the command line.

    Attributes
    ----------
    path : Path
        A file or a folder.
    folder : bool
        Whether the name ends as only that of a folder does.
    """

    path: Path
    folder: bool = False

    @classmethod
    def parse(cls, text: str) -> Place:
        """From the words of the command line.

        Raises
        ------
        ArgumentTypeError
            If there are none.
        """
        if not text:
            raise argparse.ArgumentTypeError('a name is needed')
        return cls(Path(text), _ends_like_folder(text))

    def is_folder(self, inputs: Sequence[Path], several: bool) -> bool:
        """Whether results go into a folder of this name.

        Parameters
        ----------
        inputs : sequence of Path
            The images.
        several : bool
            Whether there may be several, as where a folder or a pattern is named.

        Raises
        ------
        InputError
            If it can be no folder and has to be one, or can be neither.
        """
        from napari_noise2score.images.tiff import SUFFIXES

        if is_ome_zarr(self.path):
            return self._is_remote_folder(inputs)
        image = self.path.suffix.lower() in SUFFIXES
        there = os.path.exists(self.path)  # noqa: PTH110 (of a name that cannot be, it says no)
        if (there and self.path.is_dir()) or (self.folder and not there):
            return True
        if self.folder:
            raise InputError(f'{self.path}: is not a folder, but is given as a folder')
        if len(inputs) > 1 and (image or there):
            raise InputError(f'{self.path}: is one file; {len(inputs)} images need a folder')
        if image:
            return False
        if (several or len(inputs) > 1) and not there:
            return True
        raise InputError(
            f'{self.path}: {not_written(self.path)}images are written as '
            f'{" or ".join(SUFFIXES)}; for a folder, write {self.path}{os.sep}; for an '
            f'OME-Zarr, {self.path.stem}.ome.zarr'
        )

    def _is_remote_folder(self, inputs: Sequence[Path]) -> bool:
        """Of a URL or the name of an OME-Zarr, which is one image."""
        if not self.path.name.lower().endswith('.zarr') and url_of(self.path) is not None:
            return True
        if len(inputs) > 1:
            raise InputError(
                f'{named(self.path)}: is one image; {len(inputs)} images need a folder'
            )
        return False


def _ends_like_folder(text: str) -> bool:
    return text.endswith(tuple(filter(None, (os.sep, os.altsep))))


def file_named(text: str) -> Path:
    """The file that a text on the command line names.

    Raises
    ------
    ArgumentTypeError
        If it can only be a folder.
    """
    if not text or _ends_like_folder(text):
        raise argparse.ArgumentTypeError(f'{text!r} is not a file name; a file name is needed')
    if url_of(text) is not None or text.lower().endswith('.zarr'):
        raise argparse.ArgumentTypeError(
            f'{text} is a URL or the name of an OME-Zarr; a local file is needed here'
        )
    return Path(text)


def targets(
    inputs: Sequence[Path], place: Place, several: bool = False, named_as: Sequence[Path] = ()
) -> list[Path]:
    """Where the result of each image goes.

    Images of folders in a folder that is ``named_as`` an input go into folders of the same names.

    Raises
    ------
    InputError
        If two would have one name, or the place cannot hold them.
    """
    if not place.is_folder(inputs, several):
        return [place.path]
    found: dict[str, tuple[Path, Path]] = {}
    for path in inputs:
        name = result_name(path, remote=url_of(place.path) is not None)
        target = place.path / subfolder(path, named_as) / name
        name = _folded(str(target))
        if name in found:
            other = found[name][0]
            raise InputError(
                f'{named(target)}: the results of {named(other)} and {named(path)} would have '
                'this name and overwrite each other; denoise them in two calls, with two outputs'
            )
        found[name] = path, target
    return [target for _, target in found.values()]


def result_name(path: Path, *, remote: bool = False) -> str:
    """What the result of an image is called: OME-Zarr of an OME-Zarr, TIFF of all else.

    A number at the end of a name is part of it, as in ``scan.001``. The name of a scene follows
    that of its file. ``remote`` results are OME-Zarr, whatever the image was.
    """
    from napari_noise2score.images.formats import is_zarr
    from napari_noise2score.images.tiff import SUFFIXES

    if is_zarr(path):
        root = root_of(path) or path
        inner = path.relative_to(root).parts
        if not inner and root.name.lower().endswith('.zarr'):
            return root.name
        return '_'.join([re.sub(r'(\.ome)?\.zarr$', '', root.name, flags=re.I), *inner]) + _ZARR
    path, within = split_scene(path)
    scene = '' if within is None else f'_{_scene_name(path, within)}'
    stem = re.sub(r'\.ome$', '', path.stem, flags=re.I)
    if remote:
        return f'{stem}{scene}{_ZARR}'
    if path.suffix.lower() in SUFFIXES:
        return f'{stem}{scene}{path.name[len(stem) :]}'
    is_number = path.suffix[1:].isdigit()
    return f'{path.name if is_number else path.stem}{scene}{SUFFIXES[0]}'


def _scene_name(file: Path, scene: str) -> str:
    """A scene in the name of its result."""
    from napari_noise2score.images.formats import list_scenes

    try:
        names = list_scenes(file)
        return name_for_file(number_of(scene, names), names)
    except InputError:  # reading it will say what is wrong
        return name_for_file(0, [scene])


@dataclass(frozen=True, slots=True)
class Output:
    """A file that is going to be written.

    Attributes
    ----------
    path : Path
        Its name.
    role : str
        What it is for, as on the command line.
    replaced : bool
        Whether an OME-Zarr that is a result of this program, and any TIFF, is replaced.
    """

    path: Path
    role: str
    replaced: bool = False


def outputs_of(
    *, replaced: Collection[Path] = (), **paths: Path | Sequence[Path] | None
) -> list[Output]:
    """Outputs by the options that name them; nothing for those that are not given.

    ``replaced`` are those that are replaced if they are there.
    """
    return [
        Output(path, f'--{role.replace("_", "-")}', path in replaced)
        for role, given in paths.items()
        for path in ([given] if isinstance(given, Path) else given or [])
    ]


def check_outputs(outputs: Sequence[Output], inputs: Iterable[Path | None]) -> None:
    """Raise if two outputs are one file, one is an input, or one is known not to be writable.

    Parameters
    ----------
    outputs, inputs
        As of `tried`.

    Raises
    ------
    InputError
        With the names.
    """
    check_names(outputs, [path for path in inputs if path is not None])
    for output in outputs:
        words = _obstacle(output)
        if words is not None:
            raise InputError(f'{named(output.path)}: {words}')


@contextmanager
def tried(outputs: Sequence[Output], inputs: Iterable[Path | None]) -> Iterator[None]:
    """Raise before any work is done if a file could not be written at the end of it.

    Makes the folders that are missing, and takes those away at the end that are still empty.

    Parameters
    ----------
    outputs : sequence of Output
        What is going to be written.
    inputs : iterable of Path or None
        What is read, and so must not be written; None counts for nothing.

    Raises
    ------
    InputError
        If two outputs are one file, one is an input, or one cannot be written.
    """
    check_outputs(outputs, inputs)
    made: list[Path] = []
    try:
        for output in outputs:
            if url_of(output.path) is not None:
                try_to_write(output.path)
                continue
            try:
                _try(real(output.path), made)
            except OSError as error:
                raise InputError(f'{output.path}: {os_words(error)}') from error
        yield
    finally:
        for folder in reversed(made):
            with suppress(OSError):  # it is of use
                folder.rmdir()


def _obstacle(output: Output) -> str | None:
    """What is known to keep an output from being written; None if nothing is."""
    path = output.path
    if output.replaced and is_ome_zarr(path) and url_of(path) is None and path.is_dir():
        if record_of(path) is None:
            return 'exists, and is not a result of this program: it is not overwritten'
        return zarr_obstacle(temporary(path.parent))
    if is_ome_zarr(path):
        return zarr_obstacle(path)
    store = inside_zarr(path)
    if store is not None:
        return inside_words(store)
    return obstacle(path) or (None if output.replaced else _foreign(path))


def _foreign(path: Path) -> str | None:
    """Why a TIFF is not replaced; None if there is none, or it is a result of this program."""
    from napari_noise2score.images.formats import origin_of
    from napari_noise2score.images.tiff import SUFFIXES

    if path.suffix.lower() not in SUFFIXES or not path.is_file() or origin_of(path) is not None:
        return None
    return (
        'exists already, and is not a result of this program; give another name (denoise and '
        'apply replace it with --overwrite)'
    )


def check_names(outputs: Sequence[Output], inputs: Sequence[Path]) -> None:
    """Raise if two outputs are one file, or a file and its folder, or one is an input."""
    inputs = [split_scene(path)[0] for path in inputs]
    read = {_identity(path) for path in inputs}
    known: dict[str, Output] = {}
    there: dict[object, Output] = {}
    stores = [_folded(os.path.realpath(root_of(path) or path)) for path in inputs]
    for output in outputs:
        if _identity(output.path) in read:
            raise InputError(f'{named(output.path)}: is also an input; give another output')
        folders = {_folded(str(one)) for one in Path(os.path.realpath(output.path)).parents}
        if not folders.isdisjoint(stores):
            raise InputError(
                f'{named(output.path)}: lies inside an input, which is left as it is; give '
                'another output'
            )
        name = _folded(os.path.realpath(output.path))
        twin = known.get(name) or there.get(_identity(output.path))
        if twin is not None:
            both = output.role if output.role == twin.role else f'{twin.role} and {output.role}'
            words = f'is named twice, by {both}'
            if output.path != twin.path:
                words = (
                    f'is the same file as {twin.path} ({both}), or would be on disks that do '
                    'not distinguish capital and small letters'
                )
            raise InputError(f'{output.path}: {words}; give each its own name')
        known[name] = there[_identity(output.path)] = output
    for output in outputs:
        for parent in Path(os.path.realpath(output.path)).parents:
            above = known.get(_folded(str(parent)))
            if above is not None:
                raise InputError(
                    f'{above.path}: is named as a file by {above.role} and as a folder by '
                    f'{output.role}; give each its own name'
                )


def _identity(path: Path) -> object:
    """What is equal for two names of one file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return _folded(os.path.realpath(path))
    return found.st_dev, found.st_ino


def _folded(name: str) -> str:
    """A name as file systems see it that do not tell capitals, or ways of writing an accent."""
    return unicodedata.normalize('NFC', unicodedata.normalize('NFC', name).casefold())


def _try(target: Path, made: list[Path]) -> None:
    """Write nothing under a name, and do in its folder what the writing will do."""
    missing = [one for one in (target.parent, *target.parent.parents) if not one.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        made.append(folder)
    first, second = temporary(target.parent), temporary(target.parent)
    first.touch()
    first.replace(second)
    second.unlink()
    if target.is_dir():  # an OME-Zarr, which is replaced as a whole
        return
    if target.exists():
        os.close(os.open(target, os.O_WRONLY))
        return
    # another process may write the file itself in this moment, so its name gets some letters more
    trial = target.with_name(f'{secrets.token_hex(4)}.{target.name}')
    target = trial if len(os.fsencode(trial.name)) <= _LONGEST_NAME else target
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    target.unlink()
