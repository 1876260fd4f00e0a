"""Light that an estimate lost is taken from the noisy values, and from nothing else."""

import numpy as np
import pytest

from napari_noise2score.noise.families import (
    Bernoulli,
    Exponential,
    Gamma,
    Gaussian,
    Poisson,
    PoissonGaussian,
    Tweedie,
)
from napari_noise2score.noise.level_bias import LevelBias, with_matched_mean

COUNTS = Poisson(1.0, 0.0)
SHAPE = (128, 128)


def scene(rng: np.random.Generator, photons: float = 0.3) -> np.ndarray:
    """Smooth levels, from nearly nothing to several times the mean."""
    return photons * rng.gamma(1.0, 1.0, (16, 16)).repeat(8, axis=0).repeat(8, axis=1)


def bent(truth: np.ndarray) -> np.ndarray:
    """An estimate that takes the dark for too bright and the bright for too dark."""
    return 0.05 + truth**0.8 * 0.7


def rms(image: np.ndarray) -> float:
    return float((image**2).mean() ** 0.5)


def test_bias_is_taken_off_level_by_level():
    rng = np.random.default_rng(0)
    truth = scene(rng)
    many = np.tile(truth, (4, 1))
    bias = LevelBias.measured(bent(many).ravel(), COUNTS.sample(many, rng).ravel())
    assert bias is not None
    before, after = bent(truth), bias.subtracted_from(bent(truth), COUNTS)
    # what is left is the noise of the means, and what is not straight between them
    assert rms(after - truth) < 0.4 * rms(before - truth)
    dark, bright = truth < 0.05, truth > 0.6
    for part in (dark, bright):
        assert abs((after - truth)[part].mean()) < 0.25 * abs((before - truth)[part].mean())


def test_chance_is_not_taken_for_bias():
    rng = np.random.default_rng(1)
    truth = scene(rng)
    changes = []
    for _ in range(20):
        bias = LevelBias.measured(truth.ravel(), COUNTS.sample(truth, rng).ravel())
        changes.append(rms(bias.subtracted_from(truth, COUNTS) - truth))
    # the means themselves would be off by 0.015
    assert np.mean(changes) < 0.012


def test_brighter_stays_brighter_and_no_light_stays_none():
    rng = np.random.default_rng(2)
    truth = scene(rng)
    noisy = 5 + 2 * rng.poisson(truth)
    family = Poisson(2.0, 5.0)
    backwards = 5 + 2 * (truth.max() - truth)
    bias = LevelBias.measured(backwards.ravel(), noisy.ravel().astype(float))
    levels = np.linspace(5, 5 + 2 * truth.max(), 500)
    after = bias.subtracted_from(levels, family)
    assert np.diff(after).min() >= -1e-9
    assert after[0] == 5.0
    assert after.min() >= 5.0


def test_few_pixels_tell_nothing():
    assert LevelBias.measured(np.linspace(0, 1, 1500), np.zeros(1500)) is None


@pytest.mark.parametrize(
    'family',
    [
        Poisson(1.0, 0.0),
        Poisson(4.0, 100.0),
        PoissonGaussian(4.0, 100.0, 2.0),
        Gaussian(0.3),
        Gamma(4.0),
        Exponential(),
        Tweedie(1.5, 1.0),
        Bernoulli(),
    ],
    ids=str,
)
@pytest.mark.parametrize('factor', [0.5, 0.8, 1.1])
def test_the_mean_is_that_of_the_noisy_values(family, factor):
    rng = np.random.default_rng(3)
    gain, offset = getattr(family, 'gain', 1.0), getattr(family, 'offset', 0.0)
    truth = offset + gain * np.minimum(scene(rng), 0.8)
    noisy = family.sample(truth, rng)
    estimate = offset + factor * (truth - offset)
    clean, lacked = with_matched_mean(noisy, estimate, family)
    assert clean.mean() - offset == pytest.approx(noisy.mean() - offset, rel=1e-9)
    assert lacked == pytest.approx(noisy.mean() - estimate.mean())


def test_light_of_photons_is_a_factor_and_that_of_a_constant_noise_a_constant():
    rng = np.random.default_rng(4)
    truth = scene(rng)
    photons, _ = with_matched_mean(COUNTS.sample(truth, rng), 0.7 * truth, COUNTS)
    assert np.ptp(photons / truth) < 1e-9
    gaussian = Gaussian(0.3)
    constant, _ = with_matched_mean(gaussian.sample(truth, rng), truth - 0.2, gaussian)
    assert np.ptp(constant - truth) < 1e-9


def test_hot_pixels_lend_no_light():
    rng = np.random.default_rng(5)
    truth = np.full(SHAPE, 100.0)
    family = PoissonGaussian(4.0, 20.0, 3.0)
    noisy = family.sample(truth, rng)
    clean, _ = with_matched_mean(noisy, truth, family)
    noisy[::16, ::16] = 60000
    hot, _ = with_matched_mean(noisy, truth, family)
    assert abs(hot - clean).max() < 0.1


def test_saturated_pixels_take_no_light():
    """The mean of clipped values lies below the level that they show."""
    rng = np.random.default_rng(6)
    truth = np.full(SHAPE, 100.0)
    truth[:64] = 3900
    family = PoissonGaussian(4.0, 20.0, 3.0)
    noisy = np.minimum(family.sample(truth, rng), 4000)
    clean, _ = with_matched_mean(noisy, truth, family, rail=4000.0)
    assert clean[:64].mean() == pytest.approx(3900, abs=10)
    assert with_matched_mean(noisy, truth, family)[0][:64].mean() < 3885
    everything, lacked = with_matched_mean(noisy[:64], truth[:64], family, rail=4000.0)
    assert lacked == 0
    np.testing.assert_array_equal(everything, truth[:64])


def test_the_few_pixels_far_from_the_saturation_level_do_not_tell_the_mean():
    """They are those which their own noise made dark: their residual has no mean of zero."""
    family, truth = Gaussian(20.0), np.full((128, 128), 190.0)
    noisy = np.minimum(family.sample(truth, np.random.default_rng(8)), 255)
    estimate = truth + 0.3 * (noisy - truth)
    assert 0 < (estimate < 255 - 4 * 20).mean() < 0.02
    clean, lacked = with_matched_mean(noisy, estimate, family, rail=255.0)
    assert lacked == 0
    np.testing.assert_array_equal(clean, estimate)


def test_estimates_without_bounds_do_not_take_the_light_of_the_others():
    rng = np.random.default_rng(7)
    truth = scene(rng)
    estimate = 0.8 * truth
    estimate[5, 5] = 1e9
    clean, _ = with_matched_mean(COUNTS.sample(truth, rng), estimate, COUNTS)
    others = np.delete(clean.ravel(), 5 * 128 + 5)
    assert others.mean() == pytest.approx(truth.mean(), rel=0.05)
