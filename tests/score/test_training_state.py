"""A training that was interrupted continues from its file with the same numbers."""

import errno
import logging
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_noise2score.errors import CheckpointError
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.progress import finish
from napari_noise2score.score import monitor, training_files
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.plane_buffer import PlaneBuffer
from napari_noise2score.score.train import train
from napari_noise2score.score.training_files import SavedTraining, TrainingFolder
from napari_noise2score.score.training_origin import TrainingOrigin
from napari_noise2score.score.training_state import TrainingState
from napari_noise2score.settings import NetworkSettings, TrainSettings
from tests.score.helpers import ArrayPlanes, noisy_planes, smooth_image

SMALL = NetworkSettings(channels=16, levels=2, blocks=1)
QUICK = TrainSettings(seconds=None, steps=12, batch=4, patch=32, device='cpu')
SCRATCH = replace(QUICK, init='scratch', network=SMALL)

ORIGIN = TrainingOrigin(
    {'napari-noise2score': '1.0', 'torch': '2.5'},
    QUICK.decisive,
    None,
    [
        {
            'name': 'cells.tif',
            'axes': 'YX',
            'shape': [64, 64],
            'region': '',
            'places': [{}],
            'crc32': 1,
            'noise': [{'family': 'gaussian', 'sigma': 2.0}],
            'coordinate': [2],
        }
    ],
)


@pytest.fixture(autouse=True)
def every_step(monkeypatch) -> None:
    """Savings that are due are not put off because the last one took long."""
    monkeypatch.setattr(training_files, '_SELDOM', 0)


def scene(frames: int) -> ArrayPlanes:
    clean = np.repeat(smooth_image(1, 64), frames, axis=0)
    noisy = clean + np.random.default_rng(1).normal(size=clean.shape)
    return ArrayPlanes(noisy, pairs=[(n, n + 1) for n in range(frames - 1)])


def correlated() -> ArrayPlanes:
    planes = noisy_planes(1, 64)
    kernel = np.zeros((3, 3))
    kernel[1] = 0.3, 1.0, 0.3
    return ArrayPlanes(planes.array, correlation=Correlation(kernel))


def interrupted(images, settings, path: Path, after: int) -> None:
    """Train for some steps; the last state that was saved is that after the last of them."""
    steps = train(images, settings, saved=SavedTraining(path, ORIGIN, 0.0))
    for _ in range(after):
        next(steps)
    steps.close()


def resumed(images, settings, path: Path) -> ScoreModel:
    state = TrainingState.load(path)
    return finish(train(images, settings, saved=SavedTraining(path, ORIGIN, 60.0, state)))


def assert_same(one: ScoreModel, other: ScoreModel) -> None:
    weights, others = one.network.state_dict(), other.network.state_dict()
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert one.training == other.training


CASES = {
    'from scratch': (lambda: [noisy_planes(2, 64)], SCRATCH, (1, 5, 12)),
    'published loss': (lambda: [noisy_planes(2, 64)], replace(SCRATCH, loss='published'), (5,)),
    'resampled noise': (lambda: [noisy_planes(2, 64)], QUICK, (1, 5, 12)),
    'frames of one scene': (lambda: [scene(3)], QUICK, (5,)),
    'correlated noise': (lambda: [correlated()], QUICK, (5,)),
    'several images': (lambda: [noisy_planes(1, 64), scene(2), correlated()], SCRATCH, (5,)),
}
"""Images, settings, and the steps to interrupt after: before, between and after evaluations."""


@pytest.mark.parametrize('case', CASES)
def test_an_interrupted_training_gives_the_same_weights_bit_for_bit(case, tmp_path):
    make, settings, steps = CASES[case]
    images = make()
    whole = finish(train(images, settings))
    assert whole.training['steps_done'] == settings.steps
    for after in steps:
        path = tmp_path / f'{after}.safetensors'
        interrupted(images, settings, path, after)
        assert TrainingState.load(path).step == after
        assert_same(resumed(make(), settings, path), whole)


