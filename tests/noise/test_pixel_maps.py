"""Offset and read noise of each pixel: measured, and taken out of noisy values."""

import json

import numpy as np
import pytest

from napari_noise2score import InputError, calibrate
from napari_noise2score.noise.pixels.even_noise import local_mean, with_reference_noise
from napari_noise2score.noise.pixels.maps import measure_pixels
from napari_noise2score.noise.request import NoiseRequest

SPREAD = np.log(30) / 2.3263


def camera(rng: np.random.Generator, side: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Offset and read noise of every pixel."""
    return 100 + 3 * rng.normal(size=(side, side)), 2.4 * np.exp(
        SPREAD * rng.normal(size=(side, side))
    )


@pytest.mark.parametrize(('frames', 'tolerance'), [(24, 0.09), (100, 0.03)])
def test_maps_stand_for_what_frames_differ_by(frames, tolerance):
    rng = np.random.default_rng(0)
    offset, noise = camera(rng)
    maps = measure_pixels(offset + noise * rng.normal(size=(frames, *noise.shape)))
    assert maps is not None
    expected = (noise**2 + (maps.offset - offset) ** 2) / maps.variance
    order = np.argsort(maps.variance, axis=None)
    deciles = [part.mean() for part in np.array_split(expected.ravel()[order], 10)]
    np.testing.assert_allclose(deciles, 1, atol=tolerance)
    assert maps.base == pytest.approx(2.4, rel=0.05)
    assert '99th percentile' in maps.words
    assert len(json.dumps(maps.to_dict())) < 1000


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('whole', [False, True])
def test_a_camera_of_equal_pixels_has_no_maps(seed, whole):
    rng = np.random.default_rng(seed)
    frames = rng.normal(100, 3, (30, 64, 64)) + rng.normal(0, 1, (30, 1, 1))
    assert measure_pixels(np.rint(frames) if whole else frames) is None


@pytest.mark.parametrize('what', ['noise', 'offset'])
def test_a_difference_that_matters_is_found(what):
    rng = np.random.default_rng(0)
    frames = rng.normal(0, 3, (30, 64, 64))
    if what == 'noise':
        frames[:, ::2] *= 1.3
    else:
        frames += 2 * rng.normal(size=(64, 64))
    maps = measure_pixels(frames)
    assert maps is not None
    if what == 'noise':
        ratio = maps.variance[::2].mean() / maps.variance[1::2].mean()
        # its logarithm has the variance of chance at 30 frames, so half of it is believed
        assert ratio == pytest.approx(1.3, rel=0.05)
    else:
        assert maps.offset.std() == pytest.approx(2, rel=0.1)


def test_single_hot_pixels_are_mapped_and_the_others_stay_alike():
    rng = np.random.default_rng(0)
    frames = rng.normal(100, 3, (30, 64, 64))
    frames[:, 10, 20] = rng.normal(150, 60, 30)
    maps = measure_pixels(frames)
    assert maps is not None
    others = np.ones((64, 64), bool)
    others[10, 20] = False
    assert np.ptp(maps.variance[others]) < 1e-3 * maps.base**2
    assert maps.variance[10, 20] ** 0.5 == pytest.approx(60, rel=0.5)
    assert abs(maps.offset[10, 20] - 150) < 40
    assert np.abs(maps.offset[others] - 100).max() < 0.2


def test_a_stuck_pixel_does_not_count():
    frames = np.rint(np.random.default_rng(0).normal(100, 3, (30, 64, 64)))
    frames[:, 5, 5] = 0
    maps = measure_pixels(frames)
    assert maps is not None
    assert maps.stuck == 1
    assert maps.variance[5, 5] > 1e5 * maps.base**2


def test_too_few_or_repeated_frames_give_no_maps():
    rng = np.random.default_rng(0)
    offset, noise = camera(rng, 32)
    frames = offset + noise * rng.normal(size=(12, *noise.shape))
    assert measure_pixels(frames) is None
    assert measure_pixels(np.concatenate([frames, frames])) is None
    assert calibrate(frames).maps is None


def test_noisy_values_get_the_usual_noise():
    rng = np.random.default_rng(0)
    excess = np.exp(2 * rng.normal(size=(300, 300)))
    usual = np.full(excess.shape, 4.0)
    clean = np.full(excess.shape, 50.0)
    noisy = clean + np.sqrt(usual + excess) * rng.normal(size=excess.shape)
    more = with_reference_noise(noisy, clean, usual, excess, rng.standard_normal(excess.shape))
    for part in np.array_split(np.argsort(excess, axis=None), 5)[1:]:
        away = (more - clean).ravel()[part]
        touched = excess.ravel()[part] > 0.1 * 4.0
        assert (away**2)[touched].mean() == pytest.approx(4.0, rel=5 * (2 / touched.sum()) ** 0.5)
    quiet = excess <= 0.1 * 4.0
    np.testing.assert_array_equal(more[quiet], noisy[quiet])


def test_a_local_mean_trusts_quiet_pixels_and_leaves_out_nan():
    values = np.full((9, 9), 5.0)
    values[4, 4], values[0, 0] = 1000.0, np.nan
    variance = np.ones((9, 9))
    variance[4, 4] = 1e9
    np.testing.assert_allclose(local_mean(values, variance), 5, atol=1e-4)


def test_what_is_given_wins_over_maps():
    rng = np.random.default_rng(0)
    offset, noise = camera(rng, 64)
    found = calibrate(offset + noise * rng.normal(size=(30, *noise.shape)))
    assert found.maps is not None
    assert found.request().maps is found.maps
    assert found.request(NoiseRequest('auto', {'gain': 2.0})).maps is found.maps
    assert found.request(NoiseRequest('poisson-gaussian', {'read_noise': 2.0})).maps is None
    assert found.request(NoiseRequest('poisson')).maps is None
    assert found.to_dict()['pixel_maps']['shape'] == [64, 64]
    assert any('Read noise per pixel' in note for note in found.notes)
    with pytest.raises(InputError, match='maps of pixels'):
        NoiseRequest('gaussian', {'sigma': 1.0}, maps=found.maps)
