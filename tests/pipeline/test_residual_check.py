"""What the residual says is put into words."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score.noise.families import Gaussian, Poisson, PoissonGaussian
from napari_noise2score.pipeline.residual_check import ResidualCheck, ResidualSums

COUNTS = Poisson(1.0, 0.0)
SHAPE = (192, 192)


def check(factor: float, photons: float, family=COUNTS, lacked: float = 0.0) -> ResidualCheck:
    """Of an estimate that has so much of the light of a flat scene."""
    gain, offset = getattr(family, 'gain', 1.0), getattr(family, 'offset', 0.0)
    truth = np.full(SHAPE, offset + gain * photons)
    noisy = family.sample(truth, np.random.default_rng(0))
    sums = ResidualSums()
    clean = offset + factor * gain * photons * np.ones(SHAPE)
    sums.add(ResidualSums.of_plane(noisy, clean, family, lacked))
    return sums.check()


def test_a_right_estimate_is_passed_over():
    for photons in (0.05, 0.3, 3.0, 100.0):
        assert check(1.0, photons).warnings == ()
    assert check(1.0, 3.0, PoissonGaussian(4.0, 100.0, 2.0)).warnings == ()
    assert check(1.0, 3.0, Gaussian(2.0)).warnings == ()


@pytest.mark.parametrize(('photons', 'factor'), [(0.3, 0.78), (0.3, 1.22), (3.0, 0.9)])
@pytest.mark.parametrize('family', [COUNTS, PoissonGaussian(4.0, 100.0, 0.5)], ids=str)
def test_light_that_was_lost_or_made_up_is_told(photons, factor, family):
    found = check(factor, photons, family)
    (sentence,) = (words for words in found.warnings if 'mean' in words)
    assert f' {100 * abs(found.light or 0):.2g} % ' in sentence
    assert ('darker' if factor < 1 else 'brighter') in sentence
    assert found.light == pytest.approx(1 / factor - 1, abs=0.03)


def test_light_is_told_though_it_is_little_beside_the_noise():
    """A tenth of 0.1 photons is 0.03 noise standard deviations."""
    large = ResidualSums()
    rng = np.random.default_rng(1)
    for _ in range(10):
        noisy = COUNTS.sample(np.full(SHAPE, 0.1), rng)
        large.add(ResidualSums.of_plane(noisy, np.full(SHAPE, 0.11), COUNTS))
    found = large.check()
    assert abs(found.mean) < 0.05
    assert any('brighter' in words for words in found.warnings)
    # and it is chance in a small image
    small = replace(found, mean_error=0.02)
    assert small.warnings == ()


def test_correlated_noise_that_was_taken_for_independent_is_told():
    """Only what differs from pixel to pixel was removed: there is still noise, but no structure is
    missing.
    """
    noise = np.random.default_rng(0).normal(size=SHAPE)
    noisy = 100 + 3 * ndimage.gaussian_filter(noise, 0.7, mode='wrap')
    sums = ResidualSums()
    fine = ndimage.convolve(noisy, np.outer([1, -2, 1], [1, -2, 1]))
    sums.add(ResidualSums.of_plane(noisy, noisy - 0.3 * fine, Gaussian(1.0)))
    (sentence,) = sums.check().warnings
    assert 'Only ' in sentence
    assert 'probably correlated' in sentence
    # and of independent noise only a part that is not otherwise special
    half = ResidualSums()
    half.add(ResidualSums.of_plane(100 + noise, 100 + 0.5 * noise, Gaussian(1.0)))
    (sentence,) = half.check().warnings
    assert 'noise parameters are too large' in sentence


def test_a_mean_is_told_where_no_level_without_light_is_known():
    family = Gaussian(2.0)
    found = check(0.9, 3.0, family)
    assert found.light is None
    (sentence,) = found.warnings
    assert '0.15 noise standard deviations' in sentence
    assert 'darker' not in sentence


def test_what_had_to_be_set_right_is_told():
    raised = check(1.0, 0.3, lacked=0.1)
    assert raised.lacked == pytest.approx(0.5, abs=0.05)
    (sentence,) = raised.warnings
    assert 'too dark and was raised' in sentence
    (sentence,) = check(1.0, 0.3, lacked=-0.05).warnings
    assert 'too bright and was lowered' in sentence
    assert check(1.0, 0.3, lacked=0.005).warnings == ()


def test_a_dark_image_has_no_share_of_light():
    found = check(1.0, 1e-4, PoissonGaussian(4.0, 100.0, 2.0), lacked=0.01)
    assert found.light is None
    assert found.lacked is None
    assert found.warnings == ()
