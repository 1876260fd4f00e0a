"""Pretraining: learns, goes on where it was interrupted, and takes images of one's own."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_noise2score.errors import CheckpointError, InputError
from napari_noise2score.noise.families import Gaussian
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.progress import finish
from napari_noise2score.score.pretraining.drawing import drawn
from napari_noise2score.score.pretraining.pretrain import pretrain
from napari_noise2score.score.pretraining.synthetic_pairs import Places, SyntheticPairs
from napari_noise2score.score.pretraining.synthetic_sequences import SyntheticSequences
from napari_noise2score.settings import (
    DenoiseSettings,
    NetworkSettings,
    PretrainSettings,
    TrainSettings,
)

SMALL = NetworkSettings(8, 2, 1)


def quick(steps: int) -> PretrainSettings:
    return PretrainSettings(steps=steps, batch=4, patch=32, device='cpu', network=SMALL)


def flat(size: int, rng: np.random.Generator) -> np.ndarray:
    image = np.zeros((size, size))
    image[: size // 2] = 1
    return image


def test_it_learns_and_keeps_settings_and_log():
    model = finish(pretrain(quick(150), source=flat))
    made = model.training['pretraining']
    assert made['steps_done'] == made['steps'] == 150
    log = made['log']
    assert log[0][0] <= 2
    assert log[-1][0] == 150
    assert len(log) == 100
    assert all(loss > 0 for _, loss in log)
    assert not any(weight.requires_grad for weight in model.network.parameters())


def test_what_it_learned_denoises_at_once(tmp_path):
    file = tmp_path / 'flat.n2s'
    finish(pretrain(quick(150), source=flat)).save(file)
    clean = 20 * flat(64, np.random.default_rng(0))
    noisy = clean + np.random.default_rng(1).normal(size=clean.shape)
    settings = DenoiseSettings(
        noise=NoiseRequest.exactly(Gaussian(1.0)),
        training=TrainSettings(seconds=0, init=str(file), device='cpu'),
    )
    result = denoise(noisy, 'YX', settings).image
    flat_parts = np.abs(np.arange(64) - 31.5) > 10
    assert np.mean((result - clean)[flat_parts] ** 2) < 0.4


def test_an_interrupted_run_goes_on(tmp_path):
    state = tmp_path / 'state.pt'
    run = pretrain(quick(20), source=flat, state=state, keep_every=0.0)
    for _ in itertools.islice(run, 8):
        pass
    run.close()
    steps = pretrain(quick(20), source=flat, state=state)
    assert next(steps).step == 9
    model = finish(steps)
    assert model.training['pretraining']['steps_done'] == 20
    assert [step for step, _ in model.training['pretraining']['log']] == list(range(1, 21))
    again = finish(pretrain(quick(20), source=flat, state=state))
    for one, other in zip(model.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_state_of_an_earlier_version_goes_on(tmp_path):
    """It states how many planes the network sees at once, and nothing of a context."""
    state = tmp_path / 'state.pt'
    finish(pretrain(quick(2), source=flat, state=state))
    kept = torch.load(state, weights_only=True)
    del kept['settings']['network']['context']
    kept['settings']['network']['planes'] = 1
    torch.save(kept, state)
    assert not finish(pretrain(quick(2), source=flat, state=state)).network.settings.context


def test_a_state_of_other_settings_is_refused(tmp_path):
    state = tmp_path / 'state.pt'
    finish(pretrain(quick(2), source=flat, state=state))
    with pytest.raises(CheckpointError, match='was started with another steps'):
        finish(pretrain(quick(3), source=flat, state=state))


def test_images_of_ones_own():
    rng = np.random.default_rng(0)
    image = 40 + 7 * rng.uniform(size=(200, 180))
    place = Places([image])(160, rng)
    assert place.shape == (160, 160)
    assert place.min() == 0
    assert place.max() == 1
    with pytest.raises(InputError, match=r'shape \(100, 300\)'):
        Places([np.zeros((100, 300))])
    with pytest.raises(InputError, match='no image'):
        Places([])


def test_no_steps_are_refused():
    with pytest.raises(InputError, match='steps is 0; a whole number of 1 or more'):
        PretrainSettings(steps=0)


WITH_CONTEXT = PretrainSettings(
    steps=12,
    batch=4,
    patch=32,
    device='cpu',
    network=NetworkSettings(8, 2, 1, context=True),
)


def test_a_network_with_context_learns_from_scenes_and_goes_on(tmp_path):
    state = tmp_path / 'state.pt'
    run = pretrain(WITH_CONTEXT, source=flat, state=state, keep_every=0.0)
    for _ in itertools.islice(run, 5):
        pass
    run.close()
    steps = pretrain(WITH_CONTEXT, source=flat, state=state)
    assert next(steps).step == 6
    model = finish(steps)
    file = tmp_path / 'context.safetensors'
    model.save(file)
    assert type(model).load(file).network.settings == WITH_CONTEXT.network


def test_it_begins_with_given_weights():
    first = finish(pretrain(replace(WITH_CONTEXT, steps=3), source=flat))
    begun = pretrain(replace(WITH_CONTEXT, steps=1, learning_rate=1e-9), start=first, source=flat)
    second = finish(begun)
    for one, other in zip(first.network.parameters(), second.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    with pytest.raises(InputError, match='give the same size'):
        next(pretrain(quick(3), start=first, source=flat))


def test_batches_are_the_same_wherever_they_are_drawn():
    def first(kind, *, beside):
        batches = drawn(kind, 32, 2, [3, 0], flat, beside=beside)
        return [next(batches) for _ in range(3)]

    for kind in (SyntheticPairs, SyntheticSequences):
        here, there = (first(kind, beside=beside) for beside in (False, True))
        for one, other in zip(here, there, strict=True):
            for part, same in zip(one, other, strict=True):
                torch.testing.assert_close(part, same, rtol=0, atol=0, equal_nan=True)


def test_places_where_something_happens_once_count_more():
    events = np.zeros((5, 4, 4), np.float32)
    events[2, 0, 0] = 3  # in the plane
    events[1, 1, 1] = -0.5  # beside it
    events[:, 2, 2] = 2  # in all of them
    events[0, 3, 3] = 2
    weight = SyntheticSequences.weight_of(events, 2)
    assert weight[0, 0] == 8
    assert weight[1, 1] == 4.5
    assert weight[2, 2] == 1
    assert SyntheticSequences.weight_of(events[1:], 2)[3, 3] == 1
