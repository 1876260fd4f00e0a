"""How far the noise that a score shows leans on the noise that its training was told.

    python benchmarks/quality/assumed_variance.py --seconds 20 --output assumed_variance.md

A synthetic stack with photon noise. The trainings are told the right gain, twice and half of it.
The noise variance is then read from the score, with three strengths of the perturbation.

Means over all levels, in the unit-noise coordinate of the gain that was told. The truth is that of
noise drawn again and again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from results import Record, Results, add_run_options, settings_of, table, train_settings

from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.prepared import PreparedChannel
from napari_noise2score.pipeline.stages import train_score_steps
from napari_noise2score.progress import finish
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.score_samples import sample_score

TRUE = PoissonGaussian(3.0, 50.0, 1.5)
TOLD = {'the right variance': 1.0, 'twice the variance': 2.0, 'half the variance': 0.5}
PERTURBATIONS = 0.0, 1.0, 1.4
DRAWS = 100


def true_variance(channel: PreparedChannel, clean: NDArray[np.floating]) -> float:
    """Mean noise variance in the coordinate of a channel, from noise that is drawn again."""
    rng = np.random.default_rng(2)
    drawn = [channel.coordinate.forward(TRUE.sample(clean, rng)) for _ in range(DRAWS)]
    return float(np.var(drawn, axis=0).mean())


def shown_variance(model: ScoreModel, channel: PreparedChannel, perturbation: float) -> float:
    """Mean noise variance that a score shows, if it is read with a perturbation."""
    steps = sample_score(model, channel, channel.table, device='cpu', smoothing=perturbation)
    return float(finish(steps).noise_variance()[1].mean())


def measured(told: str, options: argparse.Namespace) -> Record:
    """The truth, and what is shown with each perturbation."""
    stack = synthetic_stack(
        'nuclei', frames=4, size=options.size, photons=options.photons, noise=TRUE, seed=1
    )
    gain = TOLD[told] * TRUE.gain
    request = NoiseRequest.exactly(PoissonGaussian(gain, TRUE.offset, TRUE.read_noise))
    prepared = model_noise(ImageSource(stack.noisy, 'TYX'), request)
    model = finish(train_score_steps([prepared], train_settings(options)))
    (channel,) = prepared.channels
    shown = {f'{at:g}': shown_variance(model, channel, at) for at in PERTURBATIONS}
    return {'told': told, 'truth': true_variance(channel, stack.truth[0]), 'shown': shown}


def render(records: Sequence[Record]) -> str:
    """Noise variances by what was told and by the perturbation."""
    names = [f'{at:g}' for at in PERTURBATIONS]
    rows: list[list[Any]] = [
        [one['told'], one['truth'], *(one['shown'][name] for name in names)] for one in records
    ]
    return table(['training was told', 'truth', *(f'read at {name}' for name in names)], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--photons', type=float, default=30.0)
    parser.add_argument('--size', type=int, default=256)
    add_run_options(parser)
    options = parser.parse_args()
    results = Results(render, settings_of(options), options.device, options.output)
    for told in TOLD:
        results.add(measured(told, options))
    results.show()


if __name__ == '__main__':
    main()
