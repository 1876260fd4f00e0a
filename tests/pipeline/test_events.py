"""What `denoise_steps` yields for several images, and when."""

import gc
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.pipeline.results import Denoised, Failed, Progress, Trained
from napari_noise2score.pipeline.run import denoise_steps
from napari_noise2score.settings import DenoiseSettings, ModelPer, TrainSettings

SETTINGS = DenoiseSettings(training=TrainSettings(seconds=0, device='cpu'), orientations=1)
APART = replace(SETTINGS, model_per=ModelPer.IMAGE)


class Log(Sequence[ImageSource]):
    """Images that are noted when they are asked for, among the events that are noted."""

    def __init__(self, images) -> None:
        self.images, self.entries = list(images), []

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> ImageSource:
        self.entries.append(f'open {number}')
        found = self.images[number]
        if isinstance(found, Exception):
            raise found
        return found

    def follow(self, settings: DenoiseSettings, **options) -> Iterator[object]:
        for event in denoise_steps(self, settings, **options):
            match event:
                case Trained():
                    self.entries.append(f'trained {event.numbers}')
                case Denoised():
                    self.entries.append(f'done {event.number}')
                case Failed():
                    self.entries.append(f'left out {event.number}')
            yield event


@pytest.fixture(scope='module')
def images() -> list[ImageSource]:
    frames = synthetic_stack('nuclei', frames=3, size=48, seed=4).noisy
    return [ImageSource(frame, 'YX', f'{number}.tif') for number, frame in enumerate(frames)]


def test_with_one_score_each_result_comes_when_it_is_done(images):
    log = Log(images)
    events = list(log.follow(SETTINGS))
    opened, done = ([f'{what} {number}' for number in range(3)] for what in ('open', 'done'))
    assert log.entries == [*opened, 'trained (0, 1, 2)', *done]
    fractions = [e.fraction for e in events if isinstance(e, Progress) and e.stage == 'correct']
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_with_scores_apart_an_image_is_opened_when_the_one_before_is_done(images):
    log = Log(images[:2])
    list(log.follow(APART))
    expected = ['open 0', 'trained (0,)', 'done 0', 'open 1', 'trained (1,)', 'done 1']
    assert log.entries == expected
    model = denoise(images[0].data, 'YX', SETTINGS).model
    log = Log(images)
    list(log.follow(SETTINGS, model=model))
    assert log.entries == [f'{what} {number}' for number in range(3) for what in ('open', 'done')]


@pytest.mark.parametrize('settings', [SETTINGS, APART])
def test_nothing_of_a_result_is_kept_when_the_next_is_worked_on(images, settings):
    alive: weakref.ref[np.ndarray] | None = None
    looked = 0
    for event in denoise_steps(images, settings):
        if isinstance(event, Denoised):
            alive = weakref.ref(event.image)
        elif alive is not None:
            gc.collect()
            assert alive() is None
            alive, looked = None, looked + 1
    assert looked == 2


@pytest.mark.parametrize('settings', [SETTINGS, APART])
def test_a_bad_image_does_not_take_the_others_with_it(images, settings):
    nothing = ImageSource(np.ones((64, 64)), 'YX', 'nothing.tif')
    bad = {0: InputError('not a readable TIFF'), 2: nothing, 3: MemoryError()}
    log = Log([bad.get(number, images[number % 3]) for number in range(5)])
    found = {e.number: e for e in log.follow(settings, keep_going=True) if isinstance(e, Failed)}
    assert set(found) == {0, 2, 3}
    assert 'nothing.tif' in str(found[2].error)
    assert all(event.error.__traceback__ is None for event in found.values())
    assert [entry for entry in log.entries if entry.startswith('done')] == ['done 1', 'done 4']


def test_an_image_without_slices_is_left_out_before_the_training(images):
    depth = ImageSource(np.stack([image.data for image in images]), 'ZYX', 'stack.tif')
    settings = replace(SETTINGS, context='depth')
    log = Log([images[0], depth])
    list(log.follow(settings, keep_going=True))
    assert log.entries == ['open 0', 'left out 0', 'open 1', 'trained (1,)', 'done 1']


@pytest.mark.parametrize('settings', [SETTINGS, APART])
def test_all_bad_means_no_training_and_no_result(settings):
    log = Log([InputError('bad')] * 2)
    list(log.follow(settings, keep_going=True))
    assert [e for e in log.entries if 'open' not in e] == ['left out 0', 'left out 1']


def test_without_going_on_the_first_error_ends_it(images):
    log = Log([images[0], OSError('gone')])
    with pytest.raises(OSError, match='gone'):
        list(log.follow(APART))
    assert log.entries[-2:] == ['done 0', 'open 1']
