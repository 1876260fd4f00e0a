"""What the command line does with a folder in which one image is faulty, or whose disk fails.

    python benchmarks/faults.py [--only WORDS] [--show]

Four small images, TIFF or OME-Zarr, are given to `denoise`, `apply`, `estimate` or `train`, each a
process of its own. One of the images is damaged before the start, or is changed or removed while
the command works; or the disk of the results is full, or read-only, when the result of that image
is to be written. Then this must be true:

* one line on standard error names the image and says what is wrong, and all other lines are notes
  of the program;
* the exit status is 1; 2 if the command refused to begin; 0 if the image can be read by the rules
  of its format, with a note;
* all other images are done, with the values, bit for bit, of a run without a fault;
* nothing else is there: no temporary file, no part of a result; and the table of the results
  states what became of each image.

Chunks of an OME-Zarr may be absent: by the rules of Zarr they have the fill value. That is a note.
It is an error if no chunk is there, or if the image states that it is a result of this program,
which stores all chunks.

Exit status 1 if anything is different. The kernel says (fanotify) when the command reads a file,
and lets it wait until the file is changed; the disks are small tmpfs mounts. Both need root on
Linux. Without it, the rows that need it are named as not tried, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from faulty_runs import Run, disk, fill, is_root, remount
from numpy.typing import NDArray

from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.score.model_header import header_of

PROGRAM = 'napari-noise2score'
TIFF, ZARR = '.tif', '.ome.zarr'
STEMS = tuple(f'cells-{number}' for number in range(1, 5))
FAULTY = STEMS[2]
OTHERS = tuple(stem for stem in STEMS if stem != FAULTY)
WRITERS = ('denoise', 'apply')
READERS = ('denoise', 'apply', 'estimate')
ABOUT_ALL = re.compile(rf'{PROGRAM}: (\d+ of \d+ images |.*: a folder of \d+ files)')
DISK_BYTES = 4 << 20
NEARLY = 1 << 13
"""Bytes that are left of a disk that is nearly full; a result needs more."""


@dataclass(frozen=True, slots=True)
class Case:
    """The files of a run."""

    folder: Path
    suffix: str

    @property
    def images(self) -> Path:
        return self.folder / 'in'

    @property
    def disk(self) -> Path:
        return self.folder / 'disk'

    @property
    def out(self) -> Path:
        return self.disk / 'out'

    @property
    def faulty(self) -> Path:
        return self.images / f'{FAULTY}{self.suffix}'

    @property
    def data(self) -> Path:
        """The file of the faulty image in which its values are, or half of them."""
        inner = () if self.suffix == TIFF else ('0', 'c', '1', '0', '0')
        return self.faulty.joinpath(*inner)


Action = Callable[[Case], object]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and what has to come of it.

    Attributes
    ----------
    name : str
        Name for the table.
    words : str
        Pattern of the line on the fault.
    suffixes, commands : tuple of str
        What it is tried with.
    before : callable, optional
        Happens before the start.
    meanwhile : callable, optional
        Happens after ``done`` images are done; with ``reading``, when the data of the faulty image
        are read after that.
    end : callable, optional
        Happens when the line on the fault has come.
    status : int
        Exit status.
    lost : tuple of str
        Images that have no result.
    table : bool
        Whether the table can be completed.
    """

    name: str
    words: str
    suffixes: tuple[str, ...] = (TIFF, ZARR)
    commands: tuple[str, ...] = READERS
    before: Action | None = None
    meanwhile: Action | None = None
    end: Action | None = None
    done: int = 1
    reading: bool = False
    on_disk: bool = False
    status: int = 1
    lost: tuple[str, ...] = (FAULTY,)
    table: bool = True


def write_input(path: Path, frames: NDArray[np.uint16]) -> None:
    """A TIFF of two pages, or an OME-Zarr with a chunk for each frame."""
    if path.suffix == TIFF:
        metadata = {'axes': 'TYX'}
        tifffile.imwrite(path, frames, photometric='minisblack', metadata=metadata)
        return
    kinds = {'t': 'time', 'y': 'space', 'x': 'space'}
    scale = {'type': 'scale', 'scale': [1.0, 0.1, 0.1]}
    multiscale = {
        'axes': [{'name': name, 'type': kind} for name, kind in kinds.items()],
        'datasets': [{'path': '0', 'coordinateTransformations': [scale]}],
    }
    ome = {'version': '0.5', 'multiscales': [multiscale]}
    group = zarr.create_group(path, zarr_format=3, attributes={'ome': ome})
    array = group.create_array(
        '0', shape=frames.shape, dtype=frames.dtype, chunks=(1, *frames.shape[1:])
    )
    array[...] = frames


