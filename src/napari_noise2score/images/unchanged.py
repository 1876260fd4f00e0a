"""Whether a file stays as it is while an image is read from it.

A program may still write the file, or replace or remove it. Values of before and after the change
would be mixed, so such an image is an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_noise2score.errors import InputError

State = tuple[int, int] | None
"""Size of a file in bytes, and when it was changed, ns; None if there is no file."""


def state_of(file: Path | int) -> State:
    """The present state of a file, by its path or its descriptor."""
    try:
        found = os.stat(file)  # noqa: PTH116 (also takes a descriptor)
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns


def check_unchanged(name: object, before: State, now: State) -> None:
    """Raise if the state of a file is another one now.

    Raises
    ------
    InputError
        With the ``name`` of the image.
    """
    if now == before:
        return
    if now is None:
        raise removed(name)
    raise InputError(
        f'{name}: was changed while it was read; an image is needed to which nothing is written'
    )


def removed(name: object) -> InputError:
    """The error of an image whose file, or a part of it, is no longer there."""
    return InputError(
        f'{name}: was removed, or a part of it, while it was read; the whole image is needed'
    )


class Unchanged:
    """Files that must stay as they are from the first time on that they are looked at.

    Parameters
    ----------
    name : object
        Name of the image, for messages.
    """

    def __init__(self, name: object) -> None:
        self._name = name
        self._known: dict[Path, State] = {}

    @contextmanager
    def during(self, files: Iterable[Path]) -> Iterator[None]:
        """Compare the states of files before and after a reading with those of the first time.

        Another error of the reading is replaced by that of the change, which is its cause.

        Raises
        ------
        InputError
            If a file was changed or removed.
        """
        files = tuple(files)
        self.check(files)
        try:
            yield
        except Exception:
            self.check(files)
            raise
        self.check(files)

    def check(self, files: Iterable[Path]) -> None:
        """Compare the states of files with those of the first time.

        Raises
        ------
        InputError
            If a file was changed or removed.
        """
        for file in files:
            now = state_of(file)
            check_unchanged(self._name, self._known.setdefault(file, now), now)
