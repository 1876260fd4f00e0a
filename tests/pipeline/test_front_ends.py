"""Panel, command line and Python go one road: the same image and settings, the same report."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_noise2score._widget import autosave, jobs
from napari_noise2score.cli import main
from napari_noise2score.errors import TrainingError
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.pipeline import schedule, stages
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.pipeline.results import (
    Denoised,
    Estimated,
    Failed,
    Progress,
    ReadyToTrain,
    Trained,
)
from napari_noise2score.pipeline.run import denoise_steps, single, train_steps
from napari_noise2score.pipeline.stages import score_image_steps
from napari_noise2score.progress import finish
from napari_noise2score.score.threads import using
from napari_noise2score.settings import DenoiseSettings, ModelPer, TrainSettings

pytestmark = pytest.mark.usefixtures('one_pass')
STEPS = DenoiseSettings(training=TrainSettings(seconds=None, steps=1, device='cpu', seed=5))
AT_ONCE = DenoiseSettings(training=TrainSettings(seconds=0, device='cpu'), orientations=1)
EACH = replace(AT_ONCE, model_per=ModelPer.IMAGE)


@pytest.fixture(autouse=True)
def _autosave_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(autosave, 'default_file', lambda: tmp_path / 'last.safetensors')


@pytest.fixture(scope='module')
def frames() -> np.ndarray:
    return synthetic_stack('nuclei', frames=3, size=64, seed=4).noisy


@pytest.fixture
def images(frames) -> list[ImageSource]:
    return [ImageSource(frame.copy(), 'YX', f'{i}.tif') for i, frame in enumerate(frames)]


def without_times(report: dict) -> dict:
    assert report['seconds'] > 0
    return {key: value for key, value in report.items() if key != 'seconds'}


def test_the_report_is_the_same_from_panel_command_line_and_python(frames, tmp_path):
    path, file = tmp_path / 'in.tif', tmp_path / 'r.json'
    tifffile.imwrite(path, frames[0], photometric='minisblack', metadata={'axes': 'YX'})
    source = ImageSource(frames[0], 'YX', path.name)
    usual = TrainSettings(seconds=None, steps=1, device='cpu', seed=5)  # as the command has them
    settings = replace(STEPS, training=usual)
    with using(1):  # threads add up numbers in another order
        python = denoise(frames[0], 'YX', settings, name=path.name).report
        events = list(jobs.train_job([source], settings, threading.Event()))
        call = ['denoise', str(path), '--output', str(tmp_path / 'o.tif'), '--report', str(file)]
        assert main([*call, '--steps', '1', '--device', 'cpu', '--seed', '5']) == 0
    (result,) = (event for event in events if isinstance(event, jobs.Result))
    (trained,) = (event for event in events if isinstance(event, jobs.Trained))
    expected = json.loads(json.dumps(without_times(python)))
    assert json.loads(json.dumps(without_times(result.report))) == expected
    command = without_times(json.loads(file.read_text()))
    assert command.pop('origin')['input_crc32'] == expected['crc32']  # of a file, so here alone
    assert command.pop('file') == str(path)  # where the image is, for replay
    assert command == expected
    assert expected['seed'] == 5
    with using(1):
        again = jobs.correct_job([(source, result.scored)], trained, settings)
        (corrected,) = (event for event in again if isinstance(event, jobs.Result))
        other = jobs.correct_job([(source, None)], trained, settings)
        (foreign,) = (event for event in other if isinstance(event, jobs.Result))
    assert json.loads(json.dumps(without_times(corrected.report))) == expected
    assert set(foreign.report) == set(python)


def kinds(events) -> list[type]:
    """Which events there were, each row of the same ones once."""
    found = [type(event) for event in events]
    return [kind for i, kind in enumerate(found) if i == 0 or found[i - 1] is not kind]


def test_events_are_typed_and_come_in_the_order_of_the_work(images):
    events = list(denoise_steps(images[:1], AT_ONCE))
    expected = [Progress, Estimated, ReadyToTrain, Trained, Progress, Denoised]
    assert kinds(events) == expected
    (ready,) = (event for event in events if isinstance(event, ReadyToTrain))
    (estimated,) = (event for event in events if isinstance(event, Estimated))
    assert ready.images == {0: estimated.image}
    assert ready.groups == (estimated.image.channels,)
    assert ready.start() is not None


def test_images_that_are_checked_first_are_denoised_when_their_own_model_is_trained(images):
    steps = denoise_steps(images, EACH, check_first=True)
    events = [event for event in steps if not isinstance(event, Progress)]
    each = [Trained, Denoised] * 3
    assert [type(event) for event in events] == [*[Estimated] * 3, ReadyToTrain, *each]


def test_a_late_training_that_fails_costs_its_own_image_alone(images, monkeypatch):
    real = stages.train_score_steps

    def failing(prepared, *arguments, **options):
        if prepared[0].source.name == '1.tif':
            raise TrainingError('nothing was learned')
        return (yield from real(prepared, *arguments, **options))

    monkeypatch.setattr(schedule, 'train_score_steps', failing)
    for options in ({}, {'check_first': True}):
        events = list(denoise_steps(images, EACH, keep_going=True, **options))
        assert [e.number for e in events if isinstance(e, Denoised)] == [0, 2]
        assert [e.number for e in events if isinstance(e, Failed)] == [1]
    steps, done = denoise_steps(images, EACH, check_first=True), []
    with pytest.raises(TrainingError, match='nothing was learned'):
        done.extend(event.number for event in steps if isinstance(event, Denoised))
    job, heard = jobs.train_job(images, EACH, threading.Event()), []
    heard += [type(event) for event in job if isinstance(event, (jobs.Result, jobs.Failed))]
    assert heard == [jobs.Result, jobs.Failed, jobs.Result]


def test_a_part_without_all_time_points_costs_its_own_image_alone(frames):
    movie, short = (ImageSource(frames[:2], 'TYX', f'{i}.tif') for i in range(2))
    parts = [[movie], [short.part(Region({'T': (0, 1)}))]]
    settings = replace(AT_ONCE, model_per=ModelPer.TIME)
    events = list(
        denoise_steps([short, movie], settings, training_parts=parts[::-1], keep_going=True)
    )
    assert [e.number for e in events if isinstance(e, Failed)] == [0]
    assert [e.number for e in events if isinstance(e, Denoised)] == [1]


def test_what_is_not_acceptable_ends_the_work_before_the_training_if_all_are_checked_first(images):
    bad = ImageSource(np.ones((4, 4)), 'YX', 'tiny.tif')
    settings = replace(AT_ONCE, context='depth')
    steps, heard = denoise_steps([*images, bad], settings, keep_going=True, check_first=True), []
    with pytest.raises(Exception, match='slices along Z'):
        heard.extend(steps)
    assert Trained not in kinds(heard)


def test_an_image_that_changes_while_it_is_learned_from_is_reported(images):
    for steps in (denoise_steps(images[:1], AT_ONCE), denoise_steps(images[1:2], AT_ONCE)):
        for event in steps:
            if isinstance(event, Trained):
                images[0].data[:10] = 0
            if isinstance(event, Denoised):
                told = ' '.join(event.report['warnings'])
                changed = event.score_map.prepared.source.name == '0.tif'
                assert ('changed during the training' in told) == changed


def test_stopped_before_the_first_step_there_is_no_result(images):
    stop = threading.Event()
    stop.set()
    for settings in (STEPS, replace(STEPS, model_per=ModelPer.IMAGE)):
        events = list(denoise_steps(images, settings, stop=stop))
        assert not {Trained, Denoised, Failed} & set(kinds(events))
    with pytest.raises(TrainingError, match='stopped before its first step'):
        finish(single(denoise_steps(images[:1], STEPS, stop=stop)))


def test_a_training_can_continue_from_a_model(images):
    first = denoise(images[0].data, 'YX', STEPS).model
    result = finish(single(denoise_steps(images[:1], STEPS, start=first)))
    assert result.model.training['start'] == {'sha256': first.digest}


def test_train_steps_end_with_the_model_and_apply_nothing(images):
    events = list(train_steps(images, AT_ONCE))
    assert kinds(events)[-1] is Trained
    progress = [event for event in events if isinstance(event, Progress)]
    assert {event.stage for event in progress} == {'estimate'}  # neither steps nor results
    trained = events[-1]
    assert trained.numbers == (0, 1, 2)
    score = finish(score_image_steps(trained.model, events[1].image, orientations=1))
    assert score.models == (trained.model,)