def cut(case: Case) -> None:
    os.truncate(case.data, case.data.stat().st_size * 2 // 3)


def scramble(case: Case) -> None:
    """Other bytes near the beginning: the tags of a TIFF, the values of a chunk."""
    content = bytearray(case.data.read_bytes())
    content[8:200] = np.random.default_rng(1).bytes(192)
    case.data.write_bytes(content)


def change(case: Case) -> None:
    """As by a program that still writes: of the same size, with other values."""
    with case.data.open('r+b') as file:
        file.seek(-16, os.SEEK_END)
        file.write(b'another program!')


def remove(case: Case) -> None:
    if case.suffix == TIFF:
        case.faulty.unlink()
    else:
        shutil.rmtree(case.faulty)


def remove_chunk(case: Case) -> None:
    case.data.unlink()


def remove_chunks(case: Case) -> None:
    shutil.rmtree(case.faulty / '0' / 'c')


def incomplete_result(case: Case) -> None:
    """An image that states that it is a result of this program, without one of its chunks."""
    path = case.faulty / 'zarr.json'
    metadata = json.loads(path.read_text())
    metadata['attributes']['noise2score'] = {'source': 'cells'}
    path.write_text(json.dumps(metadata))
    case.data.unlink()


def damage_metadata(case: Case) -> None:
    path = case.faulty / '0' / 'zarr.json'
    path.write_text(path.read_text().replace('"uint16"', '"unit16"'))


def fill_disk(case: Case, left: int = 0) -> None:
    fill(case.disk, left)


def empty_disk(case: Case) -> None:
    (case.disk / 'filler').unlink(missing_ok=True)


def protect(case: Case) -> None:
    """Mount read-only; that has to wait while a file is open for writing."""
    until = time.monotonic() + 10
    while not remount(case.disk, 'ro') and time.monotonic() < until:
        time.sleep(0.01)


SPACE = 'not enough disk space'
FAULTS = (
    Fault(
        *('cut short', 'cut short|cannot be read; it is damaged'),
        commands=('denoise', 'estimate', 'train'),
        before=cut,
    ),
    Fault(
        *('scrambled', 'not a readable TIFF|cannot be read; it is damaged'),
        commands=('denoise',),
        before=scramble,
    ),
    Fault(
        *('removed before its turn', 'no such (file|folder)'),
        commands=('apply', 'estimate'),
        meanwhile=remove,
    ),
    Fault('changed before its turn', 'was changed', commands=WRITERS, meanwhile=change),
    Fault('changed while read', 'was changed while it was read', meanwhile=change, reading=True),
    Fault(
        *('cut while read', 'was changed while it was read'),
        commands=('denoise', 'estimate'),
        meanwhile=cut,
        reading=True,
    ),
    Fault('removed while read', 'was removed', meanwhile=remove, reading=True),
    Fault(
        *('a chunk absent', "1 of the 2 chunks of its array '0' are not stored"),
        suffixes=(ZARR,),
        commands=('denoise', 'estimate'),
        before=remove_chunk,
        status=0,
        lost=(),
    ),
    Fault(
        *('a chunk of a result absent', 'a result of this program has all chunks'),
        suffixes=(ZARR,),
        commands=('denoise', 'train'),
        before=incomplete_result,
    ),
    Fault(
        *('a chunk removed while read', 'was removed'),
        suffixes=(ZARR,),
        commands=('apply', 'estimate'),
        meanwhile=remove_chunk,
        reading=True,
    ),
    Fault(
        *('all chunks absent', 'none of the 2 chunks'),
        suffixes=(ZARR,),
        commands=('denoise',),
        before=remove_chunks,
    ),
    Fault(
        *('metadata damaged', 'cannot be read; it is damaged'),
        suffixes=(ZARR,),
        commands=('denoise',),
        before=damage_metadata,
    ),
    Fault(
        *('disk full for a moment', SPACE),
        commands=WRITERS,
        meanwhile=partial(fill_disk, left=NEARLY),
        end=empty_disk,
        done=2,
        on_disk=True,
    ),
    Fault(
        *('disk full to the end', SPACE),
        commands=('denoise',),
        meanwhile=fill_disk,
        done=2,
        on_disk=True,
        lost=STEMS[2:],
        table=False,
    ),
    Fault(
        *('disk read-only to the end', '[Rr]ead-only file system'),
        commands=('denoise',),
        meanwhile=protect,
        done=2,
        on_disk=True,
        lost=STEMS[2:],
        table=False,
    ),
    Fault(
        *('disk full from the start', f'{SPACE}|No space left'),
        commands=('denoise', 'train'),
        suffixes=(TIFF,),
        before=fill_disk,
        on_disk=True,
        status=2,
        lost=STEMS,
    ),
    Fault(
        *('disk read-only from the start', 'read-only file system'),
        commands=('denoise', 'train'),
        suffixes=(TIFF,),
        before=protect,
        on_disk=True,
        status=2,
        lost=STEMS,
    ),
)


class Bench:
    """Runs commands on four images each.

    Parameters
    ----------
    folder : Path
        Where all files are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        frames = synthetic_stack('puncta', frames=2 * len(STEMS), size=48, seed=1).noisy
        self._frames = np.asarray(frames, np.uint16).reshape(len(STEMS), 2, 48, 48)
        self._expected: dict[tuple[str, str], dict[str, Any]] = {}
        self._model = folder / 'model.safetensors'
        write_input(folder / 'image.tif', self._frames[0])
        words = ['train', str(folder / 'image.tif'), '--model', str(self._model)]
        subprocess.run([PROGRAM, *words, '--seconds', '0', '--device', 'cpu'], check=True)

    def expected(self, command: str, suffix: str) -> dict[str, Any]:
        """What a command without a fault makes of each image."""
        key = command, suffix
        if key not in self._expected:
            case = self._case(f'{command}{len(self._expected)}', suffix)
            run = Run()
            run.run(self._call(command, case))
            self._expected[key] = results(command, run, case)
            if run.status or self._expected[key].keys() != set(STEMS):
                raise SystemExit('\n'.join(run.err))
        return self._expected[key]

    def try_out(self, fault: Fault, command: str, suffix: str, number: int) -> tuple[str, Run]:
        """Run a command with a fault; what is not as it must be, in words."""
        expected = self.expected(command, suffix)
        case = self._case(str(number), suffix)
        with disk(case.disk, DISK_BYTES) if fault.on_disk else nullcontext():
            if fault.before is not None:
                fault.before(case)
            run = Run(
                None if fault.meanwhile is None else partial(fault.meanwhile, case),
                partial(is_done, STEMS[fault.done - 1]),
                case.data if fault.reading else None,
                None if fault.end is None else partial(fault.end, case),
                lambda line: FAULTY in line,
            )
            run.run(self._call(command, case))
            wrong = '; '.join(deviations(command, fault, run, case, expected))
        shutil.rmtree(case.folder)
        return wrong, run

    def _case(self, name: str, suffix: str) -> Case:
        case = Case(self._folder / name, suffix)
        case.images.mkdir(parents=True)
        for stem, frames in zip(STEMS, self._frames, strict=True):
            write_input(case.images / f'{stem}{suffix}', frames)
        return case

    def _call(self, command: str, case: Case) -> list[str]:
        """The words of a command."""
        words = [PROGRAM, command, *([str(self._model)] if command == 'apply' else [])]
        words.append(str(case.images))
        if command in WRITERS:
            words += ['--output', f'{case.out}{os.sep}']
        if command == 'denoise':
            words += ['--model-per', 'image']
        if command == 'train':
            words += ['--model', str(case.out / 'model.safetensors')]
        if command in ('denoise', 'train'):
            words += ['--seconds', '0']
        return [*words, '--device', 'cpu']


def is_done(stem: str, line: str) -> bool:
    """Whether a line is the one that comes when an image is done."""
    return stem in line and ('done in' in line or line.rstrip().endswith(':'))


def results(command: str, run: Run, case: Case) -> dict[str, Any]:
    """What came out for each image, in a form that can be compared."""
    if command == 'estimate':
        return dict(estimates(run.out))
    if command == 'train':
        settings = (header_of(case.out / 'model.safetensors') or {}).get('settings', '{}')
        origins = json.loads(settings).get('data', {}).get('origin', [])
        stated = zip(STEMS, (one['input_crc32'] for one in origins), strict=bool(origins))
        return {stem: crc32 for stem, crc32 in stated if crc32}
    paths = {stem: case.out / f'{stem}{case.suffix}' for stem in STEMS}
    return {stem: pixels(path) for stem, path in paths.items() if path.exists()}


def estimates(lines: list[str]) -> dict[str, list[str]]:
    """The lines on each image that `estimate` prints."""
    found: dict[str, list[str]] = {}
    for line in lines:
        stem = next((stem for stem in STEMS if is_done(stem, line)), None)
        if stem is not None:
            found[stem] = []
        elif found:
            found[next(reversed(found))].append(line)
    return found


def pixels(path: Path) -> NDArray[Any]:
    """All grey levels of a result."""
    if path.suffix == TIFF:
        return np.asarray(tifffile.imread(path))
    return np.asarray(zarr.open_group(path, mode='r')['0'][...])


def deviations(
    command: str, fault: Fault, run: Run, case: Case, expected: dict[str, Any]
) -> Iterator[str]:
    """What is not as it must be, in words."""
    if fault.meanwhile is not None and not run.happened:
        yield 'the fault did not happen'
    if run.status != fault.status:
        yield f'exit status {run.status} instead of {fault.status}'
    foreign = [line for line in run.err if not line.startswith(f'{PROGRAM}: ')]
    if foreign:
        yield f'{len(foreign)} lines that are no notes, such as {foreign[-1]!r}'
    lines = [line for line in run.err if not ABOUT_ALL.match(line)]
    faulty = ('',) if fault.lost == STEMS else fault.lost or (FAULTY,)
    for stem in faulty:
        mine = [line for line in lines if stem in line]
        told = [line for line in mine if re.search(fault.words, line)]
        if len(told) != 1 or (fault.lost and len(mine) > 1):
            yield f'{len(told)} lines on {stem or "the fault"} among {mine}'
    if len(set(lines)) < len(lines):
        yield f'a line comes twice: {lines}'
    found = results(command, run, case)
    wanted = set(STEMS) - set(fault.lost)
    if found.keys() != wanted:
        yield f'results of {sorted(found)} instead of {sorted(wanted)}'
    other = [
        stem
        for stem in OTHERS
        if stem in found and not np.array_equal(found[stem], expected[stem])
    ]
    if other:
        yield f'other values of {other}'
    yield from left_over(command, fault, case)


def left_over(command: str, fault: Fault, case: Case) -> Iterator[str]:
    """Files that are too many or missing, and a table that states something else."""
    out, done = case.out, [stem for stem in STEMS if stem not in fault.lost]
    wanted = set[str]()
    if command in WRITERS and done:
        wanted = {f'{stem}{case.suffix}' for stem in done} | {'denoised.csv', 'denoised.json'}
    elif command == 'train' and done:
        wanted = {'model.safetensors'}
    there = {path.name for path in out.iterdir()} if out.exists() else set[str]()
    hidden = {path.name for path in case.folder.rglob('.*')}
    if there != wanted or hidden:
        yield f'left over {sorted(there - wanted | hidden)}, missing {sorted(wanted - there)}'
    if 'denoised.csv' in there and fault.table:
        with (out / 'denoised.csv').open(newline='') as stream:
            rows = {Path(row['input']).name: row['status'] for row in csv.DictReader(stream)}
        states = {stem: 'failed' if stem in fault.lost else 'done' for stem in STEMS}
        if rows != {f'{stem}{case.suffix}': state for stem, state in states.items()}:
            yield f'the table states {rows}'


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--only', default='', help='only rows with these words in their name')
    parser.add_argument('--show', action='store_true', help='show the line on each fault')
    options = parser.parse_args()
    rows = [
        (f'{fault.name} | {suffix} | {command}', fault, suffix, command)
        for fault in FAULTS
        for suffix in fault.suffixes
        for command in fault.commands
    ]
    rows = [row for row in rows if options.only in row[0]]
    begin, wrong, untried = time.perf_counter(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for number, (title, fault, suffix, command) in enumerate(rows):
            if (fault.on_disk or fault.reading) and not is_root():
                print(f'{title:50} NOT TRIED: needs root', flush=True)
                untried += 1
                continue
            words, run = bench.try_out(fault, command, suffix, number)
            wrong += bool(words)
            print(f'{title:50} {run.status}  {words or "right"}', flush=True)
            lines = [line for line in run.err if re.search(fault.words, line)]
            if options.show:
                print(*(f'    {line.removeprefix(PROGRAM)}' for line in lines), sep='\n')
    print(
        f'{len(rows) - untried} runs in {time.perf_counter() - begin:.0f} s, {wrong} wrong, '
        f'{untried} not tried'
    )
    raise SystemExit(1 if wrong or untried else 0)


if __name__ == '__main__':
    main()
