"""What a training changed."""

from dataclasses import replace

import numpy as np
import pytest

from napari_noise2score.analysis.training_effect import start_of, training_difference
from napari_noise2score.errors import CheckpointError, InputError
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.progress import finish
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.plain import ScoreNetwork
from napari_noise2score.score.pretraining.weights import warm_start
from napari_noise2score.settings import DenoiseSettings, NetworkSettings, TrainSettings

TRAINING = TrainSettings(seconds=None, steps=8, batch=4, patch=32, device='cpu')
ALONE = DenoiseSettings(training=TRAINING, orientations=1, context='none')
"""With a context, its share would be measured for each result."""


@pytest.fixture(scope='module')
def stack():
    return synthetic_stack('nuclei', frames=2, size=64, seed=2)


@pytest.fixture(scope='module')
def result(stack):
    two = np.stack([stack.noisy, stack.noisy[:, ::-1]], axis=1)
    return denoise(two, 'ZCYX', ALONE)


def test_it_is_the_difference_of_the_two_results_in_noise_units(stack, result):
    change = finish(training_difference(result.score_map, device='cpu', orientations=1))
    assert change.image.shape == (2, 2, 64, 64)
    assert change.image.dtype == np.float32
    assert change.image.any()
    start = replace(TRAINING, steps=0)
    two = np.stack([stack.noisy, stack.noisy[:, ::-1]], axis=1)
    before = denoise(two, 'ZCYX', replace(ALONE, training=start))
    for channel in range(2):
        expected = result.score_map.clean[channel] - before.score_map.clean[channel]
        np.testing.assert_allclose(change.image[:, channel], expected, atol=1e-5)


def test_it_is_found_where_it_is_largest(result):
    change = finish(training_difference(result.score_map, device='cpu', orientations=1))
    for channel, largest in enumerate(change.largest):
        rows, columns = (slice(start, start + largest.size) for start in (largest.y, largest.x))
        square = change.image[largest.plane, channel, rows, columns]
        assert largest.rms == pytest.approx(np.sqrt(np.mean(square**2)), rel=1e-4)
        whole = np.sqrt(np.mean(change.image[:, channel] ** 2))
        assert largest.rms_of_channel == pytest.approx(whole, rel=1e-4)
        assert largest.rms >= largest.rms_of_channel
        assert set(largest.to_dict()) == {'plane', 'y', 'x', 'size', 'rms', 'rms_of_channel'}


def test_a_score_from_scratch_has_no_start():
    scratch = ScoreModel(ScoreNetwork(NetworkSettings(8, 2, 1)), 'preconditioned', {})
    with pytest.raises(InputError, match='was trained from scratch'):
        start_of(scratch)
    old = ScoreModel(scratch.network, 'preconditioned', {'init': 'scratch'})
    with pytest.raises(InputError, match='was trained from scratch'):
        start_of(old)


def test_a_start_that_is_another_one_now_is_refused():
    training = {'init': 'warm', 'start': {'sha256': 'of another release'}}
    model = ScoreModel(warm_start().network, 'preconditioned', training)
    with pytest.raises(
        CheckpointError, match='warm: the file has changed since this model was trained from it'
    ):
        start_of(model)
