"""Plain values and strict JSON: what every report, model file and record is written with."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

_INDENT = '  '


def plain(value: Any) -> Any:
    """A value as JSON knows it: no NaN, no infinity, no types of NumPy.

    Parameters
    ----------
    value : object
        Numbers, texts, None, paths, enumerations, arrays, and mappings and sequences of these.

    Returns
    -------
    object
        The same as dict, list, str, int, float, bool and None; numbers that are not finite are
        None, and halves of characters in file names are replaced.

    Raises
    ------
    TypeError
        If there is anything else in it.
    """
    match value:
        case None | bool():
            return value
        case str():
            return value.encode('utf-8', 'replace').decode('utf-8')
        case int():
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else None
        case np.generic():
            return plain(value.item())
        case np.ndarray():
            return plain(value.tolist())
        case os.PathLike():
            return plain(os.fsdecode(value))
        case Mapping():
            return {str(plain(key)): plain(one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(one) for one in value]
        case _:
            raise TypeError(f'{value!r} is a {type(value).__name__}, which JSON does not know')


def json_text(value: Any) -> str:
    """Strict JSON of a value, indented, short lists on one line each.

    Raises
    ------
    TypeError
        As `plain`.
    """
    return _laid_out(plain(value), '')


def json_line(value: Any) -> str:
    """Strict JSON of a value on one line.

    Raises
    ------
    TypeError
        As `plain`.
    """
    return json.dumps(plain(value), allow_nan=False)


def _laid_out(value: Any, indent: str) -> str:
    """Lists of numbers and texts on a line; all that has parts of its own on several."""
    items: list[str]
    inner = indent + _INDENT
    if isinstance(value, dict) and value:
        items = [f'{json.dumps(key)}: {_laid_out(one, inner)}' for key, one in value.items()]
        ends = '{}'
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        items = [_laid_out(one, inner) for one in value]
        ends = '[]'
    else:
        return json.dumps(value, allow_nan=False)
    lines = f',\n{inner}'.join(items)
    return f'{ends[0]}\n{inner}{lines}\n{indent}{ends[1]}'
