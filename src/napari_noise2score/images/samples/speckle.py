"""An image with speckle, as of coherent light or ultrasound, averaged over several looks."""

from __future__ import annotations

import numpy as np

from napari_noise2score.images.drawing import Image, blur, texture
from napari_noise2score.images.samples.sample import SIZE, Sample
from napari_noise2score.noise.families import Gamma

FRAMES = 4
NOISE = Gamma(shape=4.0)
"""Four looks."""
PIXEL_SIZE = 5.0
"""Width of a pixel, micrometres, as in optical coherence tomography."""

_BRIGHTEST = 1000.0
_DARKEST = 0.03
"""Level of the darkest places, relative to the brightest."""
_LAYERS, _VESSELS = 7, 9


def speckle(seed: int) -> Sample:
    """Four frames of layered tissue with dark vessels; Gamma noise of four looks in each."""
    scene_rng, noise_rng = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    clean = np.broadcast_to(_BRIGHTEST * _tissue(scene_rng), (FRAMES, SIZE, SIZE))
    return Sample(
        name='speckle',
        about=f'speckle of {NOISE.shape:g} looks, {FRAMES} frames of layered tissue',
        noisy=NOISE.sample(clean, noise_rng).astype(np.float32),
        truth=clean.astype(np.float32),
        axes='TYX',
        noise=NOISE,
        seed=seed,
        spacing={'T': (1.0, 's'), 'Y': (PIXEL_SIZE, 'µm'), 'X': (PIXEL_SIZE, 'µm')},
        still=True,
    )


def _tissue(rng: np.random.Generator) -> Image:
    """Bent layers of different brightness, and round dark vessels, (Y, X), up to 1."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float64)
    bend = 10 * np.sin(2 * np.pi * x / SIZE * rng.uniform(0.5, 1.2) + rng.uniform(0, 6))
    depth = y + bend + 3 * texture((SIZE, SIZE), 12, rng)
    borders = np.sort(rng.uniform(0.08, 0.92, _LAYERS)) * SIZE
    levels = rng.permutation(np.geomspace(0.1, 1.0, _LAYERS + 1))
    levels[0] = _DARKEST  # above the tissue
    image = levels[np.searchsorted(borders, depth)]
    image = image * np.exp(0.15 * texture((SIZE, SIZE), 4, rng))
    for _ in range(_VESSELS):
        row, column = rng.uniform(0.2, 0.95) * SIZE, rng.uniform(0, SIZE)
        radius = rng.uniform(4, 12)
        inside = np.hypot(y - row, x - column) < radius
        image = np.where(inside, np.minimum(image, 2 * _DARKEST), image)
    image = np.maximum(blur(image, 0.9), _DARKEST)
    return np.asarray(image / image.max())
