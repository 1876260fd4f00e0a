import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score.errors import InputError
from napari_noise2score.noise.estimate.blind import estimate_noise
from napari_noise2score.noise.families import Gaussian, PoissonGaussian


def scene(size: int = 384, seed: int = 0) -> np.ndarray:
    """Smooth clean image in 0.03 to 1, more dark than bright."""
    blobs = ndimage.gaussian_filter(np.random.default_rng(seed).random((size, size)), 8)
    blobs = (blobs - blobs.min()) / np.ptp(blobs)
    return 0.97 * blobs**2 + 0.03


def still(family: PoissonGaussian, photons: float, frames: int = 6) -> np.ndarray:
    clean = family.offset + family.gain * photons * scene()
    return family.sample(np.stack([clean] * frames), np.random.default_rng(5))


@pytest.mark.parametrize('photons', [2.0, 10.0, 100.0, 1000.0])
def test_gain_and_offset_of_a_still_scene(photons):
    family = PoissonGaussian(3.0, 50.0, 0.0)
    fit = estimate_noise(still(family, photons))
    assert fit.evidence.method == 'frame differences'
    assert fit.family.gain == pytest.approx(3.0, rel=0.03)
    # an offset can be told to about the noise of the darkest places
    assert fit.family.offset == pytest.approx(50.0, abs=0.3 + 0.02 * 3 * photons)


@pytest.mark.parametrize(('photons', 'read_noise'), [(10.0, 6.0), (100.0, 6.0), (200.0, 15.0)])
def test_read_noise_is_told_from_the_offset_by_the_skewness(photons, read_noise):
    family = PoissonGaussian(3.0, 50.0, read_noise)
    fit = estimate_noise(still(family, photons, frames=12))
    assert fit.family.gain == pytest.approx(3.0, rel=0.04)
    assert float(fit.family.variance(50.0)) == pytest.approx(read_noise**2, rel=0.15)


def test_a_single_image_is_enough():
    family = PoissonGaussian(3.0, 50.0, 3.0)
    fit = estimate_noise(still(family, 60.0, frames=1)[0])
    assert fit.evidence.method == 'single frames'
    assert fit.correlation.is_white
    assert fit.family.gain == pytest.approx(3.0, rel=0.08)


def small_and_still(seed: int, frames: int, size: int = 112, photons: float = 4.0) -> np.ndarray:
    """Textured blobs: gain 3, offset 100, read noise 6."""
    rng = np.random.default_rng(seed)
    blobs, texture = (ndimage.gaussian_filter(rng.normal(size=(size, size)), s) for s in (6, 1))
    light = np.clip(blobs, 0, None) * np.clip(1 + 0.3 * texture / texture.std(), 0, None)
    light = light / light.max() * photons + 0.3
    family = PoissonGaussian(3.0, 100.0, 6.0)
    return np.round(family.sample(np.stack([100 + 3 * light] * frames), rng)).astype(np.uint16)


@pytest.mark.parametrize(('frames', 'size'), [(3, 112), (6, 128)])
def test_small_still_frames_are_not_said_to_move(frames, size):
    """Their single frames tell the gain so badly that it may be half of what it is."""
    fits = [estimate_noise(small_and_still(seed, frames, size)) for seed in range(8)]
    assert all(fit.evidence.method == 'frame differences' for fit in fits)
    assert not any('motion' in text for fit in fits for text in fit.warnings)


def test_read_noise_of_two_frames_is_not_known_to_be_none():
    """Their difference is symmetric; each frame by itself tells the skewness, badly."""
    for seed in range(6):
        fit = estimate_noise(small_and_still(seed, 2))
        if isinstance(fit.family, PoissonGaussian):
            assert 2 < fit.family.read_noise < 7
            assert fit.line.offset_error > 2
            assert abs(fit.family.offset - 100) < 3 * fit.line.offset_error


def test_a_moving_scene_falls_back_to_single_frames():
    family = PoissonGaussian(3.0, 50.0, 3.0)
    clean = family.offset + family.gain * 60.0 * scene()
    moving = np.stack([np.roll(clean, (9 * k, 5 * k), (0, 1)) for k in range(6)])
    fit = estimate_noise(family.sample(moving, np.random.default_rng(2)))
    assert fit.evidence.method == 'single frames'
    assert fit.family.gain == pytest.approx(3.0, rel=0.08)


