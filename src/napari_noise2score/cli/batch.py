"""Many images in one call: one that fails does not take the others with it.

The table of the call gets a row for each image, whatever becomes of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_noise2score.cli.claims import TakenError
from napari_noise2score.cli.console import note
from napari_noise2score.cli.table import DONE, FAILED, SKIPPED, TAKEN, Table
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
    table : Table, optional
        Gets a row for each image.
    outputs : mapping of Path to Path, optional
        Where the result of each file goes, for the table.

    Attributes
    ----------
    single : bool
        Whether one image was named: its error is that of the call.
    failed : dict of str to str
        Images that were left out, and why.
    skipped, taken : list of str
        Images that were done already, and those that another process works on.
    only_planned : bool
        Whether the call only says what would be done.
    written : list of Path
        Results that are there now.
    unwritten : list of Path
        Outputs that could not be written.
    """

    def __init__(
        self,
        files: Sequence[Path],
        wrong: Sequence[tuple[Path, InputError]] = (),
        table: Table | None = None,
        outputs: Mapping[Path, Path] | None = None,
    ) -> None:
        self.table = Table([]) if table is None else table
        self._outputs = outputs or {}
        self._count = len(files) + len(wrong)
        self.single = self._count == 1
        self.failed: dict[str, str] = {}
        self.only_planned = False
        self.skipped: list[str] = []
        self.taken: list[str] = []
        self.written: list[Path] = []
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

        if isinstance(error, TakenError):
            self._leave_to_another(path, error)
            return
        name = named(path)
        text = words_of(error).removeprefix(f'{name}: ').removeprefix(f'{image_name(path)}: ')
        self._row(path, FAILED, message=text)
        if self.single:
            raise error
        self.failed[name] = text
        self._refused = self._refused and isinstance(error, InputError)
        note(f'{name}: failed: {text}')

    def _leave_to_another(self, path: Path, error: TakenError) -> None:
        """Another process does the work, or has done it: no failure."""
        self.taken.append(named(path))
        self._row(path, TAKEN, message=str(error))
        note(f'{named(path)}: left to another process: {error}')

    def skip(self, path: Path, *, told: bool = True) -> None:
        """An image is done already, with the same settings; said of a single one if ``told``."""
        self.skipped.append(named(path))
        self._row(path, SKIPPED, message='done already, with the same settings and model')
        if self.single and told:
            done = f'{named(self._outputs.get(path, path))} is done already'
            note(f'{named(path)}: skipped: {done}; --overwrite repeats it')

    def finish(self, path: Path, values: Mapping[str, Any]) -> None:
        """An image is done, or its result is lost; ``values`` are those of its row."""
        lost = self._outputs.get(path) in self.unwritten
        message = 'the result could not be written' if lost else ''
        if lost:
            self.failed[named(path)] = message
            self._refused = False
        elif path in self._outputs:
            self.written.append(self._outputs[path])
        self._row(path, FAILED if lost else DONE, message=message, **values)

    def _row(self, path: Path, status: str, **values: Any) -> None:
        self.table.put(path, self._outputs.get(path), status, **values)
        self.write_table()

    def write_table(self, at_the_end: bool = False) -> None:
        """Write the table as far as it is known, once there is more than failures.

        An error is reported at the end, and costs the table only.
        """
        if not self.table.has(DONE, SKIPPED, TAKEN):
            return
        try:
            self.table.write(at_the_end)
        except (InputError, OSError) as error:
            if at_the_end and not set(self.table.files) <= set(self.unwritten):
                note(f'the table could not be written: {words_of(error)}')
                self.unwritten += self.table.files

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
        self.write_table(at_the_end=True)
        if self.written:
            note(f'written: {_places(self.written)}')
        if not self.single:
            note(self._summary())
        if len(self.failed) == self._count and self._refused:
            return 2
        return 1 if self.failed or self.unwritten else 0

    def _summary(self) -> str:
        """How many images are done, and what became of the others."""
        names = list(self.failed)
        done = self._count - len(names) - len(self.skipped) - len(self.taken)
        would = 'would be done' if self.only_planned else 'done'
        words = [f'{done} of {self._count} images {would}']
        if self.skipped:
            words.append(f'{len(self.skipped)} skipped (done already)')
        if self.taken:
            words.append(f'{len(self.taken)} left to another process')
        if names:
            more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
            words.append(f'{len(names)} failed: {", ".join(names[:_NAMED])}{more}')
        return ', '.join(words)


def _places(paths: Sequence[Path]) -> str:
    """Where files are: the name of a single one, the folder of several."""
    if len(paths) == 1:
        return named(paths[0])
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    return f'{len(paths)} images in {named(folder)}{os.sep}'


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
