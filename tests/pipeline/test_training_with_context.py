"""Trainings in which the network learns what the other frames or slices say."""

import copy
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import torch

from napari_noise2score import (
    DenoiseSettings,
    InputError,
    NoiseRequest,
    PoissonGaussian,
    ScoreModel,
    TrainSettings,
    denoise,
    prepare,
    train_score,
)
from napari_noise2score.analysis.training_effect import start_of, training_difference
from napari_noise2score.images.blocks import Window
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.pipeline.blending import choose_blend
from napari_noise2score.pipeline.context_levels import with_neighbours
from napari_noise2score.pipeline.divided_planes import DividedPlanes
from napari_noise2score.pipeline.origin import origin_of
from napari_noise2score.pipeline.results import Denoised, Trained
from napari_noise2score.pipeline.run import denoise_steps, single, train_steps
from napari_noise2score.progress import finish
from napari_noise2score.score.pretraining.weights import warm_start_with_context
from napari_noise2score.score.sampler import Box, PatchSampler
from napari_noise2score.settings import Context

CAMERA = PoissonGaussian(3.0, 50.0, 3.0)
NOISE = NoiseRequest.exactly(CAMERA)
FRAMES, SIZE = 8, 64
TRAINING = TrainSettings(seconds=None, steps=2, batch=4, device='cpu')
SETTINGS = DenoiseSettings(NOISE, training=TRAINING, orientations=1)


pytestmark = pytest.mark.usefixtures('with_few_trials')


def movie(frames: int = FRAMES) -> np.ndarray:
    made = synthetic_stack('nuclei', frames=frames, size=SIZE, photons=50, noise=CAMERA, seed=1)
    return made.noisy


def applied(model: ScoreModel, data: np.ndarray, axes: str, **changed) -> Denoised:
    settings = replace(SETTINGS, **changed)
    return finish(single(denoise_steps([ImageSource(data, axes)], settings, model=model)))


@pytest.fixture(scope='module')
def trained():
    return denoise(movie(), 'TYX', SETTINGS)


def test_it_begins_with_the_weights_that_see_the_others(trained):
    start = warm_start_with_context()
    assert trained.model.network.settings.context
    assert trained.report['training']['start'] == {'sha256': start.digest}
    assert trained.report['training']['steps_done'] == 2
    assert trained.report['learned_context']
    (channel,) = trained.report['channels']
    assert channel['context']['sha256'] == trained.model.digest


def test_the_result_is_as_good_as_with_the_pretrained_weights(trained):
    truth = synthetic_stack('nuclei', frames=1, size=SIZE, photons=50, noise=CAMERA, seed=1).truth
    at_once = replace(SETTINGS, training=TrainSettings(seconds=0, device='cpu'))
    before, alone = (
        np.mean((denoise(movie(), 'TYX', settings).image - truth) ** 2)
        for settings in (at_once, replace(at_once, context=Context.NONE))
    )
    after = np.mean((trained.image - truth) ** 2)
    assert after < 1.1 * before
    assert after < 0.7 * alone


def test_the_model_of_a_file_sees_them_too_and_single_images(trained, tmp_path):
    file = tmp_path / 'm.safetensors'
    trained.model.save(file)
    model = ScoreModel.load(file)
    again = applied(model, movie(), 'TYX')
    np.testing.assert_allclose(again.image, trained.image, rtol=1e-5)
    without = applied(model, movie(), 'TYX', context=Context.NONE)
    one = applied(model, movie()[3], 'YX')
    assert (
        np.abs(one.image - without.image[3]).max()
        < 1
        < np.abs(without.image - trained.image).max()
    )


def changed(model: ScoreModel) -> float:
    """Largest difference that a training made, noise standard deviations."""
    score_map = applied(model, movie(), 'TYX').score_map
    return np.abs(finish(training_difference(score_map, device='cpu', orientations=1)).image).max()


def test_what_it_changed_is_measured_against_the_weights_with_context(trained):
    start, model = start_of(trained.model), copy.deepcopy(trained.model)
    assert start.network.settings.context
    model.network.load_state_dict(start.network.state_dict())
    assert changed(model) == 0
    model.network.tail.weight *= 1.05
    assert 0 < changed(model) < 3


