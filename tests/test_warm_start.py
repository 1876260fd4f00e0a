"""The shipped weights on images unlike any that they were trained on: no invented structure."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.families import Gaussian, PoissonGaussian
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.settings import DenoiseSettings, TrainSettings

SIGMA = 10.0
AT_ONCE = TrainSettings(seconds=0, device='cpu')
BLIND = DenoiseSettings(training=AT_ONCE, orientations=1)
EXACTLY = DenoiseSettings(
    noise=NoiseRequest.exactly(Gaussian(SIGMA)), training=AT_ONCE, orientations=1
)
SIZE = 96


pytestmark = pytest.mark.usefixtures('with_few_trials')


def letters() -> np.ndarray:
    """Lines of made-up letters, one or two pixels wide, dark on bright."""
    rng = np.random.default_rng(3)
    page = np.full((SIZE, SIZE), 200.0)
    for top in range(6, SIZE - 10, 14):
        for left in range(6, SIZE - 8, 9):
            glyph = np.kron(rng.integers(0, 2, (4, 3)), np.ones((2, 2)))
            page[top : top + 8, left : left + 6] -= 120 * glyph
    return page


def gratings() -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    fine, coarse = np.sin(2 * np.pi * x / 5), np.sin(2 * np.pi * (x + 2 * y) / 23)
    return 100 + 40 * np.where(y < SIZE / 2, fine, coarse)


def bricks() -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    joint = (y % 8 == 0) | ((x + 8 * (y // 8 % 2)) % 16 == 0)
    return 150.0 - 90 * joint


def dots() -> np.ndarray:
    """Single bright pixels on black, far from each other."""
    image = np.zeros((SIZE, SIZE))
    image[8::16, 8::16] = 120
    return image


def noisy(clean: np.ndarray, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(0, SIGMA, clean.shape)
    return (clean + drawn).astype(np.float32)


@pytest.mark.parametrize('image', [letters, gratings, bricks, dots], ids=lambda f: f.__name__)
def test_strange_images_come_out_better_and_nothing_is_invented(image):
    """What is left is noise, not structure: another in each drawing of the noise."""
    clean = image()
    results = [denoise(noisy(clean, seed), 'YX', EXACTLY) for seed in range(4)]
    errors = (np.stack([result.image for result in results]) - clean) / SIGMA
    assert np.mean(errors**2) < 0.25
    same_each_time = np.mean(errors.mean(0) ** 2) - np.mean(errors.var(0, ddof=1)) / len(errors)
    assert same_each_time < 0.2**2
    for result in results:
        (check,) = result.corrected.checks
        assert abs(check.mean) < 0.05
        assert 0.65 < check.variance < 1.1
        assert abs(check.correlation) < 0.2


@pytest.mark.parametrize('level', [0.0, 500.0])
def test_an_empty_image_stays_empty(level):
    result = denoise(noisy(np.full((SIZE, SIZE), level)), 'YX', EXACTLY)
    assert result.image.std() < 0.1 * SIGMA
    assert np.abs(result.image - level).max() < SIGMA
    assert result.image.mean() == pytest.approx(level, abs=0.05 * SIGMA)


def test_nothing_appears_between_single_bright_pixels():
    clean = dots()
    result = denoise(noisy(clean), 'YX', replace(EXACTLY, orientations=8)).image
    far = ndimage.distance_transform_edt(clean == 0) > 4
    assert np.abs(result[far]).max() < SIGMA
    assert result[far].std() < 0.15 * SIGMA
    kept = result[clean > 0].mean() / clean.max()
    assert 0.8 < kept < 1.1


def test_texture_that_no_neighbour_tells_is_averaged_and_the_report_warns():
    """Black and white at random: the shipped weights take it for noise, and the risk sees that."""
    clean = 100.0 * np.random.default_rng(5).integers(0, 2, (SIZE, SIZE))
    corrected = denoise(noisy(clean), 'YX', EXACTLY).corrected
    assert corrected.image.mean() == pytest.approx(clean.mean(), abs=0.1 * SIGMA)
    (check,) = corrected.checks
    assert any('detail may be lost' in warning for warning in check.warnings)
    assert corrected.risks[corrected.correction].value > 2


@pytest.mark.parametrize(('axes', 'shape'), [('YX', (96, 100)), ('TYX', (3, 70, 90)), ('TCYX', 0)])
def test_a_result_at_once_for_images_stacks_and_channels(axes, shape):
    stack = synthetic_stack('nuclei', frames=3, size=128, seed=4)
    if axes == 'TCYX':
        data = np.stack([stack.noisy, 3 * stack.noisy[:, :, ::-1]], axis=1)
        truth = np.stack([stack.truth, 3 * stack.truth[:, ::-1]])
    else:
        rows, columns = shape[-2:]
        data = stack.noisy[(0,) if axes == 'YX' else slice(None)][..., :rows, :columns]
        truth = stack.truth[:rows, :columns]
    result = denoise(data, axes, BLIND)
    assert result.image.shape == data.shape
    assert result.model.training['steps_done'] == 0
    assert np.mean((result.image - truth) ** 2) < 0.1 * np.mean((data - truth) ** 2)


def test_few_photons_at_once():
    noise = PoissonGaussian(gain=4.0, offset=20.0, read_noise=3.0)
    stack = synthetic_stack('nuclei', frames=2, size=128, photons=3, noise=noise, seed=4)
    result = denoise(stack.noisy, 'TYX', BLIND)
    assert np.mean((result.image - stack.truth) ** 2) < 0.1 * np.mean(
        (stack.noisy - stack.truth) ** 2
    )
    assert result.image.mean() == pytest.approx(stack.truth.mean(), abs=1.0)


def test_nothing_is_trained_and_few_views_are_taken():
    quick = DenoiseSettings(training=AT_ONCE)
    assert [quick.views(pixels) for pixels in (1 << 25, 1 << 20, 1 << 19, 100)] == [1, 1, 2, 4]
    assert quick.left_in == 0
    assert DenoiseSettings().views(1 << 25) == 4
    assert DenoiseSettings().left_in is None
    asked = DenoiseSettings(training=AT_ONCE, orientations=8, sigma_a=0.5)
    assert (asked.views(100), asked.left_in) == (8, 0.5)
