"""Noise parameters three ways against the truth, on synthetic stacks with short trainings.

    python benchmarks/quality/parameters.py --seconds 20 --output parameters.md

Photon noise by light level, Gaussian noise by sigma: the fit of the photon-transfer line, the
closed forms, the search.

Errors in percent of the truth (offset and read noise: in photons). A value in brackets is one of
which the program itself says that it is not to be trusted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from results import Record, Results, add_run_options, settings_of, table, train_settings

from napari_noise2score.analysis.noise_parameters import compare_parameters
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.families import Gaussian, NoiseFamily, PoissonGaussian
from napari_noise2score.noise.from_score.comparison import ChannelParameters, Method
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.stages import train_score_steps
from napari_noise2score.progress import finish

PHOTONS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
SIGMAS = (5.0, 15.0, 25.0, 50.0)
GAIN, OFFSET, READ_NOISE = 3.0, 50.0, 0.5
BRIGHTEST = 255.0


def cases(photons_of: Sequence[float]) -> Iterator[tuple[str, NoiseFamily, float]]:
    """Name, noise and light at the brightest pixel."""
    for photons in photons_of:
        yield f'{photons:g} photons', PoissonGaussian(GAIN, OFFSET, READ_NOISE * GAIN), photons
    for sigma in SIGMAS:
        yield f'sigma {sigma:g}', Gaussian(sigma), BRIGHTEST


def compared(truth: NoiseFamily, photons: float, options: argparse.Namespace) -> ChannelParameters:
    stack = synthetic_stack(
        options.scene,
        frames=options.frames,
        size=options.size,
        photons=photons,
        noise=truth,
        seed=1,
    )
    prepared = model_noise(ImageSource(stack.noisy, 'TYX'))
    model = finish(train_score_steps([prepared], train_settings(options)))
    (found,) = finish(compare_parameters(model, prepared, device=options.device))
    return found


def errors(name: str, truth: NoiseFamily, found: ChannelParameters) -> Record:
    """Errors of every way, and whether the program says that a value is not to be trusted."""
    values = truth.parameters()
    record: Record = {'noise': name, 'power': None if found.power is None else found.power.value}
    for item in found.evidence:
        if item.parameter not in values:
            continue
        if item.parameter in ('offset', 'read_noise'):
            error = (item.value - values[item.parameter]) / values['gain']
        else:
            error = 100 * (item.value / values[item.parameter] - 1)
        record[f'{item.method} {item.parameter}'] = {'error': error, 'doubt': bool(item.doubt)}
    return {**record, 'said': list(found.disagreements)}


COLUMNS = {
    'fit': (Method.PHOTON_TRANSFER, ('gain', 'sigma')),
    'closed form': (Method.CLOSED_FORM, ('gain', 'sigma')),
    'search': (Method.SEARCH, ('gain', 'sigma')),
    'offset, fit': (Method.PHOTON_TRANSFER, ('offset',)),
    'read noise, fit': (Method.PHOTON_TRANSFER, ('read_noise',)),
}


def render(records: Sequence[Record]) -> str:
    """Errors by noise and by way."""
    rows = [
        [
            one['noise'],
            *(_cell(one, method, names) for method, names in COLUMNS.values()),
            one['power'],
        ]
        for one in records
    ]
    return (
        'Error of the gain or of sigma in percent, of offset and read noise in photons; in '
        'brackets values that the program does not trust.\n\n'
    ) + table(['noise', *COLUMNS, 'power of intensity'], rows)


def _cell(record: Record, method: Method, names: Sequence[str]) -> str:
    for name in names:
        if (found := record.get(f'{method} {name}')) is not None:
            photons = name in ('offset', 'read_noise')
            text = f'{found["error"]:+.2f}' if photons else f'{found["error"]:+.0f} %'
            return f'({text})' if found['doubt'] else text
    return ''


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--photons', default=','.join(f'{p:g}' for p in PHOTONS))
    parser.add_argument('--frames', type=int, default=4)
    parser.add_argument('--size', type=int, default=256)
    parser.add_argument('--scene', default='nuclei')
    add_run_options(parser)
    options = parser.parse_args()
    results = Results(render, settings_of(options), options.device, options.output)
    light = [float(photons) for photons in options.photons.split(',')]
    for name, truth, photons in cases(light):
        results.add(errors(name, truth, compared(truth, photons, options)))
    results.show()


if __name__ == '__main__':
    main()
