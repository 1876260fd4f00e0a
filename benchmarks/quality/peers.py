"""Ours beside other denoisers, on the same stacks, in the same run, on the same machine.

    python benchmarks/quality/peers.py FOLDER --seconds 60
    python benchmarks/quality/peers.py FOLDER --without n2v,bm3d
    python benchmarks/quality/peers.py FOLDER --captures 1

FOLDER holds NAME.tif (T, Y, X) beside NAME_gt.tif (Y, X), 8 bit. Everyone sees the noisy stack
and nothing else; ours and Noise2Void train on it for the same time. BM3D, non-local means and
wavelets work in the unit-noise coordinate of our noise estimate; BMND, for Poisson noise, is given
photons by the same estimate, and ndsafir the line of the variance. All see each frame alone,
except where it is said.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import classical
import numpy as np
from noise2void import OLDEST, noise2void
from numpy.typing import NDArray
from packaging.version import Version
from results import Record, Results, add_run_options, mean, settings_of, table, train_settings
from scores import psnr, ssim, stacks

from napari_noise2score import DenoiseSettings, TrainSettings, denoise

Noisy = NDArray[np.uint8]
Clean = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Peer:
    """A denoiser to compare with.

    Attributes
    ----------
    label : str
        Its name in the table.
    clean : callable
        Clean stack (T, Y, X) and the gradient steps it made, of a noisy stack.
    module, package : str
        What it needs to be installed: the module and the name for pip.
    oldest : str
        Oldest version of the package that it works with.
    """

    label: str
    clean: Callable[[Noisy, TrainSettings], tuple[Clean, int | None]]
    module: str = 'napari_noise2score'
    package: str = 'napari-noise2score'
    oldest: str = '0'

    @property
    def missing(self) -> str | None:
        """What to do before it can run; None if it can."""
        if find_spec(self.module) is None:
            return f'not installed: pip install {self.package}'
        found = metadata.version(self.package)
        if Version(found) < Version(self.oldest):
            return f'{self.package} is {found}: pip install "{self.package}>={self.oldest}"'
        return None


def ours(
    context: str, *, trains: bool = True, init: str = 'warm'
) -> Callable[[Noisy, TrainSettings], tuple[Clean, int]]:
    """This project, all other settings automatic."""

    def clean(noisy: Noisy, training: TrainSettings) -> tuple[Clean, int]:
        training = training if trains else replace(training, seconds=0.0, steps=None)
        settings = DenoiseSettings(training=replace(training, init=init), context=context)
        result = denoise(noisy, 'TYX', settings)
        return result.image, result.model.training['steps_done']

    return clean


def untrained(
    clean: Callable[[Noisy], Clean],
) -> Callable[[Noisy, TrainSettings], tuple[Clean, None]]:
    """A denoiser without training, called like the others."""
    return lambda noisy, training: (clean(noisy), None)


PEERS = {
    'pretrained': Peer('ours, pretrained weights', ours('none', trains=False)),
    'trained': Peer('ours, trained', ours('none')),
    'scratch': Peer('ours, trained from scratch', ours('none', init='scratch')),
    'context': Peer('ours, pretrained, sees the other frames', ours('time', trains=False)),
    'bm3d': Peer('VST + BM3D', untrained(classical.bm3d), 'bm3d', 'bm3d'),
    'nlm': Peer('VST + NLM', untrained(classical.non_local_means), 'pywt', 'PyWavelets'),
    'wavelets': Peer('VST + wavelets', untrained(classical.wavelets), 'pywt', 'PyWavelets'),
    'ndsafir': Peer(
        'ndsafir, sees the other frames', untrained(classical.ndsafir), 'ndsafir', 'ndsafir'
    ),
    'bmnd': Peer('BMND', untrained(classical.bmnd), 'bmnd', 'bmnd'),
    'n2v': Peer('Noise2Void (CAREamics)', noise2void, 'careamics', 'careamics', OLDEST),
}


def measure(
    name: str, peer: Peer, noisy: Noisy, truth: NDArray[np.float64], training: TrainSettings
) -> Record:
    """Scores of a denoiser on a stack, or why there are none."""
    record: Record = {'stack': name, 'method': peer.label}
    if peer.missing is not None:
        return {**record, 'missing': peer.missing}
    begin = time.perf_counter()
    clean, steps = peer.clean(noisy, training)
    seconds = time.perf_counter() - begin
    scores = {'psnr': psnr(clean, truth), 'ssim': ssim(clean, truth)}
    return {**record, **scores, 'wall_seconds': seconds, 'steps': steps}


def render(records: Sequence[Record]) -> str:
    """Methods down, stacks across."""
    names = list(dict.fromkeys(one['stack'] for one in records))
    methods = list(dict.fromkeys(one['method'] for one in records))
    rows, notes = [], []
    for method in methods:
        of = {one['stack']: one for one in records if one['method'] == method}
        cells = [of.get(name, {}).get('psnr') for name in names]
        means = [
            mean(one.get(key) for one in of.values()) for key in ('psnr', 'ssim', 'wall_seconds')
        ]
        rows.append([method, *means, *cells])
        for name, one in of.items():
            if 'missing' in one:
                notes.append(f'* {method}, {name}: {one["missing"]}')
    head = ['method', 'mean, dB', 'mean SSIM', 'mean wall s', *names]
    text = (
        'PSNR in dB with a range of 255, clipped to 0..255, not rounded, mean over frames. Wall '
        'seconds are those of a stack, with training where there is one.\n\n'
    )
    return text + table(head, rows) + ('\n\n' + '\n'.join(notes) if notes else '')


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path)
    parser.add_argument('--types', default='all', help='comma-separated names, or all')
    parser.add_argument('--captures', type=int, help='first captures of a stack (default: all)')
    parser.add_argument(
        '--without', default='', help=f'comma-separated, to leave out: {", ".join(PEERS)}'
    )
    add_run_options(parser)
    options = parser.parse_args()
    options.without = [name for name in options.without.split(',') if name]
    unknown = set(options.without) - set(PEERS)
    if unknown:
        parser.error(f'--without {", ".join(sorted(unknown))}: known are {", ".join(PEERS)}')
    return options


def main() -> None:
    options = parse()
    training = train_settings(options)
    results = Results(render, settings_of(options), options.device, options.output)
    for name, captures, truth in stacks(options.folder, options.types):
        noisy = captures[: options.captures]
        noisy_scores = {'psnr': psnr(noisy, truth), 'ssim': ssim(noisy, truth)}
        results.add({'stack': name, 'method': 'noisy', **noisy_scores})
        for key, peer in PEERS.items():
            if key not in options.without:
                results.add(measure(name, peer, noisy, truth, training))
    results.show()


if __name__ == '__main__':
    main()
