"""Ours beside others on movies with known truth, in one run on one machine.

    python movie_bench.py --write MOVIES             # NAME.tif and NAME_truth.npy, (T, Y, X)
    python benchmarks/quality/movies.py MOVIES --output movies.md
    python benchmarks/quality/movies.py MOVIES --methods ours,context --keep CLEAN

Others: the mean of the 8 frames before and after a frame without the frame itself, and `ndsafir`
(Boulanger et al., IEEE TMI 2010), which is given our noise estimate. Everyone sees the movie
alone.

PSNR in dB, range from the 0.1st to the 99.9th percentile of the truth. For each event of a single
frame that the truth has: the share of its height that is kept in its frame, by its height in noise
standard deviations, and the share that appears in the frames beside it (leak).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import classical
import numpy as np
import tifffile
from numpy.typing import NDArray
from results import Record, Results, add_run_options, mean, settings_of, table, train_settings
from scipy import ndimage

from napari_noise2score import DenoiseSettings, TrainSettings, denoise

Movie = NDArray[np.float64]
Method = Callable[[NDArray[np.uint16], TrainSettings], NDArray[np.float32]]

WINDOW = 8
"""Frames before and after a frame in the mean of the others."""
HEIGHTS = 1, 2, 3
"""Classes of the height of events, noise standard deviations."""


def ours(context: str) -> Method:
    """This project, all other settings automatic."""

    def clean(noisy: NDArray[np.uint16], training: TrainSettings) -> NDArray[np.float32]:
        return denoise(noisy, 'TYX', DenoiseSettings(training=training, context=context)).image

    return clean


def mean_of_others(noisy: NDArray[np.uint16], training: TrainSettings) -> NDArray[np.float32]:
    """Mean of the frames around a frame, without the frame itself."""
    frames = noisy.astype(np.float64)
    near = [
        np.delete(frames[max(0, t - WINDOW) : t + WINDOW + 1], min(t, WINDOW), axis=0).mean(0)
        for t in range(len(frames))
    ]
    return np.stack(near).astype(np.float32)


def nd_safir(noisy: NDArray[np.uint16], training: TrainSettings) -> NDArray[np.float32]:
    """The package ndsafir in space and time, with our noise estimate."""
    return classical.ndsafir(noisy)


METHODS: dict[str, tuple[str, Method]] = {
    'ours': ('ours, each frame alone', ours('none')),
    'context': ('ours, with the other frames', ours('auto')),
    'mean': ('mean of the others', mean_of_others),
    'ndsafir': ('ndsafir', nd_safir),
}


def movies(folder: Path) -> Iterator[tuple[str, NDArray[np.uint16], Movie]]:
    """Name, noisy movie and truth of every NAME.tif with a NAME_truth.npy, (T, Y, X)."""
    for file in sorted(folder.glob('*.tif')):
        truth = file.with_name(f'{file.stem}_truth.npy')
        if truth.exists():
            yield file.stem, tifffile.imread(file), np.load(truth).astype(np.float64)


def psnr(clean: Movie, truth: Movie) -> float:
    low, high = np.percentile(truth, [0.1, 99.9])
    return float(10 * np.log10((high - low) ** 2 / np.mean((clean - truth) ** 2)))


def events(clean: Movie, noisy: Movie, truth: Movie) -> Record:
    """What is kept of events of a single frame, by their height, and their leak."""
    found: dict[str, list[float]] = {}
    added = truth - np.median(truth, axis=0)
    labels, _ = ndimage.label(added > 0.25 * np.abs(noisy - truth).std())
    for place in ndimage.find_objects(labels):
        time_, *area = place
        at = time_.start
        if time_.stop - at > 1 or not 0 < at < len(truth) - 1:
            continue
        box = (slice(None), *area)
        height = added[at][tuple(area)].mean()
        strength = round(height / (noisy - truth)[box].std())
        lost = (clean - truth)[box].mean((1, 2))
        lost -= np.median(lost)
        if strength in HEIGHTS:
            found.setdefault(f'kept {strength}', []).append(1 + lost[at] / height)
            found.setdefault('leak', []).append((lost[at - 1] + lost[at + 1]) / 2 / height)
    return {name: float(np.mean(values)) for name, values in found.items()}


def render(records: Sequence[Record]) -> str:
    """Methods down, movies across; then the events."""
    names = list(dict.fromkeys(one['movie'] for one in records))
    methods = list(dict.fromkeys(one['method'] for one in records))
    columns = [*(f'kept {height}' for height in HEIGHTS), 'leak']
    quality, kept = [], []
    for method in methods:
        of = {one['movie']: one for one in records if one['method'] == method}
        cells = [of.get(name, {}).get('psnr') for name in names]
        seconds = mean(one.get('wall_seconds') for one in of.values())
        quality.append([method, *cells, mean(one.get('psnr') for one in of.values()), seconds])
        kept += [
            [method, name, *(one.get(column) for column in columns)]
            for name, one in of.items()
            if 'leak' in one
        ]
    text = 'PSNR in dB, range of the truth; wall seconds of a movie.\n\n'
    text += table(['method', *names, 'mean, dB', 'mean wall s'], quality)
    if kept:
        text += (
            '\n\nEvents of a single frame: share of their height that is kept, by their height '
        )
        text += 'in noise standard deviations, and share in the frames beside.\n\n'
        text += table(['method', 'movie', *columns], kept)
    missing = dict.fromkeys(f'* {r["method"]}: {r["missing"]}' for r in records if 'missing' in r)
    return text + ('\n\n' + '\n'.join(missing) if missing else '')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path)
    parser.add_argument('--methods', default=','.join(METHODS), help='comma-separated')
    parser.add_argument('--keep', type=Path, help='write results to KEEP/METHOD/NAME.tif')
    add_run_options(parser)
    options = parser.parse_args()
    chosen = options.methods.split(',')
    if unknown := set(chosen) - set(METHODS):
        parser.error(f'--methods {", ".join(sorted(unknown))}: known are {", ".join(METHODS)}')
    training = train_settings(options)
    results = Results(render, settings_of(options), options.device, options.output)
    for name, noisy, truth in movies(options.folder):
        raw = noisy.astype(np.float64)
        results.add({'movie': name, 'method': 'noisy', 'psnr': psnr(raw, truth)})
        for key in chosen:
            label, method = METHODS[key]
            record: Record = {'movie': name, 'method': label}
            if key == 'ndsafir':
                if find_spec('ndsafir') is None:
                    results.add({**record, 'missing': 'not installed: pip install ndsafir'})
                    continue
                record['version'] = metadata.version('ndsafir')
            begin = time.perf_counter()
            clean = method(noisy, training)
            record['wall_seconds'] = time.perf_counter() - begin
            if options.keep:
                (options.keep / key).mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(options.keep / key / f'{name}.tif', clean)
            clean = clean.astype(np.float64)
            record['psnr'] = psnr(clean, truth)
            results.add(record | events(clean, raw, truth))
    results.show()


if __name__ == '__main__':
    main()
