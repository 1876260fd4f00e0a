"""Scenes: the images of a file that contains several of them, chosen by number or by name.

A scene has a path of its own, as an image inside an OME-Zarr has: ``cells.lif/2`` is number 2 of
``cells.lif``.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from napari_noise2score.errors import InputError

ALL = 'all'
"""Stands for all scenes of a file."""
_LISTED = 6
"""Maximum number of scenes that a message lists."""
_LONGEST = 100
"""Maximum number of letters of a scene in the name of a result."""


def split_scene(path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """The file of a path and the scene in it; the path itself and None if it names no scene."""
    whole = Path(path)
    if os.path.lexists(whole):
        return whole, None
    for parent in whole.parents:
        if os.path.isfile(parent):  # noqa: PTH113 (of a name that cannot be, it says no)
            return parent, whole.relative_to(parent).as_posix()
    return whole, None


def number_of(wanted: int | str, names: Sequence[str], listing: str = '') -> int:
    """The number of a scene, from its number or its name.

    Parameters
    ----------
    wanted : int or str
        A number from 0, or a name. Digits are a number if the file has a scene of that number.
    names : sequence of str
        The names of all scenes.
    listing : str
        The scenes as the message lists them; from the names if it is empty.

    Raises
    ------
    InputError
        If there is no such scene, or several of that name; the text has no name of a file.
    """
    text = str(wanted).strip()
    if re.fullmatch(r'[0-9]+', text) and int(text) < len(names):
        return int(text)
    same = [number for number, name in enumerate(names) if name == text]
    if len(same) == 1:
        return same[0]
    listing = listing or listed(names)
    if same:
        numbers = ', '.join(map(str, same))
        raise InputError(f'has {len(same)} images named {text!r}; give a number: {numbers}')
    what = f'number {text}' if re.fullmatch(r'-?[0-9]+', text) else repr(text)
    others = ', and so are names' if any(names) else ''
    raise InputError(
        f'has no image {what}; numbers 0 to {len(names) - 1} are accepted{others}: {listing}'
    )


def listed(names: Sequence[str]) -> str:
    """Numbers and names of scenes, for a message."""
    words = '; '.join(f'{number}: {name}' for number, name in enumerate(names[:_LISTED]))
    more = len(names) - _LISTED
    return words + (f'; and {more} more' if more > 0 else '')


def name_for_file(number: int, names: Sequence[str]) -> str:
    """A scene in the name of a file: its name if that is possible and unique, else its number."""
    safe = [_safe(name) for name in names]
    same = Counter(name.casefold() for name in safe)[safe[number].casefold()]
    if not safe[number]:
        return str(number)
    return safe[number] if same == 1 else f'{safe[number]}_{number}'


def _safe(name: str) -> str:
    """Only letters that every file system accepts, and no dots at the ends."""
    return re.sub(r'[^\w .,()+=@-]+', '_', name).strip(' ._')[:_LONGEST].strip(' ._')
