"""The noise estimate on data that is not the textbook's, against the truth."""

from functools import lru_cache

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.estimate.blind import estimate_noise
from napari_noise2score.noise.families import PoissonGaussian

SIZE, FRAMES = 256, 6
CAMERA = PoissonGaussian(3.0, 50.0, 2.0)


@lru_cache(maxsize=8)
def scene(name: str = 'nuclei', size: int = SIZE) -> np.ndarray:
    """Clean image, 0 to 1."""
    return SCENES[name]((size, size), np.random.default_rng([0, 0]))


def frames(clean, photons, camera=CAMERA):
    """Noisy (T, Y, X) and the clean levels of clean (T, Y, X) in 0 to 1."""
    levels = camera.offset + camera.gain * photons * np.asarray(clean)
    return camera.sample(levels, np.random.default_rng(3)), levels


def still(name='nuclei', photons=30.0, camera=CAMERA):
    return frames(np.stack([scene(name)] * FRAMES), photons, camera)


def line_error(family, levels, camera=CAMERA, added=0.0):
    """Largest relative error of the variance over the levels of the image."""
    at = np.quantile(levels, np.linspace(0.02, 0.995, 60))
    return float(np.abs(family.variance(at) / (camera.variance(at) + added) - 1).max())


def drifting(name, step):
    """The whole scene moves by ``step`` pixels a frame."""
    pad = 40
    large = scene(name, SIZE + 2 * pad)
    moved = [ndimage.shift(large, (0.8 * step * k, 0.6 * step * k)) for k in range(FRAMES)]
    return np.clip(np.stack(moved)[:, pad:-pad, pad:-pad], 0, None)


def visited(step):
    """Nuclei with blobs that cross the image."""
    rng = np.random.default_rng(7)
    image = np.stack([scene()] * FRAMES)
    y, x = np.mgrid[:SIZE, :SIZE]
    for _ in range(8):
        start, way, width = rng.uniform(0, SIZE, 2), rng.normal(size=2), rng.uniform(2, 6)
        way *= step / np.hypot(*way)
        for k in range(FRAMES):
            distance = (y - start[0] - k * way[0]) ** 2 + (x - start[1] - k * way[1]) ** 2
            image[k] += rng.uniform(0.5, 1) * np.exp(-distance / (2 * width**2))
    return image / image.max()


@pytest.mark.parametrize('photons', [3.0, 200.0])
@pytest.mark.parametrize('step', [0.1, 0.3, 1.0, 4.0])
def test_a_drifting_scene(step, photons):
    stack, levels = frames(drifting('nuclei', step), photons)
    family = estimate_noise(stack).family
    # fast drift of a few photons is hidden in the noise and adds to it
    assert family.gain == pytest.approx(3.0, rel=0.1 if (step, photons) == (4.0, 3.0) else 0.05)
    assert line_error(family, levels) < 0.08


@pytest.mark.parametrize('photons', [3.0, 200.0])
@pytest.mark.parametrize('step', [0.3, 1.0, 4.0])
def test_moving_objects(step, photons):
    stack, levels = frames(visited(step), photons)
    family = estimate_noise(stack).family
    # where fast, bright objects move, part of the surplus stays
    assert family.gain == pytest.approx(3.0, rel=0.08 if (step, photons) == (4.0, 200.0) else 0.05)
    assert line_error(family, levels) < 0.08


@pytest.mark.parametrize('name', ['filaments', 'nuclei'])
@pytest.mark.parametrize('photons', [3.0, 200.0])
@pytest.mark.parametrize('lost', [0.2, 0.5])
def test_bleaching(lost, photons, name):
    light = (1 - lost) ** (np.arange(FRAMES) / (FRAMES - 1))
    stack, levels = frames(scene(name) * light[:, None, None], photons)
    fit = estimate_noise(stack)
    assert fit.family.gain == pytest.approx(3.0, rel=0.03)
    assert line_error(fit.family, levels) < 0.04
    if photons > 10:
        assert fit.evidence.disturbances.bleaching == pytest.approx(lost, abs=0.03)
        assert any('bleaching' in text for text in fit.warnings)


@pytest.mark.parametrize('photons', [3.0, 30.0])
@pytest.mark.parametrize('steady', [True, False])
def test_an_offset_of_each_frame(steady, photons):
    stack, levels = still(photons=photons)
    shifts = np.linspace(-3, 3, FRAMES)
    if not steady:
        shifts = np.random.default_rng(1).permutation(shifts)
    fit = estimate_noise(stack + shifts[:, None, None])
    assert fit.family.gain == pytest.approx(3.0, rel=0.03)
    # the offset that comes back is the mean over the pairs of frames
    reference = (shifts[1:] + shifts[:-1]).mean() / 2
    camera = PoissonGaussian(3.0, 50.0 + reference, 2.0)
    assert line_error(fit.family, levels + reference, camera) < 0.03
    assert any('offset differs' in text for text in fit.warnings)


