"""Correlation of the noise of one image, from what a denoiser removes."""

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.estimate.blind import estimate_noise
from napari_noise2score.noise.estimate.flat_patches import response
from napari_noise2score.noise.estimate.residual_correlation import from_residual, with_correlation

SIDE = 320


def along_rows(share: float, shape=(SIDE, SIDE)) -> np.ndarray:
    """Noise of variance one, with this correlation between next neighbours in a row."""
    white = np.random.default_rng(0).normal(size=(shape[0], shape[1] + 1))
    side = (1 - (1 - 4 * share**2) ** 0.5) / (2 * share) if share else 0.0
    return (white[:, 1:] + side * white[:, :-1]) / (1 + side**2) ** 0.5


def scene() -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    return 20 * np.sin(y / 40) * np.cos(x / 50)


def smoothed(noisy: np.ndarray) -> np.ndarray:
    """A denoiser that keeps part of the noise, so that what it removes looks correlated."""
    return ndimage.gaussian_filter(noisy, 1.5)


def ones(level: np.ndarray) -> np.ndarray:
    return np.ones_like(level)


@pytest.mark.parametrize('share', [0.06, 0.1, 0.3])
def test_the_correlation_is_that_of_the_noise_whatever_the_denoiser_leaves(share):
    everywhere = np.ones((SIDE, SIDE), bool)
    noisy = scene() + along_rows(share)
    found = from_residual(noisy, everywhere, smoothed, ones)
    assert found.along_rows == pytest.approx(share, abs=0.03)
    assert abs(found.along_columns) < 0.05


def test_white_noise_is_white_and_constants_tell_nothing():
    everywhere = np.ones((SIDE, SIDE), bool)
    assert from_residual(scene() + along_rows(0.0), everywhere, smoothed, ones).is_white
    assert from_residual(np.ones((SIDE, SIDE)), everywhere, smoothed, ones) is None
    nowhere = np.zeros((SIDE, SIDE), bool)
    assert from_residual(scene() + along_rows(0.1), nowhere, smoothed, ones) is None


def test_hot_pixels_and_row_offsets_are_no_correlation():
    everywhere = np.ones((SIDE, SIDE), bool)
    rng = np.random.default_rng(1)
    noisy = scene() + along_rows(0.0) + 0.4 * rng.normal(size=(SIDE, 1))
    noisy[rng.random(noisy.shape) < 0.001] += 50
    assert from_residual(noisy, everywhere, smoothed, ones).is_white


@pytest.mark.parametrize('share', [0.05, 0.12])
def test_the_variance_of_single_frames_allows_for_a_slight_correlation(share):
    fit = estimate_noise(100 + 5 * along_rows(share, (512, 512)))
    kernel = np.zeros((5, 5))
    kernel[2] = [0, share, 1, share, 0]
    corrected = with_correlation(fit, Correlation(kernel))
    low, right = fit.family.sigma, corrected.family.sigma
    assert low < 0.98 * 5
    assert right == pytest.approx(5, rel=0.015)
    assert corrected.errors['sigma'] / fit.errors['sigma'] == pytest.approx(right / low)
    assert corrected.refined
    assert corrected.correlation.is_white  # what a network is told
    assert 'slight correlation' in corrected.correlation_words
    back = with_correlation(corrected, Correlation.white())
    assert back.family.sigma == pytest.approx(low)
    assert response(Correlation(kernel)) == pytest.approx((low / right) ** 2)
