import threading
from itertools import pairwise

import numpy as np
import pytest
import torch

from napari_noise2score.errors import InputError, TrainingError
from napari_noise2score.noise.level_table import VarianceCurve
from napari_noise2score.pipeline import finish
from napari_noise2score.score import train as module
from napari_noise2score.score.network import NetworkSettings
from napari_noise2score.score.predict import predict_clean
from napari_noise2score.score.train import TrainSettings, train
from tests.score.helpers import FLAT, ArrayPlanes, noisy_planes, smooth_image

QUICK = {'seconds': None, 'batch': 4, 'patch': 32, 'device': 'cpu'}
SMALL = NetworkSettings(channels=16, levels=2, blocks=1)


def quick(steps: int, **more) -> TrainSettings:
    return TrainSettings(**{**QUICK, 'steps': steps, 'network': SMALL, **more})


def test_training_brings_the_image_nearer_to_the_truth():
    planes, clean = noisy_planes(), smooth_image()
    model = finish(train([planes], [FLAT], quick(150)))
    result = finish(predict_clean(model, planes, FLAT, device='cpu'))
    before = np.mean((planes.array - clean) ** 2)
    after = np.mean((result - clean) ** 2)
    assert before == pytest.approx(1.0, abs=0.05)
    assert after < 0.12


def test_progress_counts_and_the_loss_falls():
    steps = list(train([noisy_planes()], [FLAT], quick(60)))
    assert [progress.step for progress in steps] == list(range(1, 61))
    assert steps[-1].fraction == 1.0
    assert steps[-1].loss < 0.8 < 1.0
    assert all(a.seconds <= b.seconds for a, b in pairwise(steps))


def test_same_seed_gives_the_same_weights_bit_for_bit_and_another_seed_others():
    models = [
        finish(train([noisy_planes()], [FLAT], quick(12, seed=seed))).network.state_dict()
        for seed in (1, 1, 2)
    ]
    assert all(torch.equal(models[0][key], models[1][key]) for key in models[0])
    assert not all(torch.equal(models[0][key], models[2][key]) for key in models[0])


def test_stopping_keeps_the_weights_learned_so_far():
    stop = threading.Event()
    steps = train([noisy_planes()], [FLAT], quick(100_000), stop=stop)
    for _ in range(20):
        next(steps)
    stop.set()
    model = finish(steps)
    assert model.training['steps_done'] == 20
    twenty = finish(train([noisy_planes()], [FLAT], quick(20)))
    # the cosine looks at the planned end, so the weights differ, but both have left the start
    assert model.network.tail.weight.abs().max() > 0
    assert twenty.network.tail.weight.abs().max() > 0


def test_time_limit_ends_the_training():
    steps = list(train([noisy_planes()], [FLAT], quick(100_000, seconds=0.5)))
    assert steps[-1].step < 100_000
    assert steps[-2].seconds < 0.5 or len(steps) < 3


def test_non_finite_loss_stops_with_advice():
    broken = noisy_planes()
    broken.array[:] = np.nan
    with pytest.raises(TrainingError, match=r'non-finite at step 1; lower the learning rate'):
        finish(train([broken], [FLAT], quick(5)))


def test_a_training_that_learned_nothing_is_reported(monkeypatch):
    """White noise around one level, read as 20 times stronger than it is."""
    monkeypatch.setattr(module, '_TRIVIAL', 0.0)
    with pytest.raises(TrainingError, match='nothing was learned in 200 steps'):
        finish(train([noisy_planes()], [FLAT], quick(200)))


def test_images_are_trained_jointly_each_with_its_own_noise():
    """Half the noise variance in the second image: reading it right keeps its detail."""
    clean = smooth_image()
    rng = np.random.default_rng(8)
    quiet = ArrayPlanes(clean + 0.5**0.5 * rng.normal(size=clean.shape))
    half = VarianceCurve(-50.0, 50.0, np.full(8, 0.5))
    model = finish(train([noisy_planes(), quiet], [FLAT, half], quick(150)))
    result = finish(predict_clean(model, quiet, half, device='cpu'))
    assert np.mean((result - clean) ** 2) < 0.10


def test_published_loss_trains_too():
    steps = list(train([noisy_planes()], [FLAT], quick(40, loss='published')))
    assert steps[-1].loss < 1.1


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        ({'seconds': None}, 'needs one limit'),
        ({'seconds': 0.0}, 'training time is 0.0 s'),
        ({'seconds': float('nan')}, 'training time is nan'),
        ({'steps': 0}, 'training steps are 0'),
        ({'loss': 'huber'}, "'huber' is unknown; known are preconditioned, published"),
        ({'batch': 0}, 'batch is 0'),
        ({'patch': 30}, 'patch is 30 pixels; a multiple of 4'),
        ({'learning_rate': 2.0}, 'learning rate is 2.0'),
        ({'seed': -1}, 'seed is -1'),
    ],
)
def test_settings_out_of_range_are_refused(arguments, text):
    with pytest.raises(InputError, match=text):
        TrainSettings(**arguments)


def test_no_images_and_unknown_devices_are_refused():
    with pytest.raises(InputError, match='0 images'):
        finish(train([], [], quick(1)))
    with pytest.raises(InputError, match="'tpu' is unknown; known are auto, cpu"):
        finish(train([noisy_planes()], [FLAT], quick(1, device='tpu')))
