"""Many images in one call: one that fails does not take the others with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_noise2score.cli.console import note
from napari_noise2score.errors import CheckpointError, InputError, TrainingError
from napari_noise2score.files import os_words
from napari_noise2score.images.ome_zarr.location import named
from napari_noise2score.memory import ran_out, shortage

if TYPE_CHECKING:
    from napari_noise2score.cli.images import Images, Opened

_NAMED = 8
"""Most files that a summary names."""


class Batch:
    """What became of the images of a call.

    Parameters
    ----------
    files : sequence of Path
        The files.
    wrong : sequence of (Path, InputError)
        What was named and is no file.

    Attributes
    ----------
    single : bool
        Whether one image was named: its error is that of the call.
    failed : dict of str to str
        Images that were left out, and why.
    unwritten : list of Path
        Outputs that could not be written.
    """

    def __init__(
        self, files: Sequence[Path], wrong: Sequence[tuple[Path, InputError]] = ()
    ) -> None:
        self._count = len(files) + len(wrong)
        self.single = self._count == 1
        self.failed: dict[str, str] = {}
        self.unwritten: list[Path] = []
        self._refused = True
        for path, error in wrong:
            self.leave_out(path, error)

    def leave_out(self, path: Path, error: Exception) -> None:
        """Say that an image is left out, and why; of a single one, raise its error.

        Raises
        ------
        Exception
            ``error``, if there is no other image.
        """
        from napari_noise2score.images.formats import image_name

        if self.single:
            raise error
        name = named(path)
        text = words_of(error).removeprefix(f'{name}: ').removeprefix(f'{image_name(path)}: ')
        self.failed[name] = text
        self._refused = self._refused and isinstance(error, InputError)
        note(f'{name}: skipped: {text}')

    def look_at(self, images: Images, check: Callable[[int, Opened], object]) -> None:
        """Leave out the images that cannot be opened or do not pass a check, before any work.

        Parameters
        ----------
        images : Images
            The images.
        check : callable
            Takes the number of an image and the image; raises what is wrong with it.
        """
        for number, path in enumerate(images.files):
            try:
                check(number, images.at(number))
            except (InputError, OSError, MemoryError) as error:
                self.leave_out(path, error)

    def status(self) -> int:
        """Say how many images failed, if any did; the exit status."""
        if self.failed:
            names = list(self.failed)
            more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
            note(f'{len(names)} of {self._count} failed: {", ".join(names[:_NAMED])}{more}')
        if len(self.failed) == self._count and self._refused:
            return 2
        return 1 if self.failed or self.unwritten else 0


def words_of(error: Exception) -> str:
    """What went wrong, in words for a user."""
    match error:
        case InputError() | CheckpointError() | TrainingError():
            return str(error)
        case OSError():
            return f'{error.filename}: {os_words(error)}' if error.filename else os_words(error)
        case _ if ran_out(error):
            return shortage(error)
        case _:
            return f'{type(error).__name__}: {error}'.rstrip(': ')
