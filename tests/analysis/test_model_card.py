"""A trained score in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.napari.helpers import noisy_stack

from napari_noise2score.analysis.model_card import card_of
from napari_noise2score.images.source import ImageSource
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.stages import train_score_steps
from napari_noise2score.progress import finish
from napari_noise2score.score.pretraining.weights import warm_start
from napari_noise2score.settings import TrainSettings


@pytest.fixture(scope='module')
def model():
    prepared = model_noise(ImageSource(noisy_stack(), 'TYX', 'cells'))
    return finish(train_score_steps([prepared], TrainSettings(seconds=60, steps=2, device='cpu')))


def test_card_says_what_a_model_was_trained_on(model):
    card = card_of(model)
    assert card['Trained on'] == 'cells (TYX, 2 × 64 × 64)'
    assert card['Noise'].startswith('Poisson-Gaussian (gain ')
    assert card['Training'] == '2 steps, 60 s at most, from the pretrained weights'
    assert 'noise variance' in card['Gain']
    assert card['Made'].endswith(' UTC')
    assert card['Versions'].startswith('napari-noise2score ')
    assert card['Weights'] == f'SHA-256 {model.digest[:12]}'


def test_card_of_a_model_that_went_on_from_another(model):
    training = {**model.training, 'init': '/home/a/first.safetensors'}
    assert card_of(replace(model, training=training))['Training'].endswith(
        f'from first.safetensors (SHA-256 {warm_start().digest[:12]})'
    )
    unsaved = {**model.training, 'init': 'model'}
    assert 'from another model (SHA-256 ' in card_of(replace(model, training=unsaved))['Training']


def test_card_of_the_pretrained_weights():
    card = card_of(warm_start())
    assert card['Trained on'] == 'synthetic images of many kinds, no microscope images'
    assert card['Training'] == '20000 steps (pretraining)'
    assert 'Gain' not in card


@pytest.mark.parametrize(
    ('training', 'data'),
    [
        ({}, {}),
        ({'seed': 3, 'risk': [1]}, {'images': 7, 'versions': None}),
        ({'start_risk': {'value': 1.0}, 'risk': {'value': 1.0}}, {'images': [3, {}]}),
        ({}, {'images': [{'noise': [{'family': 'pink'}, 5]}], 'made': 'yesterday'}),
    ],
)
def test_files_that_say_less_have_a_card_too(model, training, data):
    card = card_of(replace(model, training=training, data=data))
    assert card['Training'] == 'not recorded'
    assert card['Noise'] == card['Made'] == 'not recorded'
    assert np.all([isinstance(words, str) for words in card.values()])
