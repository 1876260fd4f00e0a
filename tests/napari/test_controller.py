"""The controller with a stand-in for the worker: no window, no thread, no training."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from napari_noise2score._widget import jobs
from napari_noise2score._widget.control.controller import Controller, State
from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.jobs import Update
from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.settings import DenoiseSettings


class Layer:
    pass


class Panel:
    def __init__(self):
        self.statuses, self.errors, self.notes, self.estimates, self.results = [], [], [], [], []
        self.show_status = self.statuses.append
        self.show_error = self.errors.append
        self.show_notes = self.notes.extend
        self.models = []
        self.show_model = self.models.append
        self.learning = []
        self.show_learning = lambda history: self.learning.append(list(history))

    def show_estimates(self, estimates, asked):
        self.estimates.append((estimates, asked))

    def add_result(self, target, image, name, report):
        self.results.append((target.layer, name))


class Runs:
    """Keeps what would run, so that a test can play the worker."""

    def __init__(self):
        self.started = []

    def __call__(self, make_job, *, title, on_event, on_end):
        run = SimpleNamespace(
            asked=[], on_event=on_event, on_end=on_end, title=title, make_job=make_job
        )
        run.stop = lambda: run.asked.append('stop')
        run.cancel = lambda: run.asked.append('cancel')
        run.pause = lambda: run.asked.append('pause')
        run.resume = lambda: run.asked.append('resume')
        self.started.append(run)
        return run


@pytest.fixture
def panel():
    return Panel()


@pytest.fixture
def runs():
    return Runs()


@pytest.fixture
def controller(panel, runs):
    return Controller(panel, runs)


@pytest.fixture
def targets():
    return [Target(Layer(), ImageSource(np.ones((16, 16)), 'YX', 'cells'))]


def trained():
    return jobs.Trained(SimpleNamespace(), SimpleNamespace())


def test_second_request_is_refused_in_words(controller, panel, runs, targets):
    controller.train(targets, DenoiseSettings())
    controller.train(targets, DenoiseSettings())
    controller.estimate(targets)
    controller.correct(targets, DenoiseSettings())
    assert len(runs.started) == 1
    assert len(panel.errors) == 3
    assert all('still training' in error for error in panel.errors)


def test_no_layer_and_no_model_are_refused_in_words(controller, panel, runs, targets):
    controller.train([], DenoiseSettings())
    controller.correct(targets, DenoiseSettings())
    assert not runs.started
    assert 'tick at least one' in panel.errors[0]
    assert 'press Train first' in panel.errors[1]


def test_states_of_a_training(controller, panel, runs, targets):
    controller.train(targets, DenoiseSettings())
    run = runs.started[0]
    run.on_event(Update('train', 0.5, 10, 0.4, left=3.0))
    assert controller.status.text == 'Training: step 10, loss 0.400, 3 s left'
    assert controller.state is State.TRAINING
    run.on_event(trained())
    run.on_event(Update('correct', 0.25, left=61.0))
    assert controller.state is State.CORRECTING
    assert controller.status.text == 'Correcting: 25 %, 1 min 01 s left'
    run.on_end(None)
    assert controller.state is State.IDLE
    assert controller.status.has_model


def test_stop_applies_and_a_second_stop_cancels(controller, runs, targets):
    controller.train(targets, DenoiseSettings())
    run = runs.started[0]
    controller.stop()
    assert (run.asked, controller.state) == (['stop'], State.STOPPING)
    run.on_event(Update('train', 0.5, 10, 0.4, left=3.0))
    assert 'Stopping' in controller.status.text
    run.on_event(trained())
    run.on_event(Update('correct', 0.5))
    assert controller.status.text == 'Stopped; correcting: 50 %'
    controller.stop()
    assert run.asked == ['stop', 'cancel']
    run.on_end(None)
    assert controller.state is State.IDLE
    assert controller.status.text == 'Cancelled. The trained score is kept.'


@pytest.mark.parametrize('request_', ['estimate', 'correct'])
def test_stop_cancels_what_is_no_training(controller, runs, targets, request_):
    controller.train(targets, DenoiseSettings())
    runs.started[0].on_event(trained())
    runs.started[0].on_end(None)
    if request_ == 'estimate':
        controller.estimate(targets)
    else:
        controller.correct(targets, DenoiseSettings())
    controller.stop()
    assert runs.started[1].asked == ['cancel']


def test_stop_when_idle_does_nothing(controller, runs):
    controller.stop()
    assert controller.state is State.IDLE


def test_late_words_of_an_earlier_run_are_dropped(controller, panel, runs, targets):
    controller.train(targets, DenoiseSettings())
    first = runs.started[0]
    controller.close()
    assert first.asked == ['cancel']
    controller.train(targets, DenoiseSettings())
    first.on_event(trained())
    first.on_event(Update('correct', 0.9))
    first.on_end(InputError('old'))
    assert controller.state is State.TRAINING
    assert not controller.status.has_model
    assert panel.errors == []


def test_an_error_keeps_the_model(controller, panel, runs, targets):
    controller.train(targets, DenoiseSettings())
    runs.started[0].on_event(trained())
    runs.started[0].on_end(RuntimeError('CUDA error'))
    assert controller.state is State.IDLE
    assert controller.status.has_model
    (error,) = panel.errors
    assert 'RuntimeError: CUDA error' in error
    assert 'Your layers are as they were' in error
    controller.correct(targets, DenoiseSettings())
    assert len(runs.started) == 2


def test_our_errors_are_shown_by_their_text(controller, panel, runs, targets):
    controller.estimate(targets)
    runs.started[0].on_end(InputError('the image is constant'))
    assert panel.errors == ['the image is constant']


def test_controller_knows_no_qt():
    code = (
        'import sys, napari_noise2score._widget.control.controller; '
        'print([m for m in ("qtpy", "PyQt6", "PySide6", "torch", "napari") if m in sys.modules])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'


def test_pause_holds_and_lets_go(controller, panel, runs, targets):
    controller.pause()
    assert controller.state is State.IDLE
    controller.train(targets, DenoiseSettings())
    (run,) = runs.started
    run.on_event(Update('train', 0.2, 7, 0.5, left=9.0))
    controller.pause()
    assert (run.asked, controller.state) == (['pause'], State.PAUSED)
    assert controller.status.text.startswith('Paused. Training: step 7')
    run.on_event(Update('train', 0.3, 8, 0.5, left=8.0))
    assert controller.state is State.PAUSED
    controller.train(targets, DenoiseSettings())
    assert 'One run at a time: the panel is still paused' in panel.errors[-1]
    controller.pause()
    assert (run.asked, controller.state) == (['pause', 'resume'], State.TRAINING)
    run.on_event(Update('train', 0.4, 9, 0.5, left=7.0))
    assert 'step 9' in controller.status.text


def test_stop_in_a_pause_applies_what_was_learned(controller, runs, targets):
    controller.train(targets, DenoiseSettings())
    (run,) = runs.started
    controller.pause()
    controller.stop()
    assert (run.asked, controller.state) == (['pause', 'stop'], State.STOPPING)
    controller.pause()
    assert run.asked == ['pause', 'stop']


def test_the_course_of_a_training_is_shown_and_begins_anew(controller, panel, runs, targets):
    controller.train(targets, DenoiseSettings())
    run = runs.started[0]
    run.on_event(Update('train', 0.1, 10, 0.9, 2.0, 8.0))
    run.on_event(Update('train', 0.2, 30, 0.7, 4.0, 6.0))
    assert panel.learning[-1] == [(2.0, 0.9), (4.0, 0.7)]
    assert controller.status.text == 'Training: step 30 (7.5 a second), loss 0.700, 6 s left'
    run.on_end(None)
    controller.train(targets, DenoiseSettings())
    runs.started[1].on_event(Update('train', 0.1, 5, 0.8, 1.0, 9.0))
    assert panel.learning[-1] == [(1.0, 0.8)]


def test_calibration_needs_frames_and_says_what_it_does(controller, panel, runs):
    controller.calibrate(None, None)
    assert 'No calibration frames are chosen' in panel.errors[-1]
    assert not runs.started
    found = []
    panel.show_calibration = found.append
    controller.calibrate(ImageSource(np.ones((4, 16, 16)), 'TYX', 'dark'), None)
    assert controller.state is State.CALIBRATING
    run = runs.started[0]
    event = jobs.Calibrated(SimpleNamespace())
    run.on_event(event)
    run.on_end(None)
    assert found == [event.calibration]
    assert panel.statuses[-1].text == 'The noise was measured on the calibration frames.'
    controller.calibrate(None, ImageSource(np.ones((4, 16, 16)), 'TYX', 'flat'))
    controller.stop()
    runs.started[1].on_end(None)
    assert panel.statuses[-1].text == 'Cancelled.'
