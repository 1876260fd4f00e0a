"""Ours beside others on movies with known truth, in one run on one machine.

    python movie_bench.py --write MOVIES             # NAME.tif and NAME_truth.npy, (T, Y, X)
    python benchmarks/quality/movies.py MOVIES --output movies.md
    python benchmarks/quality/movies.py MOVIES --methods ours,context --keep CLEAN

Others: the mean of the 8 frames before and after a frame without the frame itself, and `ndsafir`
(Boulanger et al., IEEE TMI 2010), which is given our noise estimate. Everyone sees the movie
alone.

PSNR in dB, range from the 0.1st to the 99.9th percentile of the truth. Of the events that the
truth has, by their height in noise standard deviations: the share of it that is kept, in the one
frame of a flash or the five brightest frames of a slow one, and of flashes the share that appears
in the frames beside (leak).
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
SLOW = 5
"""Frames of a slow event that count."""
KEPT = [*(f'kept {height}' for height in HEIGHTS), *(f'slow {h}' for h in HEIGHTS[:2]), 'leak']


def ours(context: str, axes: str = 'TYX') -> Method:
    """This project, all other settings automatic."""

    def clean(noisy: NDArray[np.uint16], training: TrainSettings) -> NDArray[np.float32]:
        return denoise(noisy, axes, DenoiseSettings(training=training, context=context)).image

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
    'context': ('ours, sees the other frames', ours('time')),
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
    """What is kept of events, by their height, and the leak of flashes."""
    found: dict[str, list[float]] = {}
    added = truth - np.median(truth, axis=0)
    labels, _ = ndimage.label(added > 0.25 * np.abs(noisy - truth).std())
    for place in ndimage.find_objects(labels):
        time_, *area = place
        at, slow = time_.start, time_.stop - time_.start > 1
        if not 0 < at < len(truth) - (SLOW if slow else 1):
            continue
        box = (slice(None), *area)
        heights = added[box].mean((1, 2))
        strength = round(heights[at] / (noisy - truth)[box].std())
        lost = (clean - truth)[box].mean((1, 2))
        lost -= np.median(lost)
        frames = slice(at, at + (SLOW if slow else 1))
        name = f'{"slow" if slow else "kept"} {strength}'
        if name not in KEPT:
            continue
        kept = 1 + lost[frames].sum() / heights[frames].sum()
        found.setdefault(name, []).append(kept)
        if not slow:
            leak = (lost[at - 1] + lost[at + 1]) / 2 / heights[at]
            found.setdefault('leak', []).append(leak)
    return {name: float(np.mean(values)) for name, values in found.items()}


def render(records: Sequence[Record]) -> str:
    """Movies down, methods across; then the events."""
    of = {(one['movie'], one['method']): one for one in records}
    names = list(dict.fromkeys(movie for movie, _ in of))
    methods = list(dict.fromkeys(method for _, method in of))

    def row(label: str, key: str, of_names: Sequence[str]) -> list[object]:
        cells = [[of.get((name, method), {}).get(key) for name in of_names] for method in methods]
        return [label, *map(mean, cells)]

    rows = [row(name, 'psnr', [name]) for name in names]
    if len(names) > 1:
        rows.append(row('mean', 'psnr', names))
    rows.append(row('wall seconds of a movie', 'wall_seconds', names))
    text = 'PSNR in dB, range of the truth.\n\n' + table(['movie', *methods], rows)
    kept = [
        [name, method, *(of[name, method].get(column) for column in KEPT)]
        for name in names
        for method in methods
        if 'kept 3' in of.get((name, method), {})  # else movement was taken for events
    ]
    if kept:
        text += (
            '\n\nEvents: share of their height that is kept, by their height in noise standard '
            'deviations, and share of flashes in the frames beside.\n\n'
        )
        text += table(['movie', 'method', *KEPT], kept)
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
