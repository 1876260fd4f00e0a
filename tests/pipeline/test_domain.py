"""Warnings where a trained score is applied to what it has not seen."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
from tests.score.helpers import smooth_image

from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.domain import (
    TrainingDomain,
    misfits,
    risk_warning,
    training_domains,
)
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.pipeline.stages import score_image_steps, train_score_steps
from napari_noise2score.progress import finish
from napari_noise2score.score.risk import Risk
from napari_noise2score.settings import TrainSettings

CAMERA = PoissonGaussian(gain=2.0, offset=100.0, read_noise=3.0)
AT_ONCE = TrainSettings(seconds=0, device='cpu')


def taken(photons: float, camera: PoissonGaussian = CAMERA, seed: int = 0) -> Prepared:
    """A scene whose brightest places give so many photons, its noise known."""
    scene = smooth_image(2, 96, seed)
    scene = (scene - scene.min()) / (scene.max() - scene.min())
    clean = camera.offset + camera.gain * photons * (0.1 + 0.9 * scene)
    noisy = camera.sample(clean, np.random.default_rng(seed)).astype(np.float32)
    noise = NoiseRequest(camera.name, camera.parameters(), 'none')
    return model_noise(ImageSource(noisy, 'TYX', 'cells'), noise)


@pytest.fixture(scope='module')
def model():
    return finish(train_score_steps([taken(100)], AT_ONCE))


def with_correlation(prepared: Prepared, value: float) -> Prepared:
    kernel = np.zeros((5, 5))
    kernel[2, 2], kernel[2, 1], kernel[2, 3] = 1, value, value
    (channel,) = prepared.channels
    return replace(prepared, channels=(replace(channel, correlation=Correlation(kernel)),))


def test_the_image_of_the_training_fits(model):
    assert misfits(model, taken(100)) == []


def test_another_field_of_view_and_another_camera_of_the_same_light_fit(model):
    assert misfits(model, taken(100, seed=7)) == []
    other = PoissonGaussian(gain=0.5, offset=400.0, read_noise=0.75)
    assert misfits(model, taken(100, other)) == []


def test_much_more_light_is_brighter_than_all_in_training(model):
    (words,) = misfits(model, taken(400))
    assert 'brighter than all images it was trained on' in words


def test_a_few_photons_are_darker_and_of_another_noise_variance(model):
    faint = PoissonGaussian(gain=2.0, offset=100.0, read_noise=0.1)
    darker, variance = misfits(model, taken(1, faint))
    assert 'darker than all images it was trained on' in darker
    assert 'the noise has a variance of' in variance


def test_a_few_bright_pixels_are_no_misfit(model):
    prepared = taken(100)
    prepared.source.data[:, 40:42, 40:42] = 20_000
    assert misfits(model, prepared) == []


@pytest.mark.parametrize(('value', 'count'), [(0.08, 0), (0.3, 1), (-0.2, 1)])
def test_correlation_that_differs_is_said(model, value, count):
    found = misfits(model, with_correlation(taken(100), value))
    assert len(found) == count
    assert all(
        f'by up to {value:.2f}, and by up to 0.00 in the training of the model' in w for w in found
    )


def test_correlation_that_was_in_the_training_fits():
    correlated = with_correlation(taken(100), 0.3)
    trained = finish(train_score_steps([correlated, taken(100)], AT_ONCE))
    assert misfits(trained, correlated) == []
    assert misfits(trained, taken(100)) == []


def test_noise_of_another_kind_is_said(model):
    frames = (np.random.default_rng(0).random((4, 64, 64)) < 0.3).astype(np.uint8)
    binary = model_noise(ImageSource(frames, 'TYX', 'binary'), NoiseRequest('bernoulli'))
    assert any('of a few values only' in words for words in misfits(model, binary))


def test_channels_are_named(model):
    bright, plain = taken(400), taken(100)
    both = np.stack([plain.source.data, bright.source.data])
    noise = NoiseRequest(CAMERA.name, CAMERA.parameters(), 'none')
    prepared = model_noise(ImageSource(both, 'CTYX', 'cells'), noise)
    (words,) = misfits(model, prepared)
    assert words.startswith('The model does not fit (C 1): ')


@pytest.mark.parametrize(
    'data',
    [{}, {'images': 5}, {'images': [{'name': 'a'}]}, {'images': [{'seen': [{'levels': 3}]}]}],
)
def test_a_model_that_does_not_say_what_it_has_seen_is_not_judged(model, data):
    silent = replace(model, data=data)
    assert training_domains(silent) == []
    assert misfits(silent, taken(400)) == []


def test_what_was_seen_survives_the_file(model, tmp_path):
    model.save(tmp_path / 'm.safetensors')
    loaded = type(model).load(tmp_path / 'm.safetensors')
    assert (
        training_domains(loaded)
        == training_domains(model)
        == [TrainingDomain.of(taken(100).channels[0])]
    )


def test_a_risk_clearly_above_that_of_the_noisy_image_is_said():
    rng = np.random.default_rng(0)
    assert '2.0 times the noise variance' in risk_warning(Risk(rng.normal(2, 0.1, 64), 0.0))
    assert risk_warning(Risk(rng.normal(1.01, 1.0, 64), 0.0)) is None
    assert risk_warning(Risk(np.array([np.nan, np.nan]), 0.0)) is None
    assert risk_warning(Risk(np.array([5.0]), 0.0)) is None


def risk_sentence(model, prepared):
    score_map = finish(
        score_image_steps(model, prepared, device='cpu', orientations=1, sigma_a=0.0, foreign=True)
    )
    return score_map.warnings


def test_a_model_that_is_worse_than_the_pretrained_weights_is_said(model):
    spoilt = replace(model, network=copy.deepcopy(model.network))
    spoilt.network.tail.weight.mul_(0.3)  # takes most of the detail for noise
    prepared = taken(100)
    (words,) = risk_sentence(spoilt, prepared)
    assert 'the pretrained weights would give a better result on this image' in words
    assert risk_sentence(model, prepared) == ()
    assert misfits(spoilt, prepared) == []  # nothing else tells it
