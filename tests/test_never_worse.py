"""A training on one image whose noise is not as it is told: never worse than without it."""

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score import DenoiseSettings, TrainSettings, denoise
from napari_noise2score.analysis.training_gain import gain_words
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.families import Gaussian
from napari_noise2score.noise.request import NoiseRequest

SIZE, SIGMA = 112, 10.0


def white(rng):
    return rng.normal(size=(SIZE, SIZE))


def correlated(rng):
    """By 0.3 with the pixels to the left and right."""
    drawn = rng.normal(size=(SIZE, SIZE + 2))
    mixed = drawn[:, 1:-1] + 0.16 * (drawn[:, 2:] + drawn[:, :-2])
    return mixed / mixed.std()


@pytest.mark.parametrize(
    ('noise', 'told'), [(correlated, SIGMA), (white, 0.8 * SIGMA)], ids=['correlated', 'gain']
)
def test_what_is_learned_of_the_noise_is_not_delivered(noise, told):
    rng = np.random.default_rng(0)
    scene = SCENES['nuclei']((SIZE, SIZE), np.random.default_rng(1))
    truth = 100 * (scene - scene.min()) / np.ptp(scene)
    noisy = (truth + SIGMA * noise(rng)).astype(np.float32)
    request = NoiseRequest.exactly(Gaussian(told))
    start, trained = (
        denoise(noisy, 'YX', DenoiseSettings(request, training=how, orientations=1))
        for how in (
            TrainSettings(seconds=0, device='cpu'),
            TrainSettings(seconds=None, steps=60, batch=8, patch=48, device='cpu'),
        )
    )
    before, after = (np.mean((result.image - truth) ** 2) for result in (start, trained))
    assert after <= before * 1.01
    training = trained.report['training']
    assert training['flat_places']['harmed']
    assert training['steps_done'] < 60


def test_noise_that_one_image_does_not_show_is_not_learned_from():
    """A camera that interpolates every second pixel: correlated noise that is not normal."""
    rng = np.random.default_rng(0)
    scene = SCENES['nuclei']((SIZE, SIZE), np.random.default_rng(1))
    truth = 100 * (scene - scene.min()) / np.ptp(scene)
    raw = truth + SIGMA * rng.normal(size=(2, SIZE, SIZE))
    around = ndimage.convolve(raw, np.array([[[0, 1, 0], [1, 0, 1], [0, 1, 0]]]) / 4)
    frames = np.where(np.indices((SIZE, SIZE)).sum(0) % 2, raw, around).astype(np.float32)
    training = TrainSettings(seconds=None, steps=30, batch=4, patch=48, device='cpu')
    settings = DenoiseSettings(training=training, orientations=1)
    one = denoise(frames[0], 'YX', settings)
    assert one.report['training']['steps_done'] == 0
    assert 'noise is not normal' in gain_words(one.report['training'])
    two = denoise(frames, 'TYX', settings)
    assert two.report['training']['steps_done'] == 30
