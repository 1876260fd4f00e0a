"""Correlation of the noise from one image."""

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.estimate.blind import estimate_noise
from napari_noise2score.noise.estimate.flat_patches import response
from napari_noise2score.noise.families import PoissonGaussian

CAMERA = PoissonGaussian(3.0, 50.0, 2.0)


@cache
def scene(name: str, size: int) -> np.ndarray:
    """Clean image, 0 to 1."""
    return SCENES[name]((size, size), np.random.default_rng([0, 0]))


def with_noise(clean: np.ndarray, sigma: float) -> np.ndarray:
    """With noise whose unit noise is blurred by ``sigma`` and brought back to one."""
    noise = np.random.default_rng(1).normal(size=clean.shape)
    if sigma:
        noise = ndimage.gaussian_filter(noise, sigma, mode='wrap')
    return clean + np.sqrt(CAMERA.variance(clean)) * noise / noise.std()


def image(name: str, photons: float, sigma: float = 0.0, size: int = 384) -> np.ndarray:
    """One noisy image."""
    return with_noise(CAMERA.offset + CAMERA.gain * photons * scene(name, size), sigma)


def neighbours(sigma: float) -> float:
    impulse = np.zeros(33)
    impulse[16] = 1.0
    kernel = ndimage.gaussian_filter1d(impulse, sigma)
    return float((kernel[1:] * kernel[:-1]).sum() / (kernel**2).sum())


@pytest.mark.parametrize('sigma', [0.5, 0.7, 1.0])
@pytest.mark.parametrize(('name', 'photons'), [('nuclei', 200.0), ('puncta', 30.0)])
def test_correlated_noise_of_one_image(name, photons, sigma):
    fit = estimate_noise(image(name, photons, sigma))
    assert fit.evidence.method == 'single frames'
    assert fit.correlation.neighbours == pytest.approx(neighbours(sigma), rel=0.1)
    assert fit.correlation.fields == ()


@pytest.mark.parametrize('sigma', [0.5, 0.7])
@pytest.mark.parametrize(('name', 'photons'), [('nuclei', 200.0), ('puncta', 30.0)])
def test_the_gain_allows_for_the_correlation(name, photons, sigma):
    family = estimate_noise(image(name, photons, sigma)).family
    assert family.gain == pytest.approx(3.0, rel=0.15)


@pytest.mark.parametrize(('name', 'photons'), [('puncta', 30.0), ('filaments', 5.0)])
def test_patches_of_a_small_image_overlap(name, photons):
    fit = estimate_noise(image(name, photons, 0.7, size=128))
    assert fit.correlation.neighbours == pytest.approx(neighbours(0.7), rel=0.15)
    level = CAMERA.offset + CAMERA.gain * photons * scene(name, 128)
    true = float(CAMERA.variance(level).mean())
    assert fit.family.variance(level).mean() == pytest.approx(true, rel=0.3)


@pytest.mark.parametrize(('size', 'cut'), [(192, 0.002), (224, 0.01), (384, 0.03)])
@pytest.mark.parametrize('name', ['filaments', 'nuclei'])
def test_a_few_clipped_values_do_not_hide_the_correlation(name, size, cut):
    """What is left away from them may be too little to measure it once more."""
    clean = CAMERA.offset + 120 * (0.5 + 0.7 * scene(name, size))
    noisy = with_noise(clean, 0.7)
    bottom = np.quantile(noisy, cut)
    fit = estimate_noise(np.clip(np.round(noisy - bottom), 0, 255).astype(np.uint8))
    assert fit.correlation.neighbours == pytest.approx(neighbours(0.7), rel=0.1)
    ratio = fit.family.variance(clean - bottom).mean() / CAMERA.variance(clean).mean()
    assert ratio == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize('name', SCENES)
@pytest.mark.parametrize('photons', [3.0, 30.0, 200.0])
@pytest.mark.parametrize('size', [128, 160, 384])
def test_structure_is_not_taken_for_correlation(size, photons, name):
    assert estimate_noise(image(name, photons, size=size)).correlation.is_white


@pytest.mark.parametrize('slope', [1.5, 2.0, 3.0])
@pytest.mark.parametrize('photons', [10.0, 100.0])
@pytest.mark.parametrize('size', [160, 384])
def test_texture_everywhere_is_not_taken_for_correlation(size, photons, slope):
    rng = np.random.default_rng(0)
    y, x = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)
    spectrum = (
        np.fft.rfft2(rng.normal(size=(size, size))) / np.maximum(np.hypot(y, x), 1 / size) ** slope
    )
    texture = np.fft.irfft2(spectrum)
    clean = 50 + 3 * photons * np.clip(1 + 0.3 * texture / texture.std(), 0.05, None)
    assert estimate_noise(CAMERA.sample(clean, rng)).correlation.is_white


@pytest.mark.parametrize('sigma', [0.5, 1.0])
def test_the_response_of_the_filter(sigma):
    distance = np.arange(-8, 9)
    kernel = np.exp(-(distance[:, None] ** 2 + distance**2) / (4 * sigma**2))
    own = np.array([1, -4, 6, -4, 1]) / 6
    along = float((own * np.exp(-(np.arange(-2, 3) ** 2) / (4 * sigma**2))).sum())
    assert response(Correlation(kernel)) == pytest.approx(along**2, rel=1e-9)
    assert response(Correlation.white()) == 1.0


def test_a_small_image_without_patches_is_white():
    rng = np.random.default_rng(0)
    assert estimate_noise(50 + 3.0 * rng.poisson(20, (24, 24))).correlation.is_white