@pytest.mark.parametrize('context', ['none', 'time'])
def test_from_python_stage_by_stage(context):
    prepared = prepare(movie(), 'TYX', NOISE, device='cpu')
    model = train_score(prepared, TRAINING, context=context)
    assert model.network.settings.context == (context == 'time')
    if context == 'none':
        return
    more = train_score(prepared, TRAINING, start=model, context=context)
    assert more.training['start'] == {'sha256': model.digest}


def test_a_model_of_a_file_continues_with_context(trained, tmp_path):
    file = tmp_path / 'm.safetensors'
    trained.model.save(file)
    prepared = prepare(movie(), 'TYX', NOISE, device='cpu')
    settings = replace(TRAINING, init=str(file))
    named = train_score(prepared, settings, context='time')
    given = train_score(prepared, TRAINING, start=ScoreModel.load(file), context='time')
    alone = train_score(prepared, settings, context='none')
    assert named.digest == given.digest != alone.digest


def averaged(frames: np.ndarray) -> np.ndarray:
    """Each frame the mean of three, so that consecutive ones share noise."""
    return (frames[:-2] + frames[1:-1] + frames[2:]) / 3


@pytest.mark.parametrize('kind', ['single', 'two images', 'on disk', 'averaged'])
def test_planes_by_themselves_where_others_are_of_no_use(kind):
    images = {
        'single': [(movie(1)[0], 'YX')],
        'two images': [(movie(), 'TYX'), (movie(1)[0], 'YX')],
        'on disk': [(da.from_array(movie(), chunks=(1, -1, -1)), 'TYX')],
        'averaged': [(averaged(movie(24)), 'TYX')],
    }
    noise = None if kind == 'averaged' else NOISE
    prepared = [prepare(data, axes, noise, device='cpu') for data, axes in images[kind]]
    model = train_score(prepared, replace(TRAINING, steps=1), context='auto')
    assert not model.network.settings.context


def test_a_context_that_an_image_does_not_have_is_refused_before_the_training():
    image = prepare(movie(), 'TYX', NOISE, device='cpu')
    with pytest.raises(InputError, match=r'context is depth, but axes TYX, .* two slices along Z'):
        train_score(image, TRAINING, context='depth')
    settings = replace(SETTINGS, context=Context.DEPTH)
    with pytest.raises(InputError, match='context is depth, but axes TYX'):
        finish(train_steps([image.source], settings))


def test_a_part_to_train_on_may_be_one_plane_of_the_axis():
    image = ImageSource(movie(), 'TYX')
    part = image.part(Region.parse('T3:4'))
    settings = replace(SETTINGS, context=Context.TIME)
    events = list(train_steps([image], settings, training_parts=[[part]]))
    (model,) = (event.model for event in events if isinstance(event, Trained))
    assert model.data['images'][0]['region'] == 'T3:4'


def test_other_weights_are_trained_as_they_are():
    settings = replace(TRAINING, steps=1, init='scratch')
    model = train_score(prepare(movie(), 'TYX', NOISE), settings, context='auto')
    assert not model.network.settings.context


def test_a_patch_must_be_a_multiple_of_eight():
    with pytest.raises(InputError, match='a multiple of 8, 16 or more, is needed'):
        denoise(movie(), 'TYX', replace(SETTINGS, training=replace(TRAINING, patch=20)))


def test_a_saved_training_belongs_to_its_axis():
    volumes = movie(16).reshape(4, 4, SIZE, SIZE)
    prepared = prepare(volumes, 'TZYX', NOISE, device='cpu')
    time, depth = (
        origin_of([with_neighbours(prepared, context)], TRAINING, warm_start_with_context())
        for context in (Context.TIME, Context.DEPTH)
    )
    assert time.differences(time) == []
    assert time.differences(depth)


def test_the_target_of_a_frame_is_not_in_its_context():
    data = movie()
    (channel,) = with_neighbours(prepare(data, 'ZYX', NOISE), Context.DEPTH).channels
    window = Window(slice(8, 40), slice(0, 48))
    without = channel.patch_context(3, window, without=5)
    other = data.copy()
    other[5] = movie(16)[12]  # the same scene with other noise
    (changed,) = with_neighbours(prepare(other, 'ZYX', NOISE), Context.DEPTH).channels
    np.testing.assert_array_equal(changed.patch_context(3, window, without=5), without)
    assert not np.array_equal(channel.patch_context(3, window), without)


