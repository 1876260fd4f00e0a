"""Noisy images whose truth is known, and what programs make of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.progress import finish
from napari_noise2score.report.findings import Findings, measure_steps

NOISE = PoissonGaussian(2.0, 100.0, 1.5)
SIDE = 192


def truth(seed: int = 0) -> NDArray[np.float64]:
    """Grey levels of discs with sharp edges and of fine texture, (Y, X)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    photons = np.full((SIDE, SIDE), 4.0)
    for _ in range(60):
        row, column = rng.uniform(0, SIDE, 2)
        inside = np.hypot(y - row, x - column) < rng.uniform(2, 14)
        photons = np.where(inside, rng.uniform(10, 90), photons)
    return 100 + 2 * ndimage.gaussian_filter(photons, 0.7)


def noisy(clean: NDArray[np.float64], seed: int = 1) -> NDArray[np.float64]:
    """With the noise of a camera, in whole grey levels."""
    return np.round(NOISE.sample(clean, np.random.default_rng(seed)))


def almost_clean(clean: NDArray[np.float64], image: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a good denoiser gives: the truth, with a little of the noise."""
    return clean + 0.1 * (image - clean)


def measured(image: NDArray[np.float64], result: NDArray[np.float64] | None = None) -> Findings:
    """What a report measures, with the right noise model."""
    axes = 'TYX' if image.ndim == 3 else 'YX'
    clean = None if result is None else ImageSource(result, axes, 'clean.tif')
    source = ImageSource(image, axes, 'noisy.tif')
    return finish(measure_steps(source, clean, NoiseRequest.exactly(NOISE), device='cpu'))