def test_noise_that_does_not_follow_the_light_is_gaussian():
    clean = 100 * scene()
    stack = clean + np.random.default_rng(0).normal(0, 7.0, (4, *clean.shape))
    fit = estimate_noise(stack)
    assert isinstance(fit.family, Gaussian)
    assert fit.family.sigma == pytest.approx(7.0, rel=0.02)
    assert fit.errors['sigma'] < 0.05


def test_repeated_frames_are_noticed_and_not_counted():
    stack = still(PoissonGaussian(3.0, 50.0, 3.0), 60.0, frames=3)
    fit = estimate_noise(stack[[0, 0, 1, 2, 1]])
    assert (fit.frames, fit.repeated) == (3, 2)
    assert fit.family == estimate_noise(stack).family
    assert any('2 repeated' in text for text in fit.warnings)


def test_correlated_noise_is_reported():
    rng = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(rng.normal(0, 20.0, (4, 256, 256)), (0, 0.8, 0.8))
    fit = estimate_noise(200 * scene(256) + noise)
    assert fit.correlation.neighbours == pytest.approx(np.exp(-1 / (4 * 0.8**2)), abs=0.03)
    assert any('correlated' in text for text in fit.warnings)


def test_saturation_is_left_out_and_reported():
    family = PoissonGaussian(3.0, 10.0, 0.0)
    stack = np.clip(np.round(still(family, 80.0)), 0, 200).astype(np.uint8)
    stack[stack == 200] = 255
    fit = estimate_noise(stack)
    assert fit.clipped > 0
    assert fit.family.gain == pytest.approx(3.0, rel=0.05)


def test_evidence_lies_on_the_line():
    family = PoissonGaussian(3.0, 50.0, 3.0)
    evidence = estimate_noise(still(family, 60.0)).evidence
    assert evidence.level.size > 30
    off = evidence.variance / family.variance(evidence.level) - 1
    # a variance of n values has the relative error sqrt(2 / n), some more for shot noise
    assert np.all(np.abs(off) < 6 * np.sqrt(3 / evidence.count))


def test_several_fields_share_one_fit():
    family = PoissonGaussian(3.0, 50.0, 0.0)
    fields = [still(family, 60.0, frames=2) for _ in range(2)]
    fit = estimate_noise(fields)
    assert fit.frames == 4
    assert fit.family.gain == pytest.approx(3.0, rel=0.04)


def test_scale_and_shift_carry_over():
    stack = still(PoissonGaussian(3.0, 50.0, 3.0), 60.0, frames=3)
    first, second = estimate_noise(stack).family, estimate_noise(10 * stack + 7).family
    assert second.gain == pytest.approx(10 * first.gain, rel=1e-6)
    assert second.offset == pytest.approx(10 * first.offset + 7, rel=1e-6)


def test_record_is_plain_and_whole():
    import json

    fit = estimate_noise(still(PoissonGaussian(3.0, 50.0, 3.0), 60.0, frames=2))
    record = json.loads(json.dumps(fit.to_dict()))
    assert record['noise']['family'] == 'poisson-gaussian'
    assert len(record['points']['level']) == len(record['points']['variance']) > 30


@pytest.mark.parametrize(
    ('image', 'text'),
    [
        (np.full((64, 64), 7.0), 'no noise was detected'),
        (np.ones((64, 64), complex), 'values are complex128'),
        (np.ones((3, 4)), r'shape is \(3, 4\)'),
        (np.ones(100), r'shape is \(100,\)'),
        (np.full((64, 64), np.nan), 'no noise was detected'),
    ],
)
def test_bad_images_are_refused_in_words(image, text):
    with pytest.raises(InputError, match=text):
        estimate_noise(image)


def test_the_image_is_not_changed():
    stack = still(PoissonGaussian(3.0, 50.0, 3.0), 60.0, frames=2)
    before = stack.copy()
    estimate_noise(stack)
    np.testing.assert_array_equal(stack, before)


def test_an_offset_that_cannot_be_told_from_read_noise_has_an_error_that_says_so():
    """One image: the line of the variance gives the offset minus read noise squared / gain."""
    camera, rng = PoissonGaussian(37.0, 200.0, 20.0), np.random.default_rng(7)
    clean = 255 + 1500 * np.linspace(0, 1, 256) ** 2 * np.ones((256, 1))
    fit = estimate_noise(np.round(camera.sample(clean, rng)).astype(np.uint16))
    found, errors = fit.family, fit.errors
    assert abs(found.offset - 200) < 3 * errors['offset']
    assert abs(found.read_noise - 20) < 3 * errors['read_noise']
    assert errors['read_noise'] > 1
