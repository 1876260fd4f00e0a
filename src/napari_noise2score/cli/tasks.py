"""The images of a call, each with its outputs: which are done already, which are claimed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_noise2score.cli.batch import Batch
from napari_noise2score.cli.claims import Claims, TakenError, locked
from napari_noise2score.cli.images import Images
from napari_noise2score.cli.origin import Origin, is_done, settings_checksum
from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr.location import is_ome_zarr, named, url_of
from napari_noise2score.settings import DenoiseSettings

if TYPE_CHECKING:
    from napari_noise2score.images.acquisition import Acquisition
    from napari_noise2score.images.ome_zarr import Inherited
    from napari_noise2score.score.model import ScoreModel


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is known of an image before the work, so that its file is not needed after it.

    Attributes
    ----------
    file : Path
        The image.
    targets : list of Path
        Where the clean image goes, and what the training changed, if that is asked for.
    acquisition : Acquisition
        Sizes and channels.
    inherited : Inherited
        What else the file hands on to a result.
    notes : tuple of str
        What is to be said of the file.
    origin : Origin
        What the result is made from and with.
    """

    file: Path
    targets: list[Path]
    acquisition: Acquisition
    inherited: Inherited
    notes: tuple[str, ...]
    origin: Origin


@dataclass(slots=True)
class DoneBefore:
    """Which images are done already.

    In a folder, results are compared with what they would be made from and with now. An output
    that is named as one file is a wish to have it made: a TIFF is replaced, an OME-Zarr is not.

    Attributes
    ----------
    options : Namespace
        The options.
    settings : DenoiseSettings
        The settings.
    model : ScoreModel or None
        What is applied, or what the training starts from.
    files : sequence of Path
        The images.
    trains : bool
        Whether the command trains.
    origins : dict of int to Origin
        What the results are made from and with, by number.
    """

    options: argparse.Namespace
    settings: DenoiseSettings
    model: ScoreModel | None
    files: Sequence[Path]
    trains: bool
    origins: dict[int, Origin] = field(default_factory=dict)

    def is_to_do(self, number: int, goals: Sequence[Path], batch: Batch) -> bool:
        """Whether an image is to be denoised; otherwise the batch is told what becomes of it."""
        path = self.files[number]
        self.origins[number] = origin = self.origin(path)
        file = list(goals) == [self.options.output.path] and not is_ome_zarr(goals[0])
        if self.options.overwrite or file:
            return True
        try:
            finished = is_done(goals, origin, partial(_crc32, path, self.options))
        except InputError as error:
            batch.leave_out(path, error)
            return False
        if finished:
            batch.skip(path)
        return not finished

    def origin(self, path: Path) -> Origin:
        """What the result of a file is made from and with."""
        settings = settings_checksum(self.options, self.settings, trains=self.trains)
        digest = 'scratch' if self.model is None else self.model.digest[:16]
        return Origin.of(path, settings, digest)


def _crc32(path: Path, options: argparse.Namespace) -> str:
    """Checksum of the grey levels of a file; empty if it cannot be read."""
    try:
        return f'{Images([path], options).at(0).source.checksum():08x}'
    except InputError:
        return ''


def claimed(
    tasks: Sequence[Task], claims: Claims, options: argparse.Namespace, batch: Batch
) -> list[Task]:
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
                take(task, claims, options)
            except (InputError, OSError) as error:
                batch.leave_out(task.file, error)
                continue
            found.append(task)
    return found


def take(task: Task, claims: Claims, options: argparse.Namespace) -> None:
    """Claim the output of an image.

    Raises
    ------
    TakenError
        If another process works on it, or has made it since the start of this one.
    """
    output = task.targets[0]
    file = task.targets == [options.output.path]
    claims.take(output)
    if options.overwrite or file:
        return
    try:
        made = is_done(task.targets, task.origin, partial(_crc32, task.file, options))
    except InputError:
        claims.give_back(output)
        raise
    if made:
        claims.give_back(output)
        raise TakenError(f'{named(output)}: was made by another process in the meantime')
