"""Slices through a cell: the same blur in all slices, wider in depth, and less light below."""

from __future__ import annotations

import numpy as np

from napari_noise2score.images.drawing import (
    PIXEL_SIZE,
    PSF_SIGMA,
    Image,
    blur,
    deposit,
    smooth_noise_1d,
    texture,
    to_unit_range,
)
from napari_noise2score.images.samples.detector import detected
from napari_noise2score.images.samples.sample import SIZE, Sample
from napari_noise2score.noise.families import PoissonGaussian

SLICES = 24
SLICE_DISTANCE = 0.3
"""Distance of two slices, micrometres."""
DEPTH_SIGMA = 1.2
"""Standard deviation of the blur in depth, slices (0.85 um full width)."""
NOISE = PoissonGaussian(gain=3.0, offset=100.0, read_noise=4.0)

_PHOTONS = 20.0
_DEEPEST = 0.5
"""Light of the deepest slice, relative to the first."""
_NUCLEI, _FILAMENTS = 7, 60
_STEPS = 400
"""Points of a filament, half a pixel from each other."""


def z_stack(seed: int) -> Sample:
    """24 slices through nuclei and filaments."""
    scene_rng, noise_rng = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    sharp = _nuclei(scene_rng) + _filaments(scene_rng)
    volume = to_unit_range(blur(sharp, (DEPTH_SIGMA, PSF_SIGMA, PSF_SIGMA)))
    fading = np.geomspace(1, _DEEPEST, SLICES)[:, None, None]
    clean = NOISE.offset + NOISE.gain * _PHOTONS * fading * (0.02 + volume)
    sizes = {'Z': (SLICE_DISTANCE, 'µm'), 'Y': (PIXEL_SIZE, 'µm'), 'X': (PIXEL_SIZE, 'µm')}
    return Sample(
        name='z-stack',
        about=f'z-stack of {SLICES} slices through nuclei and filaments',
        noisy=detected(clean, NOISE, np.uint16, noise_rng),
        truth=clean.astype(np.float32),
        axes='ZYX',
        noise=NOISE,
        seed=seed,
        spacing=sizes,
    )


def _nuclei(rng: np.random.Generator) -> Image:
    """Textured ellipsoids with a bright envelope, (Z, Y, X)."""
    volume = np.zeros((SLICES, SIZE, SIZE))
    chromatin = 0.35 + 0.12 * texture(volume.shape, 2.0, rng)
    z, y, x = np.ogrid[:SLICES, :SIZE, :SIZE]
    for _ in range(_NUCLEI):
        depth = rng.uniform(0.3, 0.7) * SLICES
        row, column = rng.uniform(0, SIZE, 2)
        high, long, short = rng.uniform(5, 8), rng.uniform(20, 30), rng.uniform(16, 22)
        turn = rng.uniform(0, np.pi)
        u = ((y - row) * np.sin(turn) + (x - column) * np.cos(turn)) / long
        v = ((y - row) * np.cos(turn) - (x - column) * np.sin(turn)) / short
        radius = np.sqrt(((z - depth) / high) ** 2 + u**2 + v**2)
        envelope = np.exp(-0.5 * ((radius - 1) / 0.06) ** 2)
        body = np.where(radius < 1, chromatin, 0.0)
        volume = np.maximum(volume, rng.uniform(0.7, 1.0) * np.maximum(body, envelope))
    return volume


def _filaments(rng: np.random.Generator) -> Image:
    """Stiff curved lines that rise and sink, (Z, Y, X)."""
    volume = np.zeros((SLICES, SIZE, SIZE))
    for _ in range(_FILAMENTS):
        direction = rng.uniform(0, 2 * np.pi) + 0.004 * np.cumsum(smooth_noise_1d(_STEPS, 60, rng))
        steps = 0.5 * np.stack([np.sin(direction), np.cos(direction)], axis=1)
        plane = rng.uniform(0, SIZE, 2) + np.cumsum(steps, axis=0)
        slope = 0.02 * smooth_noise_1d(_STEPS, 80, rng)
        height = rng.uniform(2, SLICES - 3) + np.cumsum(slope)
        points = np.column_stack([height, plane])
        deposit(volume, points, np.full(_STEPS, rng.uniform(1.5, 3.0)))
    return volume
