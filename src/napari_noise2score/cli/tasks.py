"""The images of a call, each with its outputs: which are done already, which are claimed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_noise2score.cli.batch import Batch
from napari_noise2score.cli.claims import Claims, TakenError, locked
from napari_noise2score.cli.origin import Origin, Origins, is_done
from napari_noise2score.errors import InputError
from napari_noise2score.files import moved_aside
from napari_noise2score.images.ome_zarr.location import is_ome_zarr, named, url_of
from napari_noise2score.settings import DenoiseSettings

if TYPE_CHECKING:
    from napari_noise2score.images.acquisition import Acquisition
    from napari_noise2score.images.ome_zarr import Inherited
    from napari_noise2score.score.model import ScoreModel


Stamp = tuple[tuple[int, int] | None, ...]


def stamp(paths: Sequence[Path]) -> Stamp:
    """What changes when outputs are made or replaced; None for each that does not exist."""
    found: list[tuple[int, int] | None] = []
    for path in paths:
        try:
            state = path.stat()
        except OSError:
            found.append(None)
            continue
        found.append((state.st_ino, state.st_mtime_ns))
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """An image and its outputs as they were at the start of the call.

    Attributes
    ----------
    origin : Origin
        What the result is made from and with.
    stamp : tuple
        The outputs, as of `stamp`.
    crc32 : callable
        Reads the image; returns the checksum of its grey levels, empty if it cannot be read.
    replaced : frozenset of Path
        Outputs that are replaced if they are there, also an OME-Zarr of this program.
    """

    origin: Origin
    stamp: Stamp
    crc32: Callable[[], str]
    replaced: frozenset[Path]

    def is_done(self, targets: Sequence[Path]) -> bool:
        """Whether the outputs are there, made from and with the same; see `origin.is_done`."""
        return is_done(targets, self.origin, self.crc32)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is known of an image before the work, so that its file is not needed after it.

    Attributes
    ----------
    file : Path
        The image.
    targets : list of Path
        Where the clean image goes, and what the training changed, if that is asked for.
    before : Before
        The image and its outputs at the start.
    acquisition : Acquisition
        Sizes and channels.
    inherited : Inherited
        What else the file hands on to a result.
    notes : tuple of str
        What is to be said of the file.
    in_parts : bool
        Whether it is computed plane by plane and written part by part.
    """

    file: Path
    targets: list[Path]
    before: Before
    acquisition: Acquisition
    inherited: Inherited
    notes: tuple[str, ...]
    in_parts: bool = False

    @contextmanager
    def replacing(self, path: Path) -> Iterator[None]:
        """While an output is written, an OME-Zarr that it replaces is moved aside."""
        old = path in self.before.replaced and is_ome_zarr(path) and path.is_dir()
        with moved_aside(path) if old else nullcontext():
            yield


class DoneBefore:
    """Which images are done already.

    In a folder, results are compared with what they would be made from and with now. An output
    that is named as one file is a wish to have it made: a TIFF is replaced, an OME-Zarr is not.
    If some outputs of an image are missing, all of them are made again.

    Parameters
    ----------
    options : Namespace
        The options.
    settings : DenoiseSettings
        The settings.
    model : ScoreModel or None
        What is applied, or what the training starts from.
    trains : bool
        Whether the command trains.
    again : bool
        Whether all results are made again, also those that are done.

    Attributes
    ----------
    known : dict of Path to Before
        The images and their outputs at the start.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        settings: DenoiseSettings,
        model: ScoreModel | None,
        *,
        trains: bool,
        again: bool,
    ) -> None:
        self.known: dict[Path, Before] = {}
        self._output, self._again = options.output.path, again
        self._origins = Origins(options, settings, model, trains=trains)

    @property
    def replaced(self) -> frozenset[Path]:
        """Outputs that are replaced if they are there."""
        return frozenset().union(*(before.replaced for before in self.known.values()))

    def is_to_do(self, file: Path, targets: Sequence[Path], batch: Batch) -> bool:
        """Whether an image is to be denoised; otherwise the batch is told what becomes of it."""
        named_file = targets[0] == self._output and not is_ome_zarr(targets[0])
        looks = not (self._again or named_file)
        crc32 = partial(self._origins.crc32, file)
        state = stamp(targets)
        # not what others may put there meanwhile
        there = {path for path, own in zip(targets, state, strict=True) if looks and own}
        replaced = frozenset(targets if self._again else there)
        before = Before(self._origins.of(file), state, crc32, replaced)
        self.known[file] = before
        try:
            finished = looks and before.is_done(targets)
        except InputError as error:
            batch.leave_out(file, error)
            return False
        if finished:
            batch.skip(file)
        return not finished


def claimed(tasks: Sequence[Task], claims: Claims, batch: Batch) -> list[Task]:
    """Those of the images that share a model which no other process works on.

    They are claimed at once: of two processes that train one model on all images of a folder,
    one gets all images.
    """
    found: list[Task] = []
    if not tasks:
        return found
    place = tasks[0].targets[0]
    alone = nullcontext() if url_of(place) is not None else locked(place.parent / 'shared model')
    with alone:
        for task in tasks:
            try:
                take(task, claims)
            except (InputError, OSError) as error:
                batch.leave_out(task.file, error)
                continue
            found.append(task)
    return found


def take(task: Task, claims: Claims) -> None:
    """Claim the output of an image.

    Raises
    ------
    TakenError
        If another process works on it, or has made it since the start of this one.
    InputError
        If another process has made it with other settings.
    """
    output = task.targets[0]
    claims.take(output)
    if stamp(task.targets) == task.before.stamp:
        return
    try:
        made = task.before.is_done(task.targets)
    except InputError:
        claims.give_back(output)
        raise
    if made:
        claims.give_back(output)
        raise TakenError(f'{named(output)}: was made by another process in the meantime')