def test_one_that_was_interrupted_again_and_again_gives_the_same_too(tmp_path):
    images, path = [noisy_planes(2, 64)], tmp_path / 'a.safetensors'
    whole = finish(train(images, QUICK))
    interrupted(images, QUICK, path, 3)
    for _ in range(3):
        saved = SavedTraining(path, ORIGIN, 0.0, TrainingState.load(path))
        steps = train(images, QUICK, saved=saved)
        for _ in range(3):  # the first says where it continues
            next(steps)
        steps.close()
    assert TrainingState.load(path).step == 9
    assert_same(resumed(images, QUICK, path), whole)


@pytest.mark.parametrize('frames', [1, 3])
def test_one_that_ends_early_ends_at_the_same_step(frames, tmp_path):
    """With so high a learning rate each judge objects, that of single images and the risk."""
    images, settings = [scene(frames)], replace(QUICK, steps=40, learning_rate=0.5)
    whole = finish(train(images, settings))
    ended = whole.training['steps_done']
    assert 4 < ended < 40
    for after in (ended - 3, ended):  # between two evaluations, and at the end
        path = tmp_path / f'{after}.safetensors'
        interrupted(images, settings, path, after)
        assert_same(resumed(images, settings, path), whole)


def test_restarts_and_their_learning_rate_are_remembered(tmp_path, monkeypatch):
    after_four = property(lambda watch: watch._steps == 4)
    monkeypatch.setattr(monitor.LossMonitor, 'trivial', after_four)
    images, settings = [noisy_planes(2, 64)], replace(SCRATCH, steps=20)
    whole = finish(train(images, settings))
    assert whole.training['restarts'] == 2
    for after, restarts in ((3, 0), (6, 1), (12, 2)):
        path = tmp_path / f'{after}.safetensors'
        interrupted(images, settings, path, after)
        assert TrainingState.load(path).parts['restarts'] == restarts
        assert_same(resumed(images, settings, path), whole)


def test_planes_at_hand_of_images_larger_than_the_memory_are_remembered(tmp_path, monkeypatch):
    small = partial(PlaneBuffer, in_memory=3 * 64 * 64 * 4)
    monkeypatch.setattr('napari_noise2score.score.training_run.PlaneBuffer', small)
    images = [noisy_planes(12, 64)]
    whole = finish(train(images, SCRATCH))
    path = tmp_path / 'a.safetensors'
    interrupted(images, SCRATCH, path, 6)
    assert TrainingState.load(path).parts['sampler']['shelves']
    assert_same(resumed(images, SCRATCH, path), whole)


def test_a_change_of_the_random_numbers_shows(tmp_path):
    """What the other tests compare is no accident: without the generator they would fail."""
    images, path = [noisy_planes(2, 64)], tmp_path / 'a.safetensors'
    whole = finish(train(images, SCRATCH))
    interrupted(images, SCRATCH, path, 5)
    state = TrainingState.load(path)
    state.parts['sampler']['random'] = torch.Generator().manual_seed(9).get_state()
    other = finish(train(images, SCRATCH, saved=SavedTraining(path, ORIGIN, 60.0, state)))
    weights, others = (model.network.state_dict() for model in (whole, other))
    assert not all(torch.equal(weights[name], others[name]) for name in weights)


def test_the_remaining_time_is_trained_and_no_other(tmp_path):
    images, path = [noisy_planes(2, 64)], tmp_path / 'a.safetensors'
    settings = replace(SCRATCH, seconds=1000.0, steps=None)
    interrupted(images, settings, path, 3)
    state = replace(TrainingState.load(path), seconds=999.9)
    state.save(path)
    steps = list(train(images, settings, saved=SavedTraining(path, ORIGIN, 60.0, state)))
    assert steps[0].resumed == steps[0].step == 3
    assert steps[0].seconds == 999.9
    assert all(step.resumed is None for step in steps[1:])
    assert steps[1].seconds > 999.9
    assert steps[-1].seconds < 1010
    assert len(steps) < 200


