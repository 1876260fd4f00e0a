"""A training that begins with the pretrained weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_noise2score.errors import InputError
from napari_noise2score.progress import finish
from napari_noise2score.score.checkpoints import CheckpointSelection
from napari_noise2score.score.predict import predict_clean
from napari_noise2score.score.pretraining.weights import warm_start
from napari_noise2score.score.train import train
from napari_noise2score.settings import TrainSettings
from tests.score.helpers import ArrayPlanes, noisy_planes, smooth_image

QUICK = TrainSettings(seconds=None, steps=12, batch=4, patch=32, device='cpu')


def error(model, planes, clean) -> float:
    return float(np.mean((finish(predict_clean(model, planes, device='cpu')) - clean) ** 2))


def test_no_training_gives_the_start_itself_with_its_risk():
    clean, planes = smooth_image(), noisy_planes()
    for settings in (replace(QUICK, steps=0), replace(QUICK, steps=None, seconds=0.0)):
        model = finish(train([planes], settings))
        assert model.digest == warm_start().digest
        assert model.training['steps_done'] == model.training['delivered_step'] == 0
        assert model.training['start'] == {'sha256': model.digest}
        assert model.training['risk'] == model.training['start_risk']
        assert float(model.network.centre) == pytest.approx(10, abs=1)
        found = error(model, planes, clean)
        assert found < 0.06
        assert abs(model.training['risk']['value'] - found) < 0.1


def test_the_shipped_weights_are_not_changed_by_a_training():
    before = warm_start().digest
    model = finish(train([noisy_planes()], replace(QUICK, learning_rate=0.02)))
    assert model.training['steps_done'] > 0
    assert warm_start().digest == before
    assert float(warm_start().network.centre) == 0


def test_weights_are_evaluated_once_a_step(monkeypatch):
    steps, evaluate = [], CheckpointSelection.evaluate

    def counted(self, network, clean, step):
        steps.append(step)
        evaluate(self, network, clean, step)

    monkeypatch.setattr(CheckpointSelection, 'evaluate', counted)
    finish(train([noisy_planes()], replace(QUICK, steps=10)))
    assert steps[0] == 0
    assert len(steps) == len(set(steps)) > 3
    finish(train([noisy_planes()], replace(QUICK, steps=0)))
    assert steps[-1] == 0


def test_a_loss_of_another_kind_of_network_is_refused():
    with pytest.raises(InputError, match='trained with the loss preconditioned, and the loss pub'):
        finish(train([noisy_planes()], replace(QUICK, loss='published')))


def test_a_training_that_makes_it_worse_delivers_the_start():
    """Such a high rate destroys what the network knew."""
    model = finish(train([noisy_planes()], replace(QUICK, steps=30, learning_rate=0.99)))
    training = model.training
    assert training['delivered_step'] == 0
    assert model.digest == warm_start().digest
    assert training['risk'] == training['start_risk']
    assert training['gain']['value'] == 0


def test_a_training_that_does_harm_in_flat_places_ends_early():
    model = finish(train([noisy_planes()], replace(QUICK, steps=100, learning_rate=0.99)))
    assert model.training['flat_places']['harmed']
    assert model.training['steps_done'] <= 35


def test_a_training_on_frames_that_has_gained_nothing_clearly_ends_early():
    scene = smooth_image(1)[[0, 0]]
    frames = ArrayPlanes(
        scene + np.random.default_rng(3).normal(size=scene.shape), pairs=((0, 1),)
    )
    model = finish(train([frames], replace(QUICK, steps=100, learning_rate=1e-8)))
    assert model.training['delivered_step'] == 0
    assert 35 <= model.training['steps_done'] <= 45


def test_a_training_may_start_from_any_model(tmp_path):
    first = finish(train([noisy_planes()], QUICK))
    path = tmp_path / 'first.safetensors'
    first.save(path)
    for model in (
        finish(train([noisy_planes()], replace(QUICK, init=str(path), steps=0))),
        finish(train([noisy_planes()], replace(QUICK, steps=0), start=first)),
    ):
        assert model.training['start'] == {'sha256': first.digest}
        assert model.digest == first.digest


def test_progress_tells_the_gain():
    steps = list(train([noisy_planes()], replace(QUICK, steps=40)))
    assert all(step.start_risk == steps[0].start_risk for step in steps)
    assert steps[0].risk == steps[0].start_risk
    assert all(step.risk <= step.start_risk for step in steps)


def test_patches_must_fit_the_start():
    with pytest.raises(InputError, match='a multiple of 4'):
        replace(QUICK, patch=30)


def test_a_stack_unlike_the_pretraining_is_learned():
    """Fine gratings of one kind: 60 steps lower the risk by more than its standard error."""
    y, x = np.mgrid[:96, :96]
    rng = np.random.default_rng(0)
    scene = 10 + 2 * np.sin(2 * np.pi * (0.31 * x + 0.17 * y)) * np.sin(2 * np.pi * 0.4 * y)
    clean = np.repeat(scene[None], 4, axis=0)
    pairs = ((0, 1), (1, 2), (2, 3))
    planes = ArrayPlanes(clean + rng.normal(size=clean.shape), pairs=pairs)
    start = finish(train([planes], replace(QUICK, steps=0)))
    model = finish(train([planes], replace(QUICK, steps=60, learning_rate=4e-3)))
    gain = model.training['gain']
    assert gain['value'] > 2 * gain['standard_error'] > 0
    assert error(model, planes, clean) < 0.8 * error(start, planes, clean)
    assert not any(torch.isnan(w).any() for w in model.network.parameters())
