"""An image that is written part by part, and after an interruption goes on from the parts that
are there.

It is written into the folder ``NAME.unfinished`` beside its place: the image itself, and a list of
its parts, ``parts.jsonl``, with a checksum of the values of each. The first line of the list says
what the image is made from and with. A part that is damaged, or that was not complete when the
computer failed, has another checksum and is made again. Each line has a checksum of its own: the
list counts up to the first line that is damaged or not complete.
Estimates of a plane that is computed in blocks are in the folder too while this plane is written.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import CheckpointError
from napari_noise2score.files import give_name, note_written, real, temporary

SUFFIX = '.unfinished'
"""End of the name of the folder."""
OLD = '.old'
"""What is added to the name of a folder that was not continued."""
_IMAGE, _PARTS, _ESTIMATES = 'image', 'parts.jsonl', 'estimates'


def _nothing() -> None:
    return None


def _ignored(state: Any) -> None:
    return None


class UnfinishedImage:
    """An image that is written in parts.

    Parameters
    ----------
    path : Path
        Name of the complete image.
    origin : dict
        What it is made from and with, as plain values. An image of another origin is not
        continued.
    resume : bool
        Whether to go on from the parts that are there.
    state : callable, optional
        Returns what is stored with a part, as plain values.
    restore : callable, optional
        Takes what was stored with a part that is not made again.

    Attributes
    ----------
    held : int
        Number of the parts that were found whole.
    """

    def __init__(
        self,
        path: Path,
        origin: dict[str, Any],
        *,
        resume: bool = False,
        state: Callable[[], Any] = _nothing,
        restore: Callable[[Any], None] = _ignored,
    ) -> None:
        self.path, self.folder = path, folder_of(path)
        self._origin, self._resume = origin, resume
        self._state, self._restore = state, restore
        self._known: dict[int, tuple[int, Any]] = {}
        self._list: IO[str] | None = None
        self.held = 0

    @property
    def image(self) -> Path:
        """The file or folder of the image while it is written."""
        return self.folder / _IMAGE

    @property
    def estimates(self) -> Path:
        """The folder of values from which parts that are not written yet are made."""
        return self.folder / _ESTIMATES

    def begin(self) -> Path | None:
        """Begin, or read which parts are there.

        Returns
        -------
        Path or None
            New name of an unfinished image that is not continued; None if there is none.

        Raises
        ------
        CheckpointError
            If it is to be continued, but belongs to something else or its list is damaged.
        """
        aside = None
        if self.folder.exists():
            if self._resume and (self.folder / _PARTS).exists():
                self._read()
            else:
                aside = self.folder.with_name(self.folder.name + OLD)
                shutil.rmtree(aside, ignore_errors=True)
                self.folder.rename(aside)
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [self._origin, *([number, *known] for number, known in self._known.items())]
        note_written(self.folder)
        part = temporary(self.folder)  # a kill in this moment leaves the list as it was
        part.write_text(''.join(map(_text_of, lines)), encoding='utf-8')
        part.replace(self.folder / _PARTS)
        self._list = (self.folder / _PARTS).open('a', encoding='utf-8')
        return aside

    @property
    def parts(self) -> int:
        """Number of the parts of an earlier run."""
        return len(self._known)

    def holds(self, number: int, read: Callable[[], NDArray[Any]]) -> NDArray[Any] | None:
        """Values of a part that is there, and whole; None if it is to be made."""
        if number not in self._known:
            return None
        checksum, state = self._known[number]
        try:
            values = read()
        except Exception:  # noqa: BLE001 (a damaged part, of which the libraries raise anything)
            return None
        if _checksum(values) != checksum:
            return None
        self._restore(state)
        self.held += 1
        return values

    def add(self, number: int, values: NDArray[Any]) -> None:
        """A part with these values was written."""
        self._write([number, _checksum(values), self._state()])

    def finish(self) -> None:
        """Give the complete image its name, and remove the rest."""
        self.close()
        give_name(self.image, self.path)
        remove(self.folder)

    def close(self) -> None:
        """Let go of the list of parts."""
        if self._list is not None:
            self._list.close()

    def _write(self, line: Any) -> None:
        assert self._list is not None  # it has begun
        self._list.write(_text_of(line))
        self._list.flush()

    def _read(self) -> None:
        lines = _whole_lines((self.folder / _PARTS).read_bytes())
        if not lines:
            raise CheckpointError(
                f'{self.folder}: cannot be continued: its list of parts, {_PARTS}, is damaged. '
                'Begin again without --resume'
            )
        origin, *parts = lines
        wanted = json.loads(json.dumps(self._origin))
        names = [name for name in wanted if origin.get(name) != wanted[name]]
        if names:
            raise CheckpointError(
                f'{self.folder}: cannot be continued: other {", ".join(names)}. Use the same '
                'image, settings, model and versions, or begin again without --resume'
            )
        self._known = {number: (checksum, state) for number, checksum, state in parts}


def _whole_lines(content: bytes) -> list[Any]:
    """The lines of a list up to the first one that is damaged or not complete."""
    lines = []
    for text in content.splitlines():
        try:
            line, checksum = json.loads(text)
        except (ValueError, TypeError):
            break
        if checksum != _line_checksum(line):
            break
        lines.append(line)
    return lines


def folder_of(path: Path) -> Path:
    """The folder in which an image is unfinished: on the disk where it will be, if the name is a
    link to another one.
    """
    there = real(path)
    return there.with_name(there.name + SUFFIX)


def bytes_there(path: Path) -> int:
    """Bytes of the unfinished image of a name."""
    with suppress(OSError):
        return sum(file.stat().st_size for file in folder_of(path).rglob('*') if file.is_file())
    return 0


def remove(folder: Path) -> None:
    """Remove the folder of an unfinished image."""
    shutil.rmtree(folder, ignore_errors=True)


def _text_of(line: Any) -> str:
    """A line of the list, with its checksum."""
    return json.dumps([line, _line_checksum(line)]) + '\n'


def _line_checksum(line: Any) -> int:
    return zlib.crc32(json.dumps(line).encode())


def _checksum(values: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(values).tobytes())
