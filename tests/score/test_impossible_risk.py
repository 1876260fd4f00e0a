"""No mean squared error is below zero: a risk that is proves a wrong judge, decides nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_noise2score.analysis.training_gain import gain_words
from napari_noise2score.score.checkpoints import CheckpointSelection
from napari_noise2score.score.risk import Risk

SPREAD = 0.01
PAIRED = SimpleNamespace(risk=lambda clean: clean, paired=np.ones(1, bool))


def risk(value: float, **more: float) -> Risk:
    """With a standard error of 0.001."""
    places = np.tile([value - SPREAD, value + SPREAD], 50)
    return Risk(places, 0.0, **more)


def test_below_zero_by_more_than_its_error_is_impossible():
    assert risk(-0.05).impossible
    assert not risk(-0.05).known
    assert risk(-0.05).to_dict() == {
        'value': None,
        'standard_error': None,
        'impossible': pytest.approx(-0.05),
    }
    by_chance = risk(-0.0015)
    assert by_chance.known
    assert set(by_chance.to_dict()) == {'value', 'standard_error', 'noise'}


def test_its_error_is_that_of_the_noise_variance_too():
    assert risk(-0.05, doubt=0.01).impossible
    assert risk(-0.05, doubt=0.03).known
    together = Risk.of_all([risk(-0.05, doubt=0.01), risk(-0.05, doubt=0.05)])
    assert together.known
    assert len(together.places) == 200


def test_an_impossible_risk_beats_nothing():
    assert risk(0.01).beats(risk(0.05))
    assert not risk(-0.05).beats(risk(0.05))
    assert not risk(-0.05).beats(risk(-0.01))


def delivered(*values: float, keep_first: bool = True) -> int:
    """Step of the weights that are delivered after evaluations of such risks."""
    checkpoints = CheckpointSelection(PAIRED, good=keep_first)
    network = torch.nn.Linear(1, 1)
    for step, value in enumerate(values):
        network.weight.data.fill_(step)
        checkpoints.evaluate(network, lambda probe, value=value: risk(value), step)
    step = checkpoints.deliver(network).step
    assert network.weight.item() == step
    return step


def test_weights_of_an_impossible_risk_are_not_delivered():
    assert delivered(0.1, 0.05, 0.07) == 1
    assert delivered(0.1, 0.05, -0.2) == 1
    assert delivered(0.1, -0.05, -0.2) == 0


def test_where_the_start_has_an_impossible_risk_it_stays():
    assert delivered(-0.05, -0.2, -0.3) == 0
    assert delivered(-0.05, 0.1, 0.02) == 0


def test_without_a_start_an_impossible_risk_makes_no_difference():
    assert delivered(0.3, 0.05, 0.2, keep_first=False) == 1
    assert delivered(0.3, -0.2, 0.2, keep_first=False) == 2
    assert delivered(0.3, 0.2, -0.2, keep_first=False) == 2


def test_a_single_image_of_an_impossible_risk_keeps_the_start():
    alone = SimpleNamespace(
        risk=lambda clean: risk(float(clean.mean())),
        paired=np.zeros(1, bool),
        normal=np.zeros(1, bool),
        noisy=np.zeros((2, 64, 64), np.float32),
        image=np.zeros(2, np.int64),
        witness=np.full((1, 64, 64), np.nan, np.float32),
    )
    checkpoints = CheckpointSelection(alone, good=True)
    network = torch.nn.Linear(1, 1)
    for step, value in enumerate((-0.1, -0.1, -0.2)):
        clean = np.full((2, 64, 64), value, np.float32)
        checkpoints.evaluate(network, lambda probe, clean=clean: clean, step)
        assert checkpoints.refused == step + 1
    assert checkpoints.deliver(network).step == 0


def test_evaluations_of_impossible_risks_end_a_training_that_gains_nothing():
    checkpoints = CheckpointSelection(PAIRED, good=True)
    network = torch.nn.Linear(1, 1)
    for step, value in enumerate((0.1, -0.1, -0.2, -0.3)):
        checkpoints.evaluate(network, lambda probe, value=value: risk(value), step)
    assert checkpoints.since_best == 3


def test_a_gain_is_not_told_from_an_impossible_risk():
    told = {
        'steps_done': 60,
        'delivered_step': 0,
        'risk': risk(-0.05).to_dict(),
        'start_risk': risk(-0.05).to_dict(),
        'gain': risk(0.0).to_dict(),
    }
    words = gain_words(told)
    assert words is not None
    assert 'below zero' in words
    assert '-' not in words


def test_an_error_is_told_as_a_share_of_the_noise_of_few_photons():
    told = {
        'steps_done': 60,
        'delivered_step': 50,
        'noise_variance': 0.1,
        'risk': risk(0.02).to_dict(),
        'start_risk': risk(0.03).to_dict(),
        'gain': risk(0.01).to_dict(),
    }
    words = gain_words(told)
    assert words is not None
    assert 'from 30 % to 20 %' in words
    assert risk(0.02, noise=0.1).share == pytest.approx(0.2)
