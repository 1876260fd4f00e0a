"""Reduced precision on processors that get it wrong: imitated, so on any machine."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from napari_noise2score.errors import TrainingError
from napari_noise2score.progress import finish
from napari_noise2score.score.denoiser import Denoiser, NoiseConditioning
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.plain import ScoreNetwork
from napari_noise2score.score.parameterisation import CleanImage
from napari_noise2score.score.precision import TOLERANCE, Layer, Precision, layers_of, tried
from napari_noise2score.score.predict import predict_clean
from napari_noise2score.score.pretraining.pretrain import pretrain
from napari_noise2score.score.pretraining.weights import warm_start, warm_start_with_context
from napari_noise2score.score.sampler import PatchSampler
from napari_noise2score.score.train import train
from napari_noise2score.settings import NetworkSettings, PretrainSettings, TrainSettings
from tests.score.helpers import ArrayPlanes, noisy_planes

CPU = torch.device('cpu')
SMALL = NetworkSettings(8, 2, 1)
QUICK = TrainSettings(seconds=None, steps=4, batch=2, patch=32, device='cpu')
CONV2D = Layer(nn.Conv2d, 32, 32, (3, 3), (1, 1), (1, 1))


class NoGradient(torch.autograd.Function):
    """Weights whose gradient comes out as NaN here and there."""

    @staticmethod
    def forward(context, weight):
        return weight.view_as(weight)

    @staticmethod
    def backward(context, gradient):
        wrong = torch.arange(gradient.numel()).view(gradient.shape) % 10 < 4
        return gradient.masked_fill(wrong, torch.nan)


class Processor:
    """Does convolutions; gets what is named wrong in bfloat16, as long as it is `broken`.

    Weights are in NCHW there: where the processor itself has no bfloat16, PyTorch has no gradient
    of others.
    """

    def __init__(self, monkeypatch) -> None:
        self.wrong, self.broken, self.seen = '', True, []
        right = F.conv2d

        def convolve(x, weight, *more, **named):
            low = torch.is_autocast_enabled('cpu')
            self.seen.append(low)
            if low and self.broken and self.wrong == 'output':
                return right(x, weight, *more, **named) * torch.nan
            if low and self.broken and self.wrong == 'gradient':
                weight = NoGradient.apply(weight)
            if low:
                weight = weight.contiguous()
            return right(x, weight, *more, **named)

        monkeypatch.setattr(F, 'conv2d', convolve)

    @property
    def used(self) -> set[bool]:
        """Whether convolutions were done in bfloat16 (True), in float32, or in both."""
        return set(self.seen)


@pytest.fixture
def processor(monkeypatch):
    tried.cache_clear()
    yield Processor(monkeypatch)
    tried.cache_clear()


def reduced(**more) -> Precision:
    return Precision(CPU, reduced=True, **more)


def believed(device, layer, learning) -> bool:
    """A trial that finds nothing."""
    return True


def small() -> ScoreModel:
    """Something to start from that computes fast."""
    network = ScoreNetwork(SMALL, torch.Generator().manual_seed(0))
    return ScoreModel(network.eval().requires_grad_(False), 'preconditioned', {})


def weights(model: ScoreModel) -> list[torch.Tensor]:
    return list(model.network.state_dict().values())


def same(one: ScoreModel, other: ScoreModel) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


LAYERS = layers_of(warm_start().network) | layers_of(warm_start_with_context().network)


@pytest.mark.parametrize('layer', sorted(LAYERS, key=str))
@pytest.mark.parametrize('learning', [False, True])
def test_layers_that_are_right_pass_the_trial(processor, monkeypatch, layer, learning):
    """As PyTorch computes them by itself, whatever the processor can."""
    monkeypatch.setattr(torch.backends.mkldnn, 'enabled', False)
    assert tried(CPU, layer, learning)


@pytest.mark.parametrize(
    ('wrong', 'applied', 'learned'),
    [('', True, True), ('output', False, False), ('gradient', True, False)],
)
def test_the_trial_finds_what_is_wrong(processor, wrong, applied, learned):
    processor.wrong = wrong
    assert tried(CPU, CONV2D, False) == applied
    assert tried(CPU, CONV2D, True) == learned


def test_the_trial_finds_numbers_that_are_wrong_but_finite(monkeypatch):
    tried.cache_clear()
    right = F.conv2d
    factor = 1 + 2 * TOLERANCE

    def convolve(x, *more, **named):
        return right(x, *more, **named) * (factor if torch.is_autocast_enabled('cpu') else 1)

    monkeypatch.setattr(F, 'conv2d', convolve)
    assert not tried(CPU, CONV2D, False)
    tried.cache_clear()


def test_a_layer_that_the_device_does_not_have_is_computed_in_float32(monkeypatch):
    tried.cache_clear()

    def missing(x, *more):
        raise RuntimeError('could not create a primitive descriptor')

    monkeypatch.setattr(F, 'conv2d', missing)
    assert not tried(CPU, CONV2D, True)
    tried.cache_clear()


def test_a_trial_is_made_once_and_draws_from_no_other_random_numbers(processor):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    for _ in range(3):
        assert tried(CPU, CONV2D, True)
    assert len(processor.seen) == 2
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize('pairs', [(), ((0, 1), (1, 2))])
def test_a_step_that_is_not_finite_is_repeated_as_it_was(processor, pairs, caplog):
    """From the first step on: the training is bit for bit the one in float32."""
    planes = ArrayPlanes(noisy_planes(3).array, pairs=pairs)
    start = small()
    full = Precision(CPU, reduced=False)
    exact = finish(train([planes], QUICK, start=start, precision=full))
    processor.wrong = 'gradient'
    with caplog.at_level(logging.WARNING):
        precision = reduced(is_right=believed)
        model = finish(train([planes], QUICK, start=start, precision=precision))
    assert model.training['float32_from_step'] == 1
    assert exact.training['float32_from_step'] is None
    assert len(caplog.records) == 1
    assert 'step 1 of the training was not finite in bfloat16' in caplog.text
    assert model.training['final_loss'] == exact.training['final_loss']
    assert model.training['skipped_steps'] == exact.training['skipped_steps'] == 0


def test_from_a_later_step_on_the_training_stays_in_float32(processor):
    processor.broken, processor.wrong = False, 'gradient'
    precision = reduced(is_right=believed)
    steps = train(
        [noisy_planes()], replace(QUICK, init='scratch', network=SMALL), precision=precision
    )
    next(steps)
    next(steps)
    assert processor.used == {True}
    processor.broken = True
    next(steps)
    processor.seen.clear()
    model = finish(steps)
    assert processor.used == {False}
    assert model.training['float32_from_step'] == 3
    assert model.training['skipped_steps'] == 0


def test_planes_at_hand_are_drawn_again_too():
    """Of an image that does not fit in memory only some planes are drawn from at a time."""
    array = np.random.default_rng(0).normal(size=(40, 32, 32))
    generator = torch.Generator().manual_seed(0)
    sampler = PatchSampler([ArrayPlanes(array)], 16, generator, in_memory=3 * 4 * 32 * 32)
    for _ in range(5):
        sampler.draw(8)
    state = sampler.state
    drawn = [sampler.draw(8) for _ in range(5)]
    sampler.restore(state)
    again = [sampler.draw(8) for _ in range(5)]
    for one, other in zip(drawn, again, strict=True):
        assert torch.equal(one.values, other.values)


@pytest.mark.parametrize('low', [False, True])
def test_what_is_not_finite_in_float32_either_fails_with_advice_to_follow(low):
    broken = noisy_planes()
    broken.array[:] = np.nan
    with pytest.raises(TrainingError, match='at step 1, in full precision too') as caught:
        finish(train([broken], QUICK, precision=Precision(CPU, reduced=low)))
    assert 'values that are NaN' in str(caught.value)
    assert 'learning rate' not in str(caught.value)
    with pytest.raises(TrainingError, match='lower the learning rate'):
        finish(train([broken], replace(QUICK, learning_rate=0.5)))


def test_weights_that_are_destroyed_do_not_take_the_start_with_them(monkeypatch):
    """A gradient too long for float32 is an outlier, and the start is delivered."""
    real, calls = nn.utils.clip_grad_norm_, []

    def clip(parameters, most):
        calls.append(1)
        length = real(parameters, most)
        return length * torch.inf if len(calls) > 5 else length

    monkeypatch.setattr(nn.utils, 'clip_grad_norm_', clip)
    model = finish(train([noisy_planes()], replace(QUICK, steps=40), start=small()))
    assert model.training['skipped_steps'] == model.training['steps_done'] - 5 >= 10
    assert model.training['risk']['value'] <= model.training['start_risk']['value']
    assert all(values.isfinite().all() for values in weights(model))


def test_a_training_from_scratch_whose_weights_are_destroyed_begins_anew(monkeypatch):
    real, calls = nn.utils.clip_grad_norm_, []

    def clip(parameters, most):
        calls.append(1)
        length = real(parameters, most)
        return length * torch.inf if 5 < len(calls) <= 25 else length

    monkeypatch.setattr(nn.utils, 'clip_grad_norm_', clip)
    settings = replace(QUICK, init='scratch', network=SMALL, steps=40)
    model = finish(train([noisy_planes()], settings, precision=Precision(CPU, reduced=False)))
    assert model.training['restarts'] == 1


def test_a_tile_that_is_not_finite_is_computed_again_in_float32(processor):
    processor.wrong = 'output'
    model, planes = small(), noisy_planes()
    options = {'device': 'cpu', 'tile': 64, 'orientations': 2, 'sigma_a': 0.5}
    exact = finish(predict_clean(model, planes, exact=True, **options))
    for precision in (reduced(is_right=believed), reduced()):  # found by the tile, by the trial
        found = finish(predict_clean(model, planes, precision=precision, **options))
        np.testing.assert_array_equal(found, exact)
    assert np.isfinite(exact).all()


def test_an_image_that_is_not_finite_itself_is_computed_once(processor):
    planes = noisy_planes(1, 64)
    planes.array[0, 30, 30] = np.nan
    model = small()
    precision = reduced(is_right=believed)
    finish(predict_clean(model, planes, device='cpu', orientations=1, precision=precision))
    assert processor.used == {True}


def test_the_risk_is_measured_in_float32_where_bfloat16_is_not_finite(processor):
    processor.wrong = 'output'
    planes, network = noisy_planes(), small().network
    slabs, noise = torch.from_numpy(planes.array)[:, None], NoiseConditioning([planes], CPU)
    image = torch.zeros(len(slabs), dtype=torch.long)
    found, exact = (
        Denoiser(network, CleanImage(), noise, precision).denoise(slabs, image)
        for precision in (reduced(is_right=believed), Precision(CPU, reduced=False))
    )
    assert torch.equal(found, exact)


def test_a_pretraining_goes_on_in_float32(processor):
    settings = PretrainSettings(
        3, batch=2, patch=32, device='cpu', network=NetworkSettings(8, 2, 1)
    )
    exact = finish(pretrain(settings, precision=Precision(CPU, reduced=False)))
    processor.wrong = 'gradient'
    precision = reduced(is_right=believed)
    model = finish(pretrain(settings, precision=precision))
    assert precision.full_from == 1
    assert same(model, exact)


def test_a_pretraining_whose_images_are_no_numbers_says_so():
    settings = PretrainSettings(
        3, batch=2, patch=32, device='cpu', network=NetworkSettings(8, 2, 1)
    )
    steps = pretrain(settings, source=lambda size, rng: np.full((size, size), np.nan))
    with pytest.raises(TrainingError, match='check the clean images'):
        finish(steps)
