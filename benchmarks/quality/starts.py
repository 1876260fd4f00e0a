"""What a training starts from: nothing, the shipped weights, others; before and after training.

    python benchmarks/quality/starts.py FOLDER --inits scratch,warm --seconds 0,60
    python benchmarks/quality/starts.py FOLDER --inits warm,natural.safetensors --seconds 0
    python benchmarks/quality/starts.py FOLDER --context auto

FOLDER is that of `fmd`; everything goes through the command line, each frame by itself unless a
context is given. An init is ``warm``, ``scratch``
or a file that ``napari-noise2score pretrain`` has written.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fmd import denoise
from results import Record, Results, add_output, mean, settings_of, table
from scores import psnr, stacks

from napari_noise2score.score.pretraining.weights import starting_model
from napari_noise2score.settings import Context, StartFrom


def weights(init: str) -> int | None:
    """Number of weights of a start; None for a network that begins with random ones."""
    model = starting_model(init)
    return None if model is None else sum(w.numel() for w in model.network.parameters())


def render(records: Sequence[Record]) -> str:
    """One row for each start and training time."""
    names = list(dict.fromkeys(one['stack'] for one in records))
    rows: list[list[object]] = []
    for init, seconds in dict.fromkeys((one['init'], one['seconds']) for one in records):
        found = {
            one['stack']: one
            for one in records
            if (one['init'], one['seconds']) == (init, seconds)
        }
        values = [found[name]['psnr'] if name in found else None for name in names]
        some = next(iter(found.values()))
        wall = mean(one['wall_seconds'] for one in found.values())
        rows.append([init, some['weights'], f'{seconds:g}', *values, mean(values), wall])
    head = ['start', 'weights', 'training, s', *names, 'mean', 'wall s a stack']
    return (
        'PSNR in dB with a range of 255, clipped to 0..255, not rounded, mean over frames.\n\n'
    ) + table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path)
    parser.add_argument('--types', default='all', help='comma-separated names, or all')
    parser.add_argument('--inits', default='scratch,warm', help='comma-separated')
    parser.add_argument('--seconds', default='0,60', help='training times, comma-separated')
    parser.add_argument('--context', default='none', choices=[*Context])
    parser.add_argument('--device', default='cpu', choices=('auto', 'cpu', 'cuda', 'mps'))
    parser.add_argument('--seed', type=int, default=0)
    add_output(parser)
    options = parser.parse_args()
    inits, times = options.inits.split(','), [float(s) for s in options.seconds.split(',')]
    results = Results(render, settings_of(options), options.device, options.output)
    for init in inits:
        for seconds in times:
            if init == StartFrom.SCRATCH and seconds == 0:
                continue
            call = argparse.Namespace(
                **{**vars(options), 'seconds': seconds, 'steps': None},
                noise='auto',
                correction='auto',
                further=['--init', init, '--context', options.context],
            )
            for name, noisy, truth in stacks(options.folder, options.types):
                clean, report, wall = denoise(noisy, call)
                record = {'init': Path(init).stem, 'weights': weights(init), 'seconds': seconds}
                record |= {'stack': name, 'psnr': psnr(clean, truth), 'wall_seconds': wall}
                record |= {'training_steps': report['training']['steps_done']}
                record |= {'start_risk': report['training'].get('start_risk')}
                record |= {'risk': report['training']['risk']}
                results.add(record)
    results.show()


if __name__ == '__main__':
    main()
