"""A wide-field microscope with a camera whose noise is correlated between neighbouring pixels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_noise2score.images.drawing import PIXEL_SIZE, Image, blur
from napari_noise2score.images.samples.detector import ROUNDING, in_range
from napari_noise2score.images.samples.sample import SIZE, Sample
from napari_noise2score.images.synthetic import nuclei
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.families import PoissonGaussian

FRAMES = 4
NOISE = PoissonGaussian(gain=2.0, offset=100.0, read_noise=6.0)
ALONG_ROWS, ALONG_COLUMNS = 0.2, 0.1
"""Weight of the two adjacent pixels in a row, and in a column, in each pixel of the camera,
relative to that of the pixel itself."""

_PHOTONS = 80.0
_HAZE = 0.5
"""Light from out of focus, relative to the brightest structure in focus."""
_HAZE_WIDTH = 25.0


def wide_field(seed: int) -> Sample:
    """Four frames of nuclei in haze.

    The noise of each pixel, in standard deviations, is mixed with that of its neighbours, as a
    camera does that interpolates defective pixels or smooths. The variance at each level stays
    that of the noise model.
    """
    scene_rng, noise_rng = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    light = _PHOTONS * _hazy(nuclei((SIZE, SIZE), scene_rng), scene_rng)
    clean = NOISE.offset + NOISE.gain * light
    shape = (FRAMES, SIZE, SIZE)
    variance = NOISE.variance(clean)
    unit = (NOISE.sample(np.broadcast_to(clean, shape), noise_rng) - clean) / np.sqrt(variance)
    noisy = clean + np.sqrt(variance - ROUNDING) * _mixed(unit)
    return Sample(
        name='wide-field',
        about=f'wide-field microscope, {FRAMES} frames of nuclei in haze',
        noisy=in_range(noisy, np.uint16),
        truth=np.broadcast_to(clean, shape).astype(np.float32),
        axes='TYX',
        noise=NOISE,
        seed=seed,
        spacing={'T': (1.0, 's'), 'Y': (PIXEL_SIZE, 'µm'), 'X': (PIXEL_SIZE, 'µm')},
        correlation=Correlation(np.outer(*map(_autocorrelation, (ALONG_COLUMNS, ALONG_ROWS)))),
        still=True,
    )


def _hazy(focus: Image, rng: np.random.Generator) -> Image:
    """A scene with the light of all that is out of focus, (Y, X), brightest place 1."""
    elsewhere = nuclei(focus.shape, rng)  # above and below the focal plane
    haze = blur(focus + 2 * elsewhere, _HAZE_WIDTH) + 0.5 * blur(elsewhere, 8)
    image = focus + _HAZE * haze / haze.max()
    return np.asarray(image / image.max())


def _mixed(unit: Image) -> Image:
    """Noise of unit variance, (T, Y, X), mixed with that of adjacent pixels; of unit variance."""
    for axis, weight in ((1, ALONG_COLUMNS), (2, ALONG_ROWS)):
        weights = np.array([weight, 1.0, weight]) / (1 + 2 * weight**2) ** 0.5
        unit = ndimage.convolve1d(unit, weights, axis=axis, mode='wrap')
    return unit


def _autocorrelation(weight: float) -> Image:
    """Correlation of mixed noise along one axis at the distances -2 to 2, (5,)."""
    weights = np.array([weight, 1.0, weight])
    products = np.convolve(weights, weights)
    return np.asarray(products / products[2])
