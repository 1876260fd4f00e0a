from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score.errors import InputError
from napari_noise2score.images.synthetic import PSF_SIGMA, SCENES, synthetic_stack
from napari_noise2score.noise.families import Gaussian, Poisson, PoissonGaussian

scenes = pytest.mark.parametrize('scene', SCENES)


@scenes
@pytest.mark.parametrize('shape', [(64, 64), (97, 130), (16, 40)])
def test_scene_has_the_shape_asked_for_and_fills_the_unit_range(scene, shape):
    image = SCENES[scene](shape, np.random.default_rng(3))
    assert image.shape == shape
    assert image.dtype == np.float64
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image.max() == 1
    assert image.std() > 0.05


@scenes
def test_scene_is_as_sharp_as_the_objective_and_no_sharper(scene):
    image = SCENES[scene]((256, 256), np.random.default_rng(0))
    window = np.outer(np.hanning(256), np.hanning(256))
    power = np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2
    fy, fx = np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256), indexing='ij')
    radius = np.hypot(fy, fx)
    # A Gaussian of PSF_SIGMA passes exp(-(2 pi f sigma)^2) of the power: 2e-5 at f = 0.45.
    assert np.exp(-((2 * np.pi * 0.45 * PSF_SIGMA) ** 2)) < 1e-4
    assert power[radius > 0.45].mean() < 1e-4 * power[radius < 0.05].mean()
    # Structure at twice the width of the point spread function is there to be lost.
    middle = (radius > 0.08) & (radius < 0.12)
    assert power[middle].mean() > 1e-4 * power[radius < 0.05].mean()


@scenes
def test_same_seed_same_stack_other_seed_other_stack(scene):
    first, again, other = (synthetic_stack(scene, frames=2, size=64, seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(first.noisy, again.noisy)
    np.testing.assert_array_equal(first.truth, again.truth)
    assert np.abs(first.truth - other.truth).max() > 10


def test_scene_does_not_depend_on_frames_or_noise():
    few = synthetic_stack('nuclei', frames=1, size=64)
    many = synthetic_stack('nuclei', frames=3, size=64, noise=PoissonGaussian(4, 20, 0.5))
    np.testing.assert_array_equal(few.truth, many.truth)


@scenes
def test_shapes_dtypes_and_grey_levels(scene):
    stack = synthetic_stack(scene, frames=3, size=(48, 65), photons=50)
    assert stack.noisy.shape == (3, 48, 65)
    assert stack.truth.shape == (48, 65)
    assert stack.noisy.dtype == stack.truth.dtype == np.float32
    assert stack.noise == PoissonGaussian(gain=4.0, offset=20.0, read_noise=3.0)
    assert stack.truth.max() == pytest.approx(20 + 4 * 50)
    assert stack.truth.min() >= 20


def _check_variance(stack, expected):
    """Residuals of many pixels against the variance, within 5 standard errors."""
    residual = stack.noisy.astype(np.float64) - stack.truth
    standard = residual / np.sqrt(expected)
    n = standard.size
    assert abs(standard.mean()) < 5 / np.sqrt(n)
    squared = standard**2
    assert abs(squared.mean() - 1) < 5 * squared.std() / np.sqrt(n)


@scenes
def test_noise_is_the_one_stated(scene):
    stack = synthetic_stack(scene, frames=4, size=256)
    _check_variance(stack, 4 * (stack.truth.astype(np.float64) - 20) + 9)


@pytest.mark.parametrize('part', ['dark', 'bright'])
def test_noise_is_the_one_stated_in_dark_and_bright_pixels(part):
    stack = synthetic_stack('nuclei', frames=4, size=256)
    middle = np.quantile(stack.truth, 0.9)
    chosen = stack.truth > middle if part == 'bright' else stack.truth <= middle
    truth = stack.truth[chosen].astype(np.float64)
    residual = (stack.noisy[:, chosen] - truth) ** 2 / (4 * (truth - 20) + 9)
    assert abs(residual.mean() - 1) < 5 * residual.std() / np.sqrt(residual.size)


def test_noise_is_independent_between_pixels_and_frames():
    stack = synthetic_stack('puncta', frames=2, size=256)
    truth = stack.truth.astype(np.float64)
    standard = (stack.noisy - truth) / np.sqrt(4 * (truth - 20) + 9)
    error = 1 / np.sqrt(256 * 255)
    pairs = [
        (standard[0, :, 1:], standard[0, :, :-1]),
        (standard[0, 1:], standard[0, :-1]),
        (standard[0], standard[1]),
    ]
    for a, b in pairs:
        assert abs((a * b).mean()) < 5 * error


def test_other_families():
    gaussian = synthetic_stack('filaments', size=128, photons=200, noise=Gaussian(7.0))
    assert gaussian.truth.max() == pytest.approx(200)
    _check_variance(gaussian, 49.0)
    poisson = synthetic_stack('filaments', size=128, noise=Poisson(gain=2.0, offset=100.0))
    assert poisson.truth.max() == pytest.approx(160)
    _check_variance(poisson, 2 * (poisson.truth.astype(np.float64) - 100))


def test_puncta_are_points_and_nuclei_are_bodies():
    """The share of a scene's bright area that survives an opening of 7 pixels."""
    survives = {}
    for scene, generate in SCENES.items():
        bright = generate((256, 256), np.random.default_rng(1)) > 0.45
        assert bright.sum() > 100
        opened = ndimage.binary_opening(bright, np.ones((7, 7)))
        survives[scene] = opened.sum() / bright.sum()
    assert survives['puncta'] < 0.15
    assert survives['nuclei'] > 0.3


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'scene': 'cats'}, "'cats' is unknown; accepted are filaments, nuclei, puncta"),
        ({'size': 8}, '8 x 8; 16 x 16'),
        ({'frames': 0}, 'frames is 0'),
        ({'photons': 0.0}, 'photons is 0'),
        ({'photons': float('nan')}, 'photons is nan'),
        ({'seed': -1}, 'seed is -1'),
    ],
)
def test_bad_input_says_what_was_got(settings, message):
    with pytest.raises(InputError, match=message):
        synthetic_stack(**{'scene': 'nuclei', 'size': 32, **settings})
