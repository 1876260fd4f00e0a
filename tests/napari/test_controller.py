"""The controller with a stand-in for the worker: no window, no thread, no training."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from napari_noise2score._widget import jobs
from napari_noise2score._widget.control.controller import Controller
from napari_noise2score._widget.control.messages import end_words
from napari_noise2score._widget.control.runner import FinishReason, JobKind, Phase, RunnerStatus
from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.jobs import Stage, Update
from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.settings import DenoiseSettings
from tests.napari.runs import PlayedRuns

_NO_STEP = 'Stopped before the first training step; there is no result.'


class Layer:
    pass


@pytest.fixture
def runs():
    return PlayedRuns()


@pytest.fixture
def controller(runs):
    return Controller(runs)


@pytest.fixture
def errors(controller):
    """The errors that are reported."""
    reported = []
    controller.events.error_reported.connect(reported.append)
    return reported


@pytest.fixture
def targets():
    return [Target(Layer(), ImageSource(np.ones((16, 16)), 'YX', 'cells'))]


@pytest.fixture
def training(controller, runs, targets):
    """A training under way."""
    controller.train(targets, DenoiseSettings())
    return runs[0]


@pytest.fixture
def learned(controller, training, runs):
    """A training that has ended with a model; the list of runs is empty again."""
    training.on_event(trained())
    training.on_end(None)
    runs.clear()


def trained():
    return jobs.Trained(SimpleNamespace(), SimpleNamespace())


def step(number, fraction=0.5):
    return Update(Stage.TRAIN, fraction, number, 0.4, left=3.0)


def test_a_second_request_is_refused_in_words(controller, training, runs, errors, targets):
    controller.train(targets, DenoiseSettings())
    controller.estimate(targets)
    controller.correct(targets, DenoiseSettings())
    assert len(runs) == 1
    assert len(errors) == 3
    assert all('still training.' in error for error in errors)


def test_a_request_in_a_pause_is_refused_in_words(controller, training, errors, targets):
    controller.pause()
    controller.train(targets, DenoiseSettings())
    assert errors == [
        'One run at a time: the panel is still training (paused). '
        'Wait until it ends, or press Stop.'
    ]


def test_a_request_after_the_training_is_refused_by_the_correction(
    controller, training, errors, targets
):
    training.on_event(trained())
    training.on_event(Update(Stage.CORRECT, 0.5))
    controller.estimate(targets)
    assert 'still correcting.' in errors[0]


def test_no_layer_is_refused_in_words(controller, runs, errors):
    controller.train([], DenoiseSettings())
    assert 'tick at least one' in errors[0]
    assert not runs


def test_no_model_is_refused_in_words(controller, runs, errors, targets):
    controller.correct(targets, DenoiseSettings())
    assert 'press Train first' in errors[0]
    assert not runs


def test_the_status_during_a_training(controller, training):
    training.on_event(step(10))
    status = controller.status
    assert status.run == RunnerStatus(Phase.RUNNING, JobKind.TRAINING)
    assert (status.text, status.fraction) == ('Training: step 10, loss 0.400, 3 s left', 0.5)
    assert not status.has_model


def test_the_status_during_the_correction(controller, training):
    training.on_event(trained())
    training.on_event(Update(Stage.CORRECT, 0.25, left=61.0))
    assert controller.status.text == 'Correcting: 25 %, 1 min 01 s left'
    assert controller.run.job is JobKind.TRAINING
    assert controller.status.has_model


def test_every_status_is_a_signal(controller, runs, targets):
    shown = []
    controller.events.status_changed.connect(shown.append)
    controller.train(targets, DenoiseSettings())
    runs[0].on_event(step(10))
    runs[0].on_end(None)
    phases = [status.run.phase for status in shown]
    assert phases == [Phase.RUNNING, Phase.RUNNING, Phase.IDLE]
    assert shown[-1] == controller.status


def test_a_new_model_is_a_signal(controller, training):
    shown = []
    controller.events.model_changed.connect(shown.append)
    model = trained()
    training.on_event(model)
    assert shown == [model]
    assert controller.store.model is model


def test_stop_ends_a_training_and_applies_it(controller, training):
    controller.stop()
    assert training.requests == ['stop']
    assert controller.run.phase is Phase.STOPPING
    training.on_event(step(10))
    assert controller.status.text == 'Stopping; applying the trained model ...'
    training.on_event(trained())
    training.on_event(Update(Stage.CORRECT, 0.5))
    assert controller.status.text == 'Stopped; correcting: 50 %'
    training.on_end(None)
    assert controller.run.reason is FinishReason.STOPPED


def test_a_second_stop_cancels(controller, training):
    controller.stop()
    training.on_event(trained())
    controller.stop()
    assert training.requests == ['stop', 'cancel']
    training.on_event(Update(Stage.CORRECT, 0.5))
    assert controller.status.text == 'Cancelling ...'
    training.on_end(None)
    assert controller.run.reason is FinishReason.CANCELLED
    assert controller.status.text == 'Cancelled. The trained model is still available.'


def test_stop_cancels_the_correction_after_a_training(controller, training):
    training.on_event(trained())
    training.on_event(Update(Stage.CORRECT, 0.5))
    controller.stop()
    assert training.requests == ['cancel']


def test_stop_cancels_the_saving_after_a_training(controller, training, errors, targets):
    training.on_event(trained())
    training.on_event(Update(Stage.SAVE, 0.25, left=5.0))
    assert controller.status.text == 'Correcting and saving: 25 %, 5 s left'
    controller.train(targets, DenoiseSettings())
    assert 'still correcting' in errors[0]
    controller.stop()
    assert training.requests == ['cancel']


def test_a_stopped_training_says_that_it_saves(controller, training):
    controller.stop()
    training.on_event(trained())
    training.on_event(Update(Stage.SAVE, 0.5))
    assert controller.status.text == 'Stopped; correcting and saving: 50 %'


@pytest.mark.parametrize('request_', ['estimate', 'correct', 'compare'])
def test_stop_cancels_a_job_without_training(controller, learned, runs, targets, request_):
    if request_ == 'estimate':
        controller.estimate(targets)
    elif request_ == 'correct':
        controller.correct(targets, DenoiseSettings())
    else:
        controller.compare([(target, target.source, [None]) for target in targets])
    controller.stop()
    assert runs[0].requests == ['cancel']


def test_stop_and_pause_when_idle_do_nothing(controller, runs):
    controller.stop()
    controller.pause()
    assert controller.run == RunnerStatus()
    assert controller.status.text == 'Choose the layers, then press Train.'


def test_events_of_an_earlier_run_are_dropped(controller, training, errors, targets):
    controller.close()
    assert training.requests == ['cancel']
    controller.train(targets, DenoiseSettings())
    training.on_event(trained())
    training.on_event(Update(Stage.CORRECT, 0.9))
    training.on_end(InputError('old'))
    assert controller.run == RunnerStatus(Phase.RUNNING, JobKind.TRAINING)
    assert not controller.status.has_model
    assert errors == []


def test_an_unexpected_error_keeps_the_model(controller, training, runs, errors, targets):
    training.on_event(trained())
    training.on_end(RuntimeError('CUDA error'))
    assert controller.run.reason is FinishReason.FAILED
    assert controller.status.text == 'Failed; see below. The trained model is still available.'
    assert controller.status.has_model
    (error,) = errors
    assert 'RuntimeError: CUDA error' in error
    assert 'Your layers are unchanged' in error
    controller.correct(targets, DenoiseSettings())
    assert len(runs) == 2


def test_our_errors_are_shown_by_their_text(controller, runs, errors, targets):
    controller.estimate(targets)
    runs[0].on_end(InputError('the image is constant'))
    assert errors == ['the image is constant']


def test_an_estimate_that_was_asked_for(controller, runs, targets):
    shown = []
    controller.events.noise_estimated.connect(lambda *arguments: shown.append(arguments))
    controller.estimate(targets)
    event = jobs.Estimated(targets[0].source, {}, SimpleNamespace())
    runs[0].on_event(event)
    assert shown == []
    runs[0].on_end(None)
    assert shown == [((event,), True)]
    assert controller.status.text == 'The noise was estimated.'


def test_an_estimate_on_the_way_to_a_training(controller, training, targets):
    shown = []
    controller.events.noise_estimated.connect(lambda *arguments: shown.append(arguments))
    event = jobs.Estimated(targets[0].source, {}, SimpleNamespace())
    training.on_event(event)
    training.on_event(step(1))
    training.on_event(step(2))
    assert shown == [((event,), False)]


def test_pause_holds_the_text_and_resume_continues(controller, training):
    training.on_event(step(7))
    controller.pause()
    assert controller.run.phase is Phase.PAUSED
    assert controller.status.text.startswith('Paused. Training: step 7')
    training.on_event(step(8))
    assert controller.status.text.startswith('Paused. Training: step 7')
    controller.pause()
    assert training.requests == ['pause', 'resume']
    assert controller.status.text == 'Continuing ...'
    training.on_event(step(9))
    assert 'step 9' in controller.status.text


def test_stop_in_a_pause_applies_the_training(controller, training):
    controller.pause()
    controller.stop()
    controller.pause()
    assert training.requests == ['pause', 'stop']


def test_the_loss_of_a_training_begins_again_with_the_next(controller, training, runs, targets):
    shown = []
    controller.events.loss_changed.connect(lambda history: shown.append(list(history)))
    training.on_event(Update(Stage.TRAIN, 0.1, 10, 0.9, 2.0, 8.0))
    training.on_event(Update(Stage.TRAIN, 0.2, 30, 0.7, 4.0, 6.0))
    assert shown[-1] == [(2.0, 0.9), (4.0, 0.7)]
    assert controller.status.text == 'Training: step 30 (7.5 per second), loss 0.700, 6 s left'
    training.on_end(None)
    controller.train(targets, DenoiseSettings())
    runs[1].on_event(Update(Stage.TRAIN, 0.1, 5, 0.8, 1.0, 9.0))
    assert shown[-1] == [(1.0, 0.8)]


def test_the_second_of_two_trainings_has_a_loss_curve_of_its_own(controller, training):
    training.on_event(Update(Stage.TRAIN, 0.5, 10, 0.9, 4.0, 8.0, part=(1, 2)))
    training.on_event(Update(Stage.TRAIN, 0.6, 5, 0.8, 1.0, 9.0, part=(2, 2)))
    assert controller.store.history == [(1.0, 0.8)]


def test_calibration_without_frames_is_refused_in_words(controller, runs, errors):
    controller.calibrate(None, None)
    assert 'No calibration frames are chosen' in errors[-1]
    assert not runs


def test_a_calibration(controller, runs):
    shown = []
    controller.events.noise_calibrated.connect(shown.append)
    controller.calibrate(ImageSource(np.ones((4, 16, 16)), 'TYX', 'dark'), None)
    assert controller.run.job is JobKind.CALIBRATING
    event = jobs.Calibrated(SimpleNamespace())
    runs[0].on_event(event)
    runs[0].on_end(None)
    assert shown == [event.calibration]
    assert controller.status.text == 'The noise was measured on the calibration frames.'


def test_a_preview_ends_with_the_next_job(controller, learned, runs, errors, targets):
    controller.store.store_score(targets[0].layer, SimpleNamespace())
    views = [jobs.View({})]
    shown = []
    controller.events.plane_ready.connect(lambda *arguments: shown.append(arguments))
    assert controller.preview(targets, DenoiseSettings(), views)
    assert controller.run.idle
    (preview,) = runs
    plane = jobs.Live(0, (0,), np.zeros((16, 16)))
    preview.on_event(plane)
    assert shown == [(targets[0], plane.index, plane.values)]
    controller.estimate(targets)
    assert preview.requests == ['cancel']
    preview.on_event(plane)
    preview.on_end(RuntimeError('late'))
    assert (len(shown), errors) == (1, [])
    assert not controller.preview(targets, DenoiseSettings(), views)


def test_without_a_score_there_is_no_preview(controller, runs, targets):
    assert not controller.preview(targets, DenoiseSettings(), [jobs.View({})])
    assert not runs


def test_a_model_that_cannot_be_written_is_explained(controller, training, errors, tmp_path):
    def save(path):
        raise PermissionError(13, 'Permission denied', str(path))

    training.on_event(jobs.Trained(SimpleNamespace(save=save), SimpleNamespace()))
    assert not controller.save(tmp_path / 'model.safetensors')
    assert 'could not be saved (Permission denied)' in errors[0]
    assert controller.store.model.path is None


@pytest.mark.parametrize(
    ('job', 'reason', 'added', 'failed', 'words'),
    [
        ('training', 'completed', 1, 0, ('Done: one layer added.', 1)),
        ('training', 'stopped', 2, 0, ('Done: 2 layers added.', 1)),
        ('training', 'completed', 2, 1, ('2 layers added, 1 failed; see below.', 1)),
        ('training', 'stopped', 0, 0, (_NO_STEP, 0)),
        ('correcting', 'completed', 0, 2, ('Failed; see below.', 0)),
        ('correcting', 'failed', 1, 0, ('Failed; see below.', 0)),
        ('correcting', 'cancelled', 1, 1, ('Cancelled.', 0)),
        ('comparing', 'completed', 1, 0, ('Done: one layer added.', 1)),
        ('estimating', 'cancelled', 0, 0, ('Cancelled.', 0)),
        ('estimating', 'completed', 0, 0, ('The noise was estimated.', 1)),
        ('loading', 'completed', 0, 0, ('The model was loaded.', 1)),
        ('exporting', 'completed', 0, 0, ('The model was exported.', 1)),
    ],
)
def test_how_a_job_ended_in_words(job, reason, added, failed, words):
    run = RunnerStatus(Phase.IDLE, JobKind(job), FinishReason(reason))
    assert end_words(run, added, failed, has_model=False) == words


def test_the_controller_loads_no_qt():
    code = (
        'import sys, napari_noise2score._widget.control.controller; '
        'print([m for m in ("qtpy", "PyQt6", "PySide6", "torch", "napari") if m in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
