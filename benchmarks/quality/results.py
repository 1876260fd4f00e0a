"""What a benchmark found: a Markdown table for people, JSON for machines.

Both files are written anew after every record, so that a long run that is cut short leaves what
it has measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from napari_noise2score.files import written_whole
from napari_noise2score.pipeline.record import versions
from napari_noise2score.settings import TrainSettings

Record = dict[str, Any]
PEERS = ('scikit-image', 'bm3d', 'bmnd', 'PyWavelets', 'careamics', 'ndsafir')


class Results:
    """Collects records and keeps the files up to date.

    Parameters
    ----------
    render : callable
        Markdown of the records, without the line about settings, which is added.
    settings : mapping
        What the run was told, for both files.
    device : str
        What it was told to run on.
    output : Path, optional
        The Markdown file; the JSON file goes beside it. A ``.json`` is written alone, and nothing
        without a path.
    """

    def __init__(
        self,
        render: Callable[[Sequence[Record]], str],
        settings: Mapping[str, Any],
        device: str,
        output: Path | None = None,
    ) -> None:
        self._render = render
        self._output = output
        self._begin = time.perf_counter()
        self._facts: Record = {
            'command': shlex.join(['python', *map(_from_here, sys.argv)]),
            'date': time.strftime('%Y-%m-%d'),
            'settings': {key: _plain(value) for key, value in settings.items()},
            'machine': machine(device),
            'versions': all_versions(),
        }
        self.records: list[Record] = []
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)

    def add(self, record: Record) -> None:
        """Take a record in, say so on stderr, and write the files."""
        self.records.append(record)
        said = (f'{k} {_short(v)}' for k, v in record.items() if not isinstance(v, (dict, list)))
        print(', '.join(said), file=sys.stderr)
        self._write()

    def keep(self, records: Iterable[Record]) -> None:
        """Take over records of an earlier run."""
        self.records += records

    @property
    def run(self) -> Record:
        """Command, date and version, for records that are put together from several runs."""
        found = {key: self._facts[key] for key in ('command', 'date')}
        return {**found, 'version': self._facts['versions']['source']}

    def markdown(self) -> str:
        """Tables and the line about settings."""
        return markdown_of(self._all(), self._render)

    def show(self) -> None:
        """Print the Markdown."""
        self._write()
        print(self.markdown())

    def _all(self) -> Record:
        """What the JSON file has."""
        seconds = round(time.perf_counter() - self._begin)
        return {**self._facts, 'seconds': seconds, 'records': self.records}

    def _write(self) -> None:
        if self._output is None:
            return
        record = self._all()
        if self._output != json_beside(self._output):
            with written_whole(self._output) as part:
                part.write_text(markdown_of(record, self._render), encoding='utf-8')
        with written_whole(json_beside(self._output)) as part:
            part.write_text(json.dumps(record, indent=1, default=_plain) + '\n', encoding='utf-8')


def markdown_of(found: Record, render: Callable[[Sequence[Record]], str]) -> str:
    """The Markdown file, from what the JSON file has."""
    about = f'`{found["command"]}`, {found["date"]}, {found["machine"]["name"]}, version '
    about += f'{found["versions"]["source"]}, {found["seconds"]} s in all.'
    return f'{render(found["records"])}\n\n{about}\n'


def json_beside(output: Path) -> Path:
    """Where the JSON of a Markdown file lies."""
    return output.with_suffix('.json')


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; numbers keep two decimals, None is an empty cell."""
    lines = [columns, ['---'] * len(columns), *([cell(value) for value in row] for row in rows)]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def cell(value: Any, digits: int = 2) -> str:
    """Text of one cell."""
    if value is None:
        return ''
    if isinstance(value, float):
        return f'{value:.{digits}f}'
    return str(value).replace('|', '\\|')


def mean(values: Iterable[Any]) -> float | None:
    """Mean of numbers; None if one of them is missing or is no number, or there are none."""
    found = list(values)
    if not found or not all(isinstance(value, (int, float)) for value in found):
        return None
    return float(sum(found)) / len(found)


def machine(device: str) -> Record:
    """What the run is on."""
    where = torch.cuda.get_device_name() if _uses_cuda(device) else f'{os.cpu_count()} CPU cores'
    return {
        'name': where,
        'device': device,
        'cores': os.cpu_count(),
        'threads': torch.get_num_threads(),
        'system': f'{platform.system()} {platform.machine()}',
    }


def _uses_cuda(device: str) -> bool:
    return device in ('auto', 'cuda') and torch.cuda.is_available()


def all_versions() -> dict[str, str]:
    """Versions of this project, of what it needs and of the peers that are installed."""
    found = {'source': _source_version(), **versions()}
    for name in PEERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = 'not installed'
    return found


def _source_version() -> str:
    """Commit of the source, or the version of the package where there is no repository."""
    run = subprocess.run(
        ['git', 'describe', '--always', '--dirty', '--exclude=*'],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    return run.stdout.strip() or versions()['napari-noise2score']


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options of a benchmark that trains."""
    parser.add_argument('--seconds', type=float, help='training time (60 without --steps)')
    parser.add_argument('--steps', type=int, help='gradient steps; alone, there is no time limit')
    parser.add_argument('--device', default='cpu', choices=('auto', 'cpu', 'cuda', 'mps'))
    parser.add_argument('--seed', type=int, default=0)
    add_output(parser)


def add_output(parser: argparse.ArgumentParser) -> None:
    """The option that every benchmark has."""
    parser.add_argument(
        '--output', type=Path, help='Markdown file, with a JSON file beside it; or a .json alone'
    )


def train_settings(options: argparse.Namespace) -> TrainSettings:
    """Training that the options ask for."""
    return TrainSettings(
        seconds=60.0 if options.seconds is None and options.steps is None else options.seconds,
        steps=options.steps,
        device=options.device,
        seed=options.seed,
    )


def settings_of(options: argparse.Namespace) -> Record:
    """The options of a run as plain values."""
    return {key: _plain(value) for key, value in vars(options).items() if key != 'output'}


def _plain(value: Any) -> Any:
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return _from_here(str(value))


def _short(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)


def _from_here(argument: str) -> str:
    """A path without the place it has on this machine."""
    path = Path(argument)
    if not path.is_absolute():
        return argument
    root = Path(__file__).resolve().parents[2]
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name
