import threading
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_noise2score.errors import InputError, TrainingError
from napari_noise2score.noise.level_table import VarianceCurve
from napari_noise2score.progress import finish
from napari_noise2score.score import monitor
from napari_noise2score.score import training_run as module
from napari_noise2score.score.checkpoints import CheckpointSelection
from napari_noise2score.score.loss import LOSSES
from napari_noise2score.score.network.plain import ScoreNetwork
from napari_noise2score.score.predict import predict_clean
from napari_noise2score.score.probe import draw_probe
from napari_noise2score.score.train import train
from napari_noise2score.settings import NetworkSettings, TrainSettings
from tests.score.helpers import ArrayPlanes, noisy_planes, smooth_image

QUICK = {'seconds': None, 'batch': 4, 'patch': 32, 'device': 'cpu'}
SMALL = NetworkSettings(channels=16, levels=2, blocks=1)


def quick(steps: int, **more) -> TrainSettings:
    return TrainSettings(**{**QUICK, 'steps': steps, 'init': 'scratch', 'network': SMALL, **more})


@pytest.mark.parametrize(
    ('loss', 'steps', 'left'),
    [('preconditioned', 150, 0.12), ('published', 200, 0.15), ('sliced', 100, 0.12)],
)
def test_training_brings_the_image_nearer_to_the_truth(loss, steps, left):
    """From 200 steps on a training is judged by its loss, but not one by the published loss."""
    planes, clean = noisy_planes(), smooth_image()
    model = finish(train([planes], quick(steps, loss=loss)))
    result = finish(predict_clean(model, planes, device='cpu'))
    before = np.mean((planes.array - clean) ** 2)
    after = np.mean((result - clean) ** 2)
    assert before == pytest.approx(1.0, abs=0.05)
    assert after < left


def test_progress_counts_and_the_loss_falls():
    steps = list(train([noisy_planes()], quick(60)))
    assert [progress.step for progress in steps] == list(range(1, 61))
    assert steps[-1].fraction == 1.0
    assert steps[-1].loss < 0.8 < 1.0
    assert all(a.seconds <= b.seconds for a, b in pairwise(steps))


@pytest.mark.parametrize('loss', list(LOSSES))
def test_same_seed_gives_the_same_weights_bit_for_bit_and_another_seed_others(loss):
    models = [
        finish(train([noisy_planes()], quick(12, seed=seed, loss=loss))).network.state_dict()
        for seed in (1, 1, 2)
    ]
    assert all(torch.equal(models[0][key], models[1][key]) for key in models[0])
    assert not all(torch.equal(models[0][key], models[2][key]) for key in models[0])


def test_stopping_keeps_the_weights_learned_so_far():
    stop = threading.Event()
    steps = train([noisy_planes()], quick(100_000), stop=stop)
    for _ in range(20):
        next(steps)
    stop.set()
    model = finish(steps)
    assert model.training['steps_done'] == 20
    twenty = finish(train([noisy_planes()], quick(20)))
    # the cosine looks at the planned end, so the weights differ, but both have left the start
    assert model.network.tail.weight.abs().max() > 0
    assert twenty.network.tail.weight.abs().max() > 0


def test_time_limit_ends_the_training():
    steps = list(train([noisy_planes()], quick(100_000, seconds=0.5)))
    assert steps[-1].step < 100_000
    assert steps[-2].seconds < 0.5 or len(steps) < 3


def test_non_finite_loss_stops_with_advice():
    broken = noisy_planes()
    broken.array[:] = np.nan
    with pytest.raises(
        TrainingError, match=r'non-finite at step 1, in full precision too: check the'
    ):
        finish(train([broken], quick(5)))


def test_a_training_that_learns_nothing_begins_anew_and_is_reported(monkeypatch):
    monkeypatch.setattr(monitor, 'TRIVIAL', 0.0)
    with pytest.raises(TrainingError, match=r'nothing was learned in 650 steps .* 2 restart'):
        finish(train([noisy_planes()], quick(650, batch=1, patch=16)))


def test_a_training_that_sits_at_the_trivial_solution_is_saved_by_a_restart(monkeypatch):
    """The first network cannot learn: its last layer, which starts at zero, gets no gradient."""
    made = []

    class Stuck(ScoreNetwork):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)
            if len(made) == 1:
                self.tail.requires_grad_(False)

        def forward(self, z, sigma_a, *told):
            return (
                super().forward(z, sigma_a)
                if self.tail.weight.requires_grad
                else z + 0 * (self.head.weight.sum())
            )

    monkeypatch.setattr(module, 'network_of', Stuck)
    model = finish(train([noisy_planes()], quick(400, batch=2)))
    assert model.training['restarts'] == 1
    assert model.training['final_loss'] < 0.8
    assert model.training['risk']['value'] < 0.3