def test_a_finished_training_is_not_repeated(tmp_path):
    images, path = [noisy_planes(2, 64)], tmp_path / 'a.safetensors'
    whole = finish(train(images, SCRATCH, saved=SavedTraining(path, ORIGIN, 0.0)))
    state = TrainingState.load(path)
    assert state.finished
    assert state.step == 12
    steps = list(train(images, SCRATCH, saved=SavedTraining(path, ORIGIN, 0.0, state)))
    assert [(step.resumed, step.fraction) for step in steps] == [(12, 1.0)]
    assert_same(resumed(images, SCRATCH, path), whole)


def test_a_training_that_was_too_short_to_be_saved_leaves_nothing(tmp_path):
    path = tmp_path / 'a.safetensors'
    finish(train([noisy_planes(1, 64)], SCRATCH, saved=SavedTraining(path, ORIGIN, 60.0)))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_costs_the_saving_but_not_the_training(tmp_path, monkeypatch, caplog):
    images, path = [noisy_planes(2, 64)], tmp_path / 'a.safetensors'
    whole = finish(train(images, SCRATCH))
    interrupted(images, SCRATCH, path, 4)
    before = path.read_bytes()

    def full(part, data):
        with part.open('wb') as file:
            file.write(data[:1000])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, 'write_bytes', full)
        with caplog.at_level(logging.WARNING):
            saved = SavedTraining(path, ORIGIN, 0.0, TrainingState.load(path))
            assert_same(finish(train(images, SCRATCH, saved=saved)), whole)
    assert [name.name for name in tmp_path.iterdir()] == ['a.safetensors']
    assert path.read_bytes() == before
    assert len(caplog.messages) == 1
    assert 'could not be saved (No space left on device)' in caplog.messages[0]
    assert_same(resumed(images, SCRATCH, path), whole)


def test_savings_take_less_than_a_hundredth_of_the_time(tmp_path, monkeypatch):
    monkeypatch.undo()
    now, written = 0.0, []
    monkeypatch.setattr(training_files.time, 'perf_counter', lambda: now)

    class Slow:
        def save(self, path):
            nonlocal now
            now += 2.0
            written.append(now)

    saved = SavedTraining(tmp_path / 'a', ORIGIN, 60.0)
    while now < 10_000:
        now += 1.0
        saved.sometimes(Slow)
    assert written[0] == pytest.approx(62, abs=1)
    assert 2.0 * len(written[1:]) < 0.01 * 10_000
    assert len(written) > 10


def with_image(**changes) -> TrainingOrigin:
    return replace(ORIGIN, images=[{**ORIGIN.images[0], **changes}])


@pytest.mark.parametrize(
    ('now', 'words'),
    [
        (
            replace(ORIGIN, versions={**ORIGIN.versions, 'torch': '2.6'}),
            'torch was 2.5 and is 2.6',
        ),
        (
            replace(ORIGIN, settings={**ORIGIN.settings, 'steps': 20}),
            'the setting steps was 12 and is 20',
        ),
        (replace(ORIGIN, start='abc'), 'the weights to begin with are other ones'),
        (replace(ORIGIN, images=ORIGIN.images * 2), 'there were 1 images and there are 2'),
        (with_image(name='b.tif', crc32=3), 'b.tif has other grey levels'),
        (with_image(region='Y0:32'), 'region of cells.tif were the whole and are Y0:32'),
        (
            with_image(noise=[{'family': 'gaussian', 'sigma': 3.0}]),
            r"the noise model of cells.tif was .*'sigma': 2.0.* and is .*'sigma': 3.0",
        ),
        (with_image(coordinate=[5]), 'the noise of cells.tif is treated in another way'),
    ],
)
def test_a_training_of_something_else_is_refused_with_what_differs(tmp_path, now, words):
    folder = TrainingFolder(tmp_path, 60.0, resume=True)
    TrainingState(3, 1.0, ORIGIN, {}).save(folder.first)
    with pytest.raises(CheckpointError, match=words) as caught:
        folder.next(now)
    assert str(folder.first) in str(caught.value)
    assert 'begin a new training' in str(caught.value)


