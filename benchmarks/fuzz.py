"""Damaged files of every reader: each is read, or refused by an error of the package.

    python benchmarks/fuzz.py --files 10000 [--only WORDS] [--seed 0]

Hypothesis (`pip install hypothesis`) draws what is done to small files: they are cut off, bits are
changed, blocks are swapped, numbers and texts are replaced, binary lengths are changed. The files
are TIFF (also of ImageJ and OME, and compressed ones), OME-Zarr 0.4 and 0.5 (metadata, chunks and
shards), PNG, NPY, models, states of trainings, tables, lists of parts, and settings of interrupted
runs. They are those of the tests (`tests/damage.py`).

Reading is done by a child process, which is watched from outside. A fault is: another exception
than those of `errors.py`, an error that is not one line with the name of the file, the end of the
process, more than 10 seconds, or more than 1 GB of memory. A fault is reduced by Hypothesis to the
smallest damage that gives it, printed, and left out after that, so that all are found in one run.
Exit status 1 if there is any.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.damage import Edit, Sample, Way, samples

LONGEST = 10.0
"""Seconds that the reading of a file may take."""
MOST_MEMORY = 1 << 30
"""Bytes that the process may need."""
_PLACES = st.integers(0, (1 << 40) - 1)

EDITS = st.lists(
    st.builds(Edit, st.sampled_from(Way), _PLACES, _PLACES, st.booleans()), min_size=1, max_size=4
)


class FaultError(AssertionError):
    """A file that is not read as it should be."""


def serve(line: Connection) -> None:
    """Read files until the other end is closed; answers what each gives, and the peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        number = 0
        while True:
            try:
                name, edits, which = line.recv()
            except EOFError:
                return
            number += 1
            sample = next(one for one in samples() if one.name == name)
            try:
                found = sample.outcome(edits, Path(folder, str(number)), which)
            except Exception as error:  # noqa: BLE001 (that is what is looked for)
                frames = traceback.extract_tb(error.__traceback__)
                own = [one for one in frames if 'napari_noise2score' in one.filename] or frames
                place = f'{Path(own[-1].filename).name}:{own[-1].lineno}'
                found = f'fault: {type(error).__name__} at {place}: {error}'
            kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            line.send((found, kilobytes << 10))


class Reader:
    """A child process that reads damaged files; a new one after it was ended."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context('fork')
        self._start()

    def _start(self) -> None:
        self._line, end = self._context.Pipe()
        self._process = self._context.Process(target=serve, args=(end,), daemon=True)
        self._process.start()
        end.close()

    def outcome(self, sample: Sample, edits: list[Edit], which: int) -> str:
        """What reading gives: ``'read'``, ``'refused'``, or what is wrong."""
        self._line.send((sample.name, edits, which))
        if not self._line.poll(LONGEST):
            return self._ended(f'fault: more than {LONGEST:g} s')
        try:
            found, memory = self._line.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            return self._ended(f'fault: the process ended with {self._process.exitcode}')
        if memory > MOST_MEMORY:
            return self._ended(f'fault: {memory / 1e9:.1f} GB of memory')
        return str(found)

    def _ended(self, words: str) -> str:
        self._process.kill()
        self._process.join()
        self._start()
        return words


class Search:
    """Draws damages until so many files were read, and collects the faults.

    Parameters
    ----------
    chosen : list of Sample
        The files.
    """

    def __init__(self, chosen: list[Sample]) -> None:
        self._chosen, self._reader = chosen, Reader()
        self.outcomes: dict[str, Counter[str]] = {sample.name: Counter() for sample in chosen}
        self.faults: dict[tuple[str, str], str] = {}
        self._files = 0

    def run(self, files: int, number: int) -> None:
        """Read so many files, and those that reducing the faults takes."""
        while self._files < files:
            number += 1
            draws = given(st.sampled_from(range(len(self._chosen))), EDITS, _PLACES)(self._check)
            phases = [Phase.generate, Phase.shrink]
            quiet = settings(
                max_examples=min(1000, files - self._files),
                deadline=None,
                database=None,
                phases=phases,
                suppress_health_check=list(HealthCheck),
                verbosity=Verbosity.quiet,
                report_multiple_bugs=False,
            )
            self._last = ''
            try:
                seed(number)(quiet(draws))()
            except FaultError as fault:
                name, words = fault.args
                self.faults[name, _kind(words)] = words
                print(f'{name}: {words}\n    {self._last}', flush=True)

    def _check(self, index: int, edits: list[Edit], which: int) -> None:
        sample = self._chosen[index]
        self._files += 1
        found = self._reader.outcome(sample, edits, which)
        if not found.startswith('fault'):
            self.outcomes[sample.name][found] += 1
        elif (sample.name, _kind(found)) not in self.faults:
            self._last = f'{edits}, file {which % len(sample.files)}'
            raise FaultError(sample.name, found)

    @property
    def files(self) -> int:
        """Number of files that were read."""
        return self._files


def _kind(words: str) -> str:
    """A fault without the values that differ from file to file."""
    return ':'.join(words.split(':')[:3]) if ' at ' in words else words[:20]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--files', type=int, default=1000)
    parser.add_argument('--only', default='', help='only files with this in their name')
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    begin = time.perf_counter()
    search = Search([sample for sample in samples() if options.only in sample.name])
    search.run(options.files, options.seed)
    for name, counted in search.outcomes.items():
        print(f'{name:20} {counted["read"]:6} read {counted["refused"]:6} refused')
    seconds = time.perf_counter() - begin
    print(f'{search.files} files in {seconds:.0f} s, {len(search.faults)} faults')
    raise SystemExit(1 if search.faults else 0)


if __name__ == '__main__':
    main()