def test_outlier_steps_are_skipped_and_counted():
    watch = monitor.LossMonitor()
    for _ in range(60):
        assert watch.accepts(0.5, 1.0)
    assert not watch.accepts(40.0, 11.0)
    assert watch.skipped == 1
    assert watch.loss == pytest.approx(0.5)
    assert watch.accepts(0.5, 9.0)


def test_earlier_weights_are_delivered_where_their_risk_was_clearly_lower():
    """Noise of twice the modelled variance at the end of the training, by a broken learning."""
    clean = smooth_image(4)
    noise = np.random.default_rng(5).normal(size=clean.shape)
    scene = np.stack([clean[0]] * 4)
    planes = ArrayPlanes(scene + noise, pairs=((0, 1), (1, 2), (2, 3)))
    probe = draw_probe([planes], 32, torch.Generator().manual_seed(0))
    checkpoints = CheckpointSelection(probe, good=False)
    network = torch.nn.Linear(1, 1)
    smooth = ndimage.gaussian_filter(probe.noisy, (0, 2, 2))
    checkpoints.evaluate(network, lambda probe: smooth, 10)
    weight = network.weight.detach().clone()
    with torch.no_grad():
        network.weight += 1
    checkpoints.evaluate(network, lambda probe: probe.noisy, 20)
    best = checkpoints.deliver(network)
    assert best.step == 10
    assert best.risk.value == checkpoints.best.value < 0.5
    assert torch.equal(network.weight, weight)
    # and the last ones where there is no clear difference
    checkpoints.evaluate(network, lambda probe: smooth, 30)
    assert checkpoints.deliver(network).step == 30


def test_what_is_worse_than_the_start_by_however_little_is_not_delivered():
    scene = np.stack([smooth_image(1)[0]] * 2)
    noise = np.random.default_rng(5).normal(size=scene.shape)
    planes = ArrayPlanes(scene + noise, pairs=((0, 1),))
    probe = draw_probe([planes], 32, torch.Generator().manual_seed(0))
    smooth = ndimage.gaussian_filter(probe.noisy, (0, 2, 2))
    better, worse = sorted(
        (smooth, smooth + np.float32(1e-4)), key=lambda clean: probe.risk(clean).value
    )
    checkpoints = CheckpointSelection(probe, good=True)
    network = torch.nn.Linear(1, 1)
    checkpoints.evaluate(network, lambda probe: better, 0)
    checkpoints.evaluate(network, lambda probe: worse, 1)
    assert checkpoints.since_best == 1
    assert checkpoints.deliver(network).step == 0


def test_images_are_trained_jointly_each_with_its_own_noise():
    """Half the noise variance in the second image: reading it right keeps its detail."""
    clean = smooth_image()
    rng = np.random.default_rng(8)
    half = VarianceCurve(-50.0, 50.0, np.full(8, 0.5))
    quiet = ArrayPlanes(clean + 0.5**0.5 * rng.normal(size=clean.shape), half)
    model = finish(train([noisy_planes(), quiet], quick(150)))
    result = finish(predict_clean(model, quiet, device='cpu'))
    assert np.mean((result - clean) ** 2) < 0.10


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        ({'seconds': None}, 'needs one limit'),
        ({'seconds': -1.0}, 'seconds is -1.0; a finite number of 0 or more'),
        ({'seconds': 0.0, 'init': 'scratch'}, 'the weights stay random'),
        ({'steps': 0, 'init': 'scratch'}, 'the weights stay random'),
        ({'network': SMALL}, "a network is given, but init is 'warm'"),
        ({'seconds': float('nan')}, 'seconds is nan'),
        ({'steps': -1}, 'steps is -1; a whole number of 0 or more'),
        ({'loss': 'huber'}, "'huber' is unknown; accepted are preconditioned, published, sliced"),
        ({'batch': 0}, 'batch is 0'),
        ({'patch': 30}, 'patch is 30 pixels; a multiple of 4'),
        ({'learning_rate': 2.0}, 'learning_rate is 2.0; a finite number above 0 and below 1'),
        ({'seed': -1}, 'seed is -1'),
    ],
)
def test_settings_out_of_range_are_refused(arguments, text):
    with pytest.raises(InputError, match=text):
        TrainSettings(**arguments)


def test_no_images_and_unknown_devices_are_refused():
    with pytest.raises(InputError, match='0 images'):
        finish(train([], quick(1)))
    with pytest.raises(InputError, match="'tpu' is unknown; accepted are auto, cpu"):
        finish(train([noisy_planes()], quick(1, device='tpu')))


def test_the_clock_stands_still_while_the_caller_has_the_training():
    steps = train([noisy_planes()], quick(3))
    first = next(steps)
    time.sleep(2)
    second = next(steps)
    assert second.seconds - first.seconds < 2


def test_a_tiny_image_is_learned_from_too():
    """The pixels that are held back for the risk would be all of it."""
    planes = ArrayPlanes(smooth_image(1, 20) + np.random.default_rng(1).normal(size=(1, 20, 20)))
    model = finish(train([planes], quick(3, patch=64)))
    assert model.training['final_loss'] > 0