@pytest.mark.parametrize(('name', 'photons'), [('nuclei', 30.0), ('puncta', 3.0)])
@pytest.mark.parametrize('kind', ['steady', 'blinking', 'cosmic'])
def test_hot_pixels(kind, photons, name):
    stack, levels = still(name, photons)
    rng = np.random.default_rng(9)
    hot = rng.exponential(300, stack.shape[1:]) * (rng.random(stack.shape[1:]) < 0.002)
    if kind == 'steady':
        stack += 3 * rng.poisson(np.broadcast_to(hot / 3, stack.shape))
    elif kind == 'blinking':
        stack += hot * (rng.random(stack.shape) < 0.5)
    else:
        stack += rng.exponential(300, stack.shape) * (rng.random(stack.shape) < 0.0005)
    for image in (stack, stack[0]):
        fit = estimate_noise(image)
        # one image of a few photons tells the gain to some ten per cent, but is not led astray
        assert fit.family.gain == pytest.approx(3.0, rel=0.03 if image is stack else 0.2)
        assert line_error(fit.family, levels) < (0.04 if image is stack else 0.15)
        assert any('hot pixels' in text for text in fit.warnings)


@pytest.mark.parametrize('share', [0.01, 0.05])
@pytest.mark.parametrize(('bits', 'gain'), [(8, 3.0), (8, 10.0), (12, 30.0)])
def test_saturation(bits, gain, share):
    top = 2**bits - 1
    camera = PoissonGaussian(gain, 10.0, 0.5 * gain)
    clean = scene()
    photons = (top - 10) / gain / np.quantile(clean, 1 - share)
    stack, levels = frames(np.stack([clean] * FRAMES), photons, camera)
    stack = np.clip(np.round(stack), 0, top).astype(np.uint8 if bits == 8 else np.uint16)
    fit = estimate_noise(stack)
    assert fit.clipped == pytest.approx((stack == top).mean())
    assert fit.family.gain == pytest.approx(gain, rel=0.04)
    assert line_error(fit.family, np.minimum(levels, top), camera, 1 / 12) < 0.08


@pytest.mark.parametrize('name', ['filaments', 'puncta'])
@pytest.mark.parametrize('gain', [0.5, 3.0, 50.0])
def test_eight_bits(gain, name):
    camera = PoissonGaussian(gain, 10.0, 0.3 * gain)
    stack, _ = still(name, 200 / gain, camera)
    fit = estimate_noise(np.clip(np.round(stack), 0, 255).astype(np.uint8))
    assert fit.family.gain == pytest.approx(gain, rel=0.05)


def test_repeated_frames_in_eight_bits():
    stack, levels = still()
    stack = np.clip(np.round(stack), 0, 255).astype(np.uint8)[[0, 0, 1, 2, 2, 3, 4, 1, 5]]
    fit = estimate_noise(stack)
    assert (fit.frames, fit.repeated) == (6, 3)
    assert fit.family.gain == pytest.approx(3.0, rel=0.03)
    assert line_error(fit.family, levels, added=1 / 12) < 0.03


def test_a_clean_stack_is_not_accused():
    stack, _ = still()
    fit = estimate_noise(stack)
    found = fit.evidence.disturbances
    assert (found.unsteady, found.offset_range, found.moving) == (False, 0.0, 0.0)
    assert found.hot < 1e-5
    assert abs(found.bleaching) < 0.01
    assert fit.warnings == ()


@pytest.mark.parametrize('size', [64, 96, 128])
@pytest.mark.parametrize('photons', [0.02, 0.05, 0.3])
def test_hardly_any_photons(photons, size):
    """Levels of neighbours are few then; their rounding sorted the pixels by their own value."""
    counts = PoissonGaussian(1.0, 0.0, 0.0)
    light = scene('nuclei', size)
    clean = np.stack([photons * (0.2 + 0.8 * light / light.mean())] * 4)
    for seed in range(4):
        noisy = counts.sample(clean, np.random.default_rng(seed)).astype(np.float32)
        variance = estimate_noise(noisy).family.variance(photons)
        assert float(variance) == pytest.approx(photons, rel=0.1)


@pytest.mark.parametrize('photons', [0.3, 0.5, 1.0])
@pytest.mark.parametrize('name', ['nuclei', 'filaments'])
def test_a_small_image_of_few_photons(name, photons):
    """Samples are few: bins of the bright places must not be left out for it."""
    light = scene(name, 64)
    clean = photons * (0.1 + 0.9 * light / light.mean())
    bright = np.quantile(clean, 0.95)
    ratios = []
    for seed in range(6):
        noisy = np.random.default_rng(seed).poisson(clean).astype(np.uint16)
        ratios.append(float(estimate_noise(noisy).family.variance(bright)) / bright)
    assert np.median(ratios) == pytest.approx(1, abs=0.15)
    assert min(ratios) > 0.6
    assert max(ratios) < 1.7


@pytest.mark.parametrize('size', [48, 64, 80])
@pytest.mark.parametrize('name', ['nuclei', 'puncta'])
def test_positions_of_a_stage_are_not_compared(name, size):
    """Their differences have the correlation of structure, with white noise on top."""
    fields = [SCENES[name]((size, size), np.random.default_rng([n, 0])) for n in range(1, 9)]
    noisy, levels = frames(np.stack(fields), 30.0)
    fit = estimate_noise(noisy)
    assert fit.evidence.method == 'single frames'
    assert not any(fit.pairs)
    assert line_error(fit.family, levels) < 0.35


@pytest.mark.parametrize('width', [0.7, 1.0, 1.5])
def test_noise_that_is_correlated_over_a_few_pixels_is_not_structure(width):
    noise = np.random.default_rng(0).normal(size=(6, 80, 80))
    noise = ndimage.gaussian_filter(noise, (0, width, width), mode='wrap')
    noisy = 100 * scene('nuclei', 80) + 10 * noise / noise.std()
    fit = estimate_noise(noisy)
    assert fit.evidence.method == 'frame differences'
    assert float(fit.family.variance(50.0)) == pytest.approx(100, rel=0.15)
