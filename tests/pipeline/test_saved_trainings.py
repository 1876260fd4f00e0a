"""Trainings of Python functions that were interrupted continue with the same numbers."""

from dataclasses import replace

import numpy as np
import pytest

from napari_noise2score import CheckpointError, DenoiseSettings, InputError, TrainSettings
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.api import denoise, prepare, train_score
from napari_noise2score.settings import NetworkSettings

pytestmark = pytest.mark.usefixtures('one_pass')

STEPS = 6
TRAINING = TrainSettings(
    seconds=None,
    steps=STEPS,
    batch=2,
    patch=32,
    init='scratch',
    network=NetworkSettings(channels=16, levels=2, blocks=1),
    device='cpu',
    save_every=0.001,
)
SETTINGS = DenoiseSettings(
    NoiseRequest('gaussian', {'sigma': 9.0}), training=TRAINING, orientations=1
)


@pytest.fixture(scope='module')
def noisy() -> np.ndarray:
    return synthetic_stack('nuclei', frames=2, size=64, seed=3).noisy


@pytest.fixture
def place(tmp_path):
    return tmp_path / 'cells.resume'


class Interrupted:
    """Listens to a training, and interrupts it after its third step."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def __call__(self, progress) -> None:
        training = getattr(progress, 'training', progress)
        self.steps += [] if training is None else [training.step]
        if self.steps[-1:] == [3]:
            raise KeyboardInterrupt


def resumed(events) -> list[int]:
    """Steps from which trainings continued."""
    trainings = [getattr(event, 'training', event) for event in events]
    return [one.resumed for one in trainings if one is not None and one.resumed is not None]


def test_an_interrupted_training_continues_with_the_same_result(noisy, place):
    prepared = prepare(noisy, 'TYX', SETTINGS.noise, device='cpu')
    whole, interrupted, events = train_score(prepared, TRAINING), Interrupted(), []
    with pytest.raises(KeyboardInterrupt):
        train_score(prepared, TRAINING, save_to=place, resume=True, on_progress=interrupted)
    assert interrupted.steps == [1, 2, 3]
    assert place.is_dir()
    model = train_score(prepared, TRAINING, save_to=place, resume=True, on_progress=events.append)
    assert resumed(events)[0] in (1, 2, 3)
    assert model.digest == whole.digest
    assert not place.exists()


def test_so_does_the_training_of_a_denoising(noisy, place):
    with pytest.raises(KeyboardInterrupt):
        denoise(noisy, 'TYX', SETTINGS, save_to=str(place), on_progress=Interrupted())
    other = replace(SETTINGS, training=replace(TRAINING, seed=4))
    with pytest.raises(CheckpointError, match='the setting seed was 0 and is 4'):
        denoise(noisy, 'TYX', other, save_to=place, resume=True)
    events = []
    result = denoise(noisy, 'TYX', SETTINGS, save_to=place, resume=True, on_progress=events.append)
    assert resumed(events)
    np.testing.assert_array_equal(result.image, denoise(noisy, 'TYX', SETTINGS).image)
    assert not place.exists()


def test_a_training_that_is_not_to_be_resumed_is_left_as_it_is(noisy, place):
    with pytest.raises(KeyboardInterrupt):
        denoise(noisy, 'TYX', SETTINGS, save_to=place, on_progress=Interrupted())
    (state,) = place.iterdir()
    before = state.read_bytes()
    with pytest.raises(InputError, match='contains an interrupted training; resume=True'):
        denoise(noisy, 'TYX', SETTINGS, save_to=place)
    assert state.read_bytes() == before


def test_a_place_that_cannot_be_used_is_refused_before_the_work(noisy, place):
    with pytest.raises(InputError, match='resume=True needs save_to'):
        denoise(noisy, 'TYX', SETTINGS, resume=True)
    place.write_text('mine')
    with pytest.raises(InputError, match='is not a folder'):
        denoise(noisy, 'TYX', SETTINGS, save_to=place)
    assert place.read_text() == 'mine'


def test_nothing_is_left_where_nothing_was_interrupted(noisy, place):
    quick = replace(SETTINGS, training=TrainSettings(seconds=0, device='cpu'))
    denoise(noisy, 'TYX', quick, save_to=place, resume=True)
    assert list(place.parent.iterdir()) == []
