"""The table of a call: one row for each image, as CSV and as JSON.

Several processes may write one table: each reads what is there and replaces the rows of its own
images.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_noise2score.cli.claims import locked
from napari_noise2score.errors import InputError
from napari_noise2score.files import write_json, written_whole
from napari_noise2score.images.acquisition import Acquisition
from napari_noise2score.images.ome_zarr.location import url_of
from napari_noise2score.images.source import ImageSource

NAME = 'denoised'
"""Name of the table in a folder of results."""
SUFFIXES = ('.csv', '.json')
DONE, SKIPPED, FAILED, TAKEN = 'done', 'skipped', 'failed', 'taken by another process'
COLUMNS = (
    *('input', 'output', 'status', 'message'),
    *('axes', 'shape', 'dtype', 'pixel_size'),
    *('noise', 'gain', 'offset', 'read_noise'),
    *('risk', 'risk_error', 'gained', 'seconds', 'model', 'warnings'),
    *('peak_memory_bytes', 'process', 'finished'),
)
_SELDOM = 10
"""Least time between two writings, in times that one takes."""


class Table:
    """Rows by image, written to files.

    Parameters
    ----------
    files : sequence of Path
        Names that end in ``.csv`` or ``.json``; there may be none.

    Raises
    ------
    InputError
        If a file exists and is not such a table.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)
        self._rows: dict[str, dict[str, Any]] = {}
        self._due, self._pending = 0.0, False
        for path in self.files:
            _read(path)

    def put(self, file: Path, output: Path | None, status: str, **values: Any) -> None:
        """Set the row of an image."""
        row = {
            'input': url_of(file) or str(file.absolute()),
            'output': '' if output is None else self._place(output),
            'status': status,
            **values,
            'process': f'{os.getpid()} on {platform.node()}',
            'finished': datetime.now(UTC).isoformat(timespec='seconds'),
        }
        self._rows[_key(row)] = row
        self._pending = True

    def has(self, *states: str) -> bool:
        """Whether a row has one of these states."""
        return any(row['status'] in states for row in self._rows.values())

    def write(self, at_the_end: bool = False) -> None:
        """Write the rows, but seldom if that takes long and there is more to come.

        Raises
        ------
        InputError, OSError
            If a file cannot be written.
        """
        begin = time.perf_counter()
        if not self._pending or (begin < self._due and not at_the_end):
            return
        for path in self.files:
            with locked(path):
                _write(path, _merged(_read(path), self._rows))
        self._pending = False
        now = time.perf_counter()
        self._due = now + _SELDOM * (now - begin)

    def _place(self, output: Path) -> str:
        """An output as the table names it: relative, where it lies below the table."""
        if url_of(output) is not None:
            return str(url_of(output))
        absolute = output.absolute()
        folder = self.files[0].absolute().parent if self.files else None
        if folder is not None and absolute.is_relative_to(folder):
            return absolute.relative_to(folder).as_posix()
        return str(absolute)


def row_of(report: Mapping[str, Any], acquisition: Acquisition) -> dict[str, Any]:
    """What a report says of an image, as values of a row."""
    channels = [one['noise'] for one in report['channels']]
    risk = report['risk'][report['correction']]
    return {
        'axes': report['axes'],
        'shape': report['shape'],
        'dtype': report['dtype'],
        'pixel_size': pixel_size(acquisition),
        **noise_values(channels),
        'risk': risk['value'],
        'risk_error': risk['standard_error'],
        'gained': gained(report.get('training') or {}),
        'seconds': report['seconds'],
        'model': (report.get('model') or {}).get('sha256'),
        'warnings': report['warnings'],
        'peak_memory_bytes': peak_memory(),
    }


def image_values(source: ImageSource, acquisition: Acquisition) -> dict[str, Any]:
    """What is known of an image before any work, as values of a row."""
    return {
        'axes': source.axes,
        'shape': source.shape,
        'dtype': str(source.data.dtype),
        'pixel_size': pixel_size(acquisition),
        'peak_memory_bytes': peak_memory(),
    }


def noise_values(channels: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """The noise models of the channels, and their most common parameters, one for each channel."""
    known = [one or {} for one in channels]
    numbers = {name: [one.get(name) for one in known] for name in ('gain', 'offset', 'read_noise')}
    return {'noise': channels, **numbers}


def pixel_size(acquisition: Acquisition) -> dict[str, str]:
    """The distance of samples by axis, with its unit."""
    spacing = acquisition.spacing
    return {axis: f'{step.size:.6g} {step.unit}'.strip() for axis, step in spacing.items()}


def peak_memory() -> int | None:
    """Most bytes of memory that this process had until now; None where that is not known."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        peak = getattr(psutil.Process().memory_info(), 'peak_wset', None)
        return None if peak is None else int(peak)
    unit = 1 if sys.platform == 'darwin' else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def gained(training: Mapping[str, Any]) -> float | None:
    """By how much a training lowered the estimated error, in noise variances."""
    start, end = ((training.get(key) or {}).get('value') for key in ('start_risk', 'risk'))
    if not training.get('steps_done') or start is None or end is None:
        return None
    if not training.get('delivered_step'):
        return 0.0
    return float((start - end) / (training.get('noise_variance') or 1.0))


def _key(row: Mapping[str, Any]) -> str:
    return _as_text(str(row.get('output') or row.get('input')))


def _as_text(value: str) -> str:
    """Words as they are in a file: the name of an image may have bytes that are no text."""
    return value.encode('utf-8', 'replace').decode()


def _merged(
    there: Sequence[Mapping[str, Any]], own: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The rows of a file with the own ones; what another process has done stays."""
    rows = {_key(row): dict(row) for row in there}
    for key, row in own.items():
        before = rows.get(key, {})
        if row['status'] == TAKEN and before.get('status') == DONE:
            continue
        rows[key] = {**before, **row} if row['status'] == SKIPPED else dict(row)
    return list(rows.values())


def _read(path: Path) -> list[dict[str, Any]]:
    """The rows of a table; none if there is no such file."""
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: cannot be read as a table ({error}); give another') from error
    if not text.strip():
        return []
    rows: Any = None
    if path.suffix.lower() == '.csv':
        with suppress(csv.Error):
            rows = list(csv.DictReader(text.splitlines(keepends=True)))
    else:
        with suppress(ValueError, KeyError, TypeError):
            rows = json.loads(text)['images']
    known = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    if not known or not all({'input', 'status'} <= row.keys() for row in rows):
        raise InputError(
            f'{path}: exists, and is not a table of this program; give another name to --table'
        )
    return [dict(row) for row in rows]


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    if path.suffix.lower() != '.csv':
        write_json(path, {'images': rows})
        return
    with (
        written_whole(path) as part,
        part.open('w', encoding='utf-8', errors='replace', newline='') as stream,
    ):
        writer = csv.DictWriter(stream, COLUMNS, extrasaction='ignore')
        writer.writeheader()
        writer.writerows({name: _cell(row.get(name)) for name in COLUMNS} for row in rows)


def _cell(value: Any) -> str | float | int:
    """A value of a row as one cell."""
    match value:
        case None:
            return ''
        case {'family': family, **numbers}:
            inside = ', '.join(f'{name}={_cell(one)}' for name, one in numbers.items())
            return f'{family}({inside})'
        case Mapping():
            return ', '.join(f'{name} {one}' for name, one in value.items())
        case list() | tuple():
            whole = all(isinstance(one, int) for one in value)
            return (' x ' if whole else '; ').join(str(_cell(one)) for one in value)
        case float():
            return float(f'{value:.6g}')
        case int():
            return value
        case _:
            return ' '.join(str(value).split())