def test_another_name_and_other_savings_are_no_difference(tmp_path):
    folder = TrainingFolder(tmp_path, 60.0, resume=True)
    TrainingState(3, 1.0, ORIGIN, {}).save(folder.first)
    settings = replace(QUICK, save_every=5.0).decisive
    found = folder.next(replace(with_image(name='renamed.tif'), settings=settings))
    assert found.state.step == 3


@pytest.mark.parametrize('length', [0, 5, 200, -1])
def test_a_damaged_state_is_refused(tmp_path, length):
    path = tmp_path / 'a.safetensors'
    TrainingState(3, 1.0, ORIGIN, {'a': torch.ones(100)}).save(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r'a\.safetensors: is damaged'):
        TrainingState.load(path)


@pytest.mark.parametrize('value', [b'1.5', b'"finished":"0"'])
def test_a_single_changed_number_is_noticed(tmp_path, value):
    path = tmp_path / 'a.safetensors'
    TrainingState(3, 1.0, ORIGIN, {'a': torch.ones(100), 'loss': 1.5}).save(path)
    content = path.read_bytes()
    assert value in content
    path.write_bytes(content.replace(value, value.translate(bytes.maketrans(b'50', b'71'))))
    with pytest.raises(CheckpointError, match='it has another checksum than it states'):
        TrainingState.load(path)


def test_a_model_is_no_state(tmp_path):
    path = tmp_path / 'm.safetensors'
    finish(train([noisy_planes(1, 64)], replace(SCRATCH, steps=1))).save(path)
    with pytest.raises(CheckpointError, match=r"is 'napari-noise2score model'.* is needed"):
        TrainingState.load(path)


def test_what_is_saved_comes_back_as_it_was(tmp_path):
    shared, path = torch.arange(3.0), tmp_path / 'a.safetensors'
    array = np.array([0.1, np.nan])
    parts = {
        'numbers': [1, 0.1, float('nan'), float('inf'), None, True, 'text'],
        'tensors': {'a': shared, 'b': shared, 'bytes': torch.arange(3, dtype=torch.uint8)},
        'arrays': [array, array],
        'last': torch.ones(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
    }
    TrainingState(7, 0.1, ORIGIN, parts, finished=True).save(path)
    TrainingState.load(path).save(path)
    found = TrainingState.load(path)
    assert (found.step, found.seconds, found.origin, found.finished) == (7, 0.1, ORIGIN, True)
    np.testing.assert_equal(found.parts['numbers'], parts['numbers'])
    assert found.parts['tensors']['a'] is found.parts['tensors']['b']
    assert found.parts['tensors']['bytes'].dtype == torch.uint8
    np.testing.assert_array_equal(found.parts['arrays'], parts['arrays'])
    assert torch.equal(found.parts['last'], parts['last'])


def test_a_folder_is_set_aside_and_removed_but_not_what_else_is_in_it(tmp_path):
    folder = TrainingFolder(tmp_path / 'a.resume', 60.0)
    for _ in range(2):  # the second one replaces what the first one set aside
        folder.path.mkdir()
        TrainingState(3, 1.0, ORIGIN, {}).save(folder.first)
        (folder.path / '.1234.part').touch()  # left by a process that was killed
        assert folder.set_aside() == tmp_path / 'a.resume.old'
    assert [path.name for path in tmp_path.iterdir()] == ['a.resume.old']
    other = TrainingFolder(tmp_path / 'a.resume.old', 60.0)
    (other.path / 'mine.txt').touch()
    other.remove()
    assert [path.name for path in other.path.iterdir()] == ['mine.txt']
    (other.path / 'mine.txt').unlink()
    other.remove()
    assert list(tmp_path.iterdir()) == []