def test_the_context_of_a_patch_is_that_of_the_plane():
    (channel,) = with_neighbours(prepare(movie(), 'TYX', NOISE), Context.TIME).channels
    window = Window(slice(8, 40), slice(0, 48))
    whole, patch = channel.context(3)[:, *window], channel.patch_context(3, window)
    inner = np.s_[:, 2:-2, 2:-2]  # the unsteadiness is a mean over squares
    np.testing.assert_allclose(patch[inner], whole[inner], atol=1e-5)
    assert patch.shape == (8, 32, 48)


def test_parts_of_large_planes_have_their_own(monkeypatch):
    monkeypatch.setattr('napari_noise2score.pipeline.divided_planes._SIDE', 40)
    (channel,) = with_neighbours(prepare(movie(), 'TYX', NOISE), Context.TIME).channels
    parts = DividedPlanes(channel)
    count = parts.shape[0] // FRAMES
    window = Window(slice(3, 19), slice(8, 24))
    number = 3 * count + count - 1  # the last part of frame 3
    first = [side - own for side, own in zip((SIZE, SIZE), parts.shape[1:], strict=True)]
    absolute = Window(
        *(slice(a.start + f, a.stop + f) for a, f in zip(window, first, strict=True))
    )
    np.testing.assert_array_equal(
        parts.patch_context(number, window, without=5 * count + count - 1),
        channel.patch_context(3, absolute, without=5),
    )


def test_patches_have_the_plane_in_the_middle_of_its_context():
    (channel,) = with_neighbours(prepare(movie(), 'TYX', NOISE), Context.TIME).channels
    sampler = PatchSampler([channel], 32, torch.Generator(), context=True)
    box = sampler.draw_box(0)
    slab = sampler.slab(box)
    assert slab.shape == (9, 32, 32)
    assert torch.equal(slab[4], sampler.cut(box))
    assert torch.isfinite(slab[[2, 3, 5, 6]]).all()


@pytest.mark.parametrize(('plane', 'beside'), [(3, 4), (FRAMES - 1, FRAMES - 2)])
def test_the_noise_of_a_witness_is_nowhere_in_the_slab(plane, beside):
    def seen(data: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        (channel,) = with_neighbours(prepare(data, 'ZYX', NOISE), Context.DEPTH).channels
        sampler = PatchSampler([channel], 32, torch.Generator(), context=True)
        return sampler.slab_and_witness(Box(0, plane, 8, 16, 32))

    data, other = movie(), movie()
    other[beside] = movie(16)[12]  # the same scene with other noise
    (slab, witness), (same, changed) = seen(data), seen(other)
    torch.testing.assert_close(slab, same, atol=1e-4, rtol=0, equal_nan=True)
    assert torch.isfinite(slab).any((1, 2)).sum() == (9 if plane == 3 else 7)
    assert 1 < float((witness - changed).std()) < 2
    (own,) = prepare(data, 'ZYX', NOISE).channels
    np.testing.assert_array_equal(witness, own.plane(beside)[8:40, 16:48])


def test_a_repeated_frame_is_no_witness():
    data = movie(2)
    data[1] = data[0]
    (channel,) = with_neighbours(prepare(data, 'TYX', NOISE), Context.TIME).channels
    sampler = PatchSampler([channel], 32, torch.Generator(), context=True)
    slab, witness = sampler.slab_and_witness(Box(0, 0, 0, 0, 32))
    assert torch.isnan(witness).all()
    assert torch.isfinite(slab[4]).all()


def test_of_many_channels_four_are_tried(monkeypatch):
    tried = []

    def chosen(alone, beside, channel, **options):
        tried.append(channel.channel.place['C'])
        return (yield from choose_blend(alone, beside, channel, **options))

    monkeypatch.setattr('napari_noise2score.pipeline.stages.choose_blend', chosen)
    channels = np.stack([movie(2)[:, :32, :32] + 10 * number for number in range(6)])
    prepared = prepare(channels, 'CTYX', NOISE, device='cpu')
    train_score(prepared, replace(TRAINING, steps=1), context='auto')
    assert set(tried) <= {0, 2, 4}
    assert tried[0] == 0
