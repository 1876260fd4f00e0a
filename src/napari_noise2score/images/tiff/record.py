"""What a result states of its origin, in the tag Software of a TIFF file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_noise2score.images.tiff.guard import readable
from napari_noise2score.plain import json_line

_PROGRAM = 'napari-noise2score '


def software(record: Mapping[str, Any]) -> str:
    """The text of the tag for a record."""
    return _PROGRAM + json_line(record)


def record_of(path: Path) -> dict[str, Any] | None:
    """The record in a TIFF file; None if the file is not a result of this program.

    Raises
    ------
    InputError
        If it is no TIFF file.
    """
    from tifffile import TiffFile

    with readable(path), TiffFile(path) as file:
        text = str(file.pages[0].aspage().tags.valueof('Software', ''))
    if not text.startswith(_PROGRAM):
        return None
    try:
        found = json.loads(text.removeprefix(_PROGRAM))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
