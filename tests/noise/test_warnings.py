"""What is said of effects other than noise speaks of the estimate, not of the denoising."""

from __future__ import annotations

import numpy as np
import pytest

from napari_noise2score import PoissonGaussian, estimate_noise
from napari_noise2score.noise.estimate.noise_fit import _sentences
from napari_noise2score.noise.photon_transfer import Disturbances


@pytest.mark.parametrize(
    ('seen', 'words'),
    [
        (
            {'unsteady': True},
            'The frames differ by more than noise (motion, other scenes), so the noise was '
            'estimated in each frame by itself.',
        ),
        ({'moving': 0.1}, 'Moving places were left out of the noise estimate (10 %).'),
        (
            {'other_scenes': 0.5},
            '50 % of the neighbouring frames do not show the same scene (motion, cut, dark frame) '
            'and were not compared to estimate the noise.',
        ),
        (
            {'offset_range': 3.0},
            'The offset differs by up to 3 grey levels between frames; the estimated offset is '
            'their mean.',
        ),
        (
            {'hot': 0.001},
            '0.1 % of the pixels stand out from all their neighbours (hot pixels, cosmic rays) '
            'and were left out of the noise estimate.',
        ),
    ],
)
def test_it_is_the_estimate_that_is_spoken_of(seen, words):
    assert _sentences(Disturbances(**seen)) == [words]


@pytest.mark.parametrize(
    ('copies', 'words'),
    [
        (1, '1 repeated frame was not used to estimate the noise.'),
        (2, '2 repeated frames were not used to estimate the noise.'),
    ],
)
def test_repeated_frames_are_counted(copies, words):
    rng = np.random.default_rng(0)
    clean = 20 + 4 * np.linspace(1, 30, 64) * np.ones((3, 64, 1))
    noisy = PoissonGaussian(4, 20, 3).sample(clean, rng)
    assert words in estimate_noise(np.concatenate([noisy, noisy[:copies]])).warnings


def test_a_computed_image_in_whole_numbers_is_told_from_a_noisy_one():
    y, x = np.mgrid[:128, :128]
    smooth = 1000 + 400 * np.sin(x / 9) * np.cos(y / 13)
    rng = np.random.default_rng(0)
    words = 'hardly more than the rounding to whole numbers'

    def told(image: np.ndarray) -> bool:
        return any(words in warning for warning in estimate_noise(image).warnings)

    assert told(np.round(smooth).astype(np.uint16))
    assert not told(smooth.astype(np.float32) + rng.normal(0, 0.2, smooth.shape))
    assert not told(np.round(smooth + rng.normal(0, 1, smooth.shape)).astype(np.uint16))
    assert not told(rng.poisson(smooth / 15000).astype(np.uint8))  # single photons
