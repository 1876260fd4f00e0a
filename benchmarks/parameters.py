"""Noise parameters three ways against the truth, on synthetic stacks with short trainings.

    python benchmarks/parameters.py     # photon noise by light level, Gaussian by sigma
    python benchmarks/parameters.py --seconds 60

Errors in percent of the truth (offset and read noise: in photons). A value in brackets is one of
which the program itself says that it is not to be trusted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from napari_noise2score.analysis.noise_parameters import compare_parameters
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.families import Gaussian, NoiseFamily, PoissonGaussian
from napari_noise2score.noise.from_score.comparison import ChannelParameters, Method
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.stages import train_score_steps
from napari_noise2score.progress import finish
from napari_noise2score.settings import TrainSettings

PHOTONS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
SIGMAS = (5.0, 15.0, 25.0, 50.0)
GAIN, OFFSET, READ_NOISE = 3.0, 50.0, 0.5
BRIGHTEST = 255.0


def cases() -> Iterator[tuple[str, NoiseFamily, float]]:
    """Name, noise and light at the brightest pixel."""
    for photons in PHOTONS:
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
    settings = TrainSettings(seconds=options.seconds, device=options.device)
    model = finish(train_score_steps([prepared], settings))
    (found,) = finish(compare_parameters(model, prepared, device=options.device))
    return found


def error(found: ChannelParameters, truth: NoiseFamily, method: Method, name: str) -> str:
    """Error of one way, as text."""
    values = truth.parameters()
    for item in found.evidence:
        if item.method is method and item.parameter == name and name in values:
            if name in ('offset', 'read_noise'):
                text = f'{(item.value - values[name]) / values["gain"]:+.2f}'
            else:
                text = f'{100 * (item.value / values[name] - 1):+.0f} %'
            return f'({text})' if item.doubt else text
    return '-'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=20.0, help='training time of each stack')
    parser.add_argument('--frames', type=int, default=4)
    parser.add_argument('--size', type=int, default=256)
    parser.add_argument('--scene', default='nuclei')
    parser.add_argument('--device', default='auto')
    options = parser.parse_args()
    print(f'{options.frames} x {options.size} x {options.size} of {options.scene}, ', end='')
    print(f'gain {GAIN:g}, offset {OFFSET:g}, read noise {READ_NOISE:g} photons')
    print('| noise | level: fit | closed form | search | offset: fit | read noise: fit | power |')
    print('|---|---|---|---|---|---|---|')
    for name, truth, photons in cases():
        found = compared(truth, photons, options)
        level = 'sigma' if 'sigma' in truth.parameters() else 'gain'
        ways = (Method.PHOTON_TRANSFER, Method.CLOSED_FORM, Method.SEARCH)
        columns = [error(found, truth, way, level) for way in ways]
        for parameter in ('offset', 'read_noise'):
            columns.append(error(found, truth, Method.PHOTON_TRANSFER, parameter))
        columns.append('-' if found.power is None else f'{found.power.value:.2f}')
        print(f'| {name} | {" | ".join(columns)} |', flush=True)
        for sentence in found.disagreements:
            print(f'    {sentence}', flush=True)


if __name__ == '__main__':
    main()
