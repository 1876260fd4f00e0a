"""A confocal microscope: a few frames of one field, few photons, 8 bits."""

from __future__ import annotations

import numpy as np

from napari_noise2score.images.drawing import PIXEL_SIZE
from napari_noise2score.images.samples.detector import detected
from napari_noise2score.images.samples.sample import SIZE, Sample
from napari_noise2score.images.synthetic import filaments
from napari_noise2score.noise.families import PoissonGaussian

FRAMES = 4
PHOTONS = 18.0
"""Light at the brightest pixel, photons: hardly any pixel gets more than 255 grey levels."""
NOISE = PoissonGaussian(gain=6.0, offset=12.0, read_noise=2.0)


def confocal(seed: int) -> Sample:
    """Four frames of filaments."""
    scene_rng, noise_rng = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    light = PHOTONS * filaments((SIZE, SIZE), scene_rng)
    clean = np.broadcast_to(NOISE.offset + NOISE.gain * light, (FRAMES, SIZE, SIZE))
    return Sample(
        name='confocal',
        about=f'confocal microscope, {FRAMES} frames of filaments',
        noisy=detected(clean, NOISE, np.uint8, noise_rng),
        truth=clean.astype(np.float32),
        axes='TYX',
        noise=NOISE,
        seed=seed,
        spacing={'T': (1.0, 's'), 'Y': (PIXEL_SIZE, 'µm'), 'X': (PIXEL_SIZE, 'µm')},
        still=True,
    )
