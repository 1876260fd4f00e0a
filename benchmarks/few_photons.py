"""Few photons a pixel: is the light kept, and is the right form of the correction taken?

    python benchmarks/few_photons.py [--only TEXT] [--seeds 0,1]

Synthetic scenes of 0.05 to 3 photons a pixel on average, a sixth of them (spots: half of them) as
background: single frames, still movies and z-stacks, with the noise estimated or given, as they
are and after a training. For each: decibels gained over the noisy image, beside those of the
stabilised form from the same score; the mean of the clean image against that of the noisy one, in
percent of the light; the background's error against the truth, percent; form, perturbation,
estimated risk (percent of the noise variance), warnings. ``PYTHONPATH`` of another version's
``src`` measures that one.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score import DenoiseSettings, TrainSettings, correct_image, denoise
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.families import NoiseFamily, Poisson, PoissonGaussian, Tweedie
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.noise.request import NoiseRequest

SIZE = 192
COUNTS = Poisson(1.0, 0.0)
CAMERA = PoissonGaussian(4.0, 100.0, 0.5)
NOISY_CAMERA = PoissonGaussian(4.0, 100.0, 4.0)
EXCESS = Tweedie(1.5, 1.0)
BACKGROUND = {'nuclei': 1 / 6, 'filaments': 1 / 6, 'puncta': 1 / 2}


@dataclass(frozen=True)
class Trigger:
    """An image to try: ``photons`` a pixel on average, ``axes`` ``T`` or ``Z`` of ``planes``."""

    scene: str
    photons: float
    planes: int = 1
    axes: str = 'T'
    noise: NoiseFamily = COUNTS
    given: bool = False
    steps: int = 0
    size: int = SIZE
    seed: int = 0

    def __str__(self) -> str:
        what = {'T': 'frame', 'Z': 'slice'}[self.axes]
        parts = [
            f'{self.scene} {self.photons:g}',
            f'{self.planes} {what}{"s" if self.planes > 1 else ""}',
            str(self.noise) if self.noise is not COUNTS else 'counts',
            'given' if self.given else 'blind',
            *([f'{self.steps} steps'] if self.steps else []),
        ]
        return ', '.join(parts)

    def make(self) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Noisy and clean, (planes, Y, X) grey levels."""
        rng, shape = np.random.default_rng([self.seed, 7]), (self.size, self.size)
        if self.axes == 'Z':
            scenes = [SCENES[self.scene](shape, rng) for _ in range(max(2, self.planes // 3))]
            many = np.repeat(scenes, 4, axis=0)[: self.planes]
            light = ndimage.gaussian_filter1d(many, 1.0, axis=0)
        else:
            light = np.broadcast_to(SCENES[self.scene](shape, rng), (self.planes, *shape))
        share = BACKGROUND[self.scene]
        rate = self.photons * (share + (1 - share) * light / light.mean())
        gain, offset = (
            getattr(self.noise, name, value) for name, value in (('gain', 1), ('offset', 0))
        )
        truth = offset + gain * rate
        return self.noise.sample(truth, rng).astype(np.float32), truth


TRIGGERS = [
    *(Trigger('nuclei', photons) for photons in (0.05, 0.1, 0.3, 1, 3)),
    Trigger('filaments', 0.1),
    Trigger('filaments', 0.3),
    Trigger('filaments', 1),
    Trigger('puncta', 0.05),
    Trigger('puncta', 0.3),
    Trigger('puncta', 1),
    Trigger('nuclei', 0.1, given=True),
    Trigger('nuclei', 0.3, given=True),
    Trigger('filaments', 1, given=True),
    Trigger('nuclei', 0.1, noise=CAMERA, given=True),
    Trigger('nuclei', 0.3, noise=CAMERA),
    Trigger('puncta', 1, noise=CAMERA),
    Trigger('filaments', 0.3, noise=NOISY_CAMERA, given=True),
    Trigger('nuclei', 1, noise=NOISY_CAMERA),
    Trigger('filaments', 1, noise=EXCESS, given=True),
    Trigger('nuclei', 0.05, planes=8),
    Trigger('nuclei', 0.3, planes=8),
    Trigger('filaments', 1, planes=8, noise=CAMERA),
    Trigger('nuclei', 0.1, planes=8, axes='Z'),
    Trigger('filaments', 0.3, planes=8, axes='Z', given=True),
    Trigger('puncta', 1, planes=8, axes='Z', noise=CAMERA),
    Trigger('nuclei', 0.05, steps=60),
    Trigger('nuclei', 0.3, steps=60),
    Trigger('filaments', 1, steps=60),
    Trigger('puncta', 0.3, noise=CAMERA, given=True, steps=60),
    Trigger('nuclei', 0.3, planes=8, axes='Z', steps=60),
]


def measured(trigger: Trigger) -> str:
    """One row of the table."""
    noisy, truth = trigger.make()
    settings = DenoiseSettings(
        noise=NoiseRequest(trigger.noise.name, dict(trigger.noise.parameters()))
        if trigger.given
        else NoiseRequest(),
        training=TrainSettings(
            seconds=None if trigger.steps else 0.0, steps=trigger.steps or None, device='cpu'
        ),
    )
    result = denoise(noisy, f'{trigger.axes}YX', settings)
    stabilised = correct_image(result.score_map, None, Correction.STABILISED)
    error = partial(_error, truth)
    light = truth.mean() - getattr(trigger.noise, 'offset', 0.0)
    dark = truth <= np.quantile(truth, 0.1)
    level = truth[dark].mean() - getattr(trigger.noise, 'offset', 0.0)
    image = result.image.astype(float)
    mean, mean_stabilised = (
        100 * (clean.astype(float).mean() - noisy.mean(dtype=float)) / light
        for clean in (image, stabilised.image)
    )
    background = 100 * (image[dark].mean() - truth[dark].mean()) / level
    report = result.report
    risks = ' '.join(
        f'{form[:2]} {100 * risk["value"]:.2g}±{100 * risk["standard_error"]:.1g}'
        if risk['value'] is not None
        else f'{form[:2]} -'
        for form, risk in report['risk'].items()
    )
    sentences = ' / '.join(report['warnings']) or '-'
    bias = result.corrected.checks[0].mean
    return (
        f'| {trigger} | {10 * np.log10(error(noisy) / error(image)):+.2f} '
        f'| {10 * np.log10(error(noisy) / error(stabilised.image)):+.2f} | {mean:+.2f} '
        f'| {mean_stabilised:+.2f} | {background:+.1f} | {report["correction"]} '
        f'| {report["channels"][0]["sigma_a"]:g} | {risks} | {bias:+.3f} | {sentences} |'
    )


def _error(truth: NDArray[np.float64], image: NDArray[np.floating]) -> float:
    return float(((image.astype(float) - truth) ** 2).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', default='', help='rows whose name holds this text')
    parser.add_argument('--seeds', default='0', help='seeds of scene and noise, with commas')
    options = parser.parse_args()
    print(
        '| image, photons a pixel | dB | dB, stabilised | mean, % | mean, stabilised, % '
        '| background, % | form | sigma_a | risks, % | residual mean | warnings |'
    )
    print('|---' * 11 + '|')
    for seed in map(int, options.seeds.split(',')):
        for trigger in TRIGGERS:
            if options.only in str(trigger):
                print(measured(replace(trigger, seed=seed)), flush=True)


if __name__ == '__main__':
    main()
