"""Header of a model file: format and version, read without its weights and without torch.

A safetensors file begins with eight bytes, the length of the JSON text that follows.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

FORMAT = 'napari-noise2score model'
VERSION = 2
READABLE = ('1', '2')
"""Versions of the file that this program reads."""

SUFFIX = '.safetensors'

_LENGTH = 8
_LONGEST = 1 << 24
"""Longest header that is looked at, bytes; ours are some thousand."""


def header_of(path: str | os.PathLike[str]) -> dict[str, str] | None:
    """What a safetensors file says of itself; None if it is none. Reads a few thousand bytes."""
    try:
        with Path(path).open('rb') as file:
            length = int.from_bytes(file.read(_LENGTH), 'little')
            if not 0 < length <= _LONGEST:
                return None
            header = json.loads(file.read(length))
    except (OSError, ValueError):
        return None
    about = header.get('__metadata__') if isinstance(header, dict) else None
    return about if isinstance(about, dict) else None


def is_score_model(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a score model, of whatever version.

    False for anything else: a missing or damaged file, a folder, the weights of other programs.
    """
    about = header_of(path)
    return about is not None and about.get('format') == FORMAT
