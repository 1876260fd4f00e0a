"""The runner with a stand-in for the worker: one phase or reason, one test."""

from __future__ import annotations

import pytest

from napari_noise2score._widget.control.runner import (
    FinishReason,
    JobKind,
    Phase,
    Runner,
    RunnerStatus,
)
from tests.napari.runs import PlayedRuns


@pytest.fixture
def runs():
    return PlayedRuns()


@pytest.fixture
def runner(runs):
    return Runner(runs)


@pytest.fixture
def events():
    return []


@pytest.fixture
def ends():
    return []


@pytest.fixture
def run(runner, runs, events, ends):
    """A training under way."""
    start(runner, events, ends)
    return runs[0]


def start(runner, events, ends, job=JobKind.TRAINING):
    runner.start(
        job,
        lambda stop: iter(()),
        title='test',
        on_event=events.append,
        on_end=lambda reason, error: ends.append((reason, error)),
    )


def test_idle_before_the_first_job(runner):
    assert runner.status == RunnerStatus(Phase.IDLE, None, None)
    assert runner.status.idle


def test_running(runner, run, events):
    run.on_event('event')
    assert runner.status == RunnerStatus(Phase.RUNNING, JobKind.TRAINING, None)
    assert events == ['event']


def test_completed(runner, run, ends):
    run.on_end(None)
    expected = RunnerStatus(Phase.IDLE, JobKind.TRAINING, FinishReason.COMPLETED)
    assert runner.status == expected
    assert ends == [(FinishReason.COMPLETED, None)]
    assert run.requests == []


def test_stopped(runner, run, ends):
    runner.stop()
    assert runner.status == RunnerStatus(Phase.STOPPING, JobKind.TRAINING, FinishReason.STOPPED)
    run.on_end(None)
    assert runner.status.reason is FinishReason.STOPPED
    assert ends == [(FinishReason.STOPPED, None)]
    assert run.requests == ['stop']


def test_cancelled(runner, run, ends):
    runner.cancel()
    assert runner.status.phase is Phase.STOPPING
    run.on_end(None)
    assert runner.status.reason is FinishReason.CANCELLED
    assert ends == [(FinishReason.CANCELLED, None)]
    assert run.requests == ['cancel']


def test_failed(runner, run, ends):
    error = RuntimeError('CUDA error')
    run.on_end(error)
    assert runner.status == RunnerStatus(Phase.IDLE, JobKind.TRAINING, FinishReason.FAILED)
    assert ends == [(FinishReason.FAILED, error)]


def test_an_error_after_a_stop_is_a_failure(runner, run):
    runner.stop()
    run.on_end(MemoryError())
    assert runner.status.reason is FinishReason.FAILED


def test_a_stopping_job_is_cancelled_but_not_stopped_again(runner, run):
    runner.stop()
    runner.stop()
    runner.cancel()
    assert run.requests == ['stop', 'cancel']
    run.on_end(None)
    assert runner.status.reason is FinishReason.CANCELLED


def test_paused_and_resumed(runner, run):
    runner.pause()
    runner.pause()
    assert runner.status == RunnerStatus(Phase.PAUSED, JobKind.TRAINING, None)
    runner.resume()
    runner.resume()
    assert runner.status.phase is Phase.RUNNING
    assert run.requests == ['pause', 'resume']


def test_a_paused_job_can_be_stopped_and_is_not_paused_again(runner, run):
    runner.pause()
    runner.stop()
    runner.pause()
    assert runner.status.phase is Phase.STOPPING
    assert run.requests == ['pause', 'stop']


@pytest.mark.parametrize('request_', ['pause', 'resume', 'stop', 'cancel', 'abandon'])
def test_requests_to_an_idle_runner_do_nothing(runner, request_):
    getattr(runner, request_)()
    assert runner.status == RunnerStatus()


def test_an_abandoned_job_is_cancelled_and_no_longer_heard(runner, run, events, ends):
    runner.abandon()
    assert run.requests == ['cancel']
    assert runner.status.idle
    run.on_event('late')
    run.on_end(None)
    assert (events, ends) == ([], [])


def test_the_next_job_takes_the_place_of_an_earlier_one(runner, run, runs, events, ends):
    start(runner, events, ends, JobKind.LOADING)
    run.on_event('late')
    run.on_end(RuntimeError('late'))
    assert runner.status == RunnerStatus(Phase.RUNNING, JobKind.LOADING, None)
    runs[1].on_event('event')
    assert (events, ends) == (['event'], [])


def test_the_runner_is_idle_when_it_reports_the_end(runner, runs):
    phases = []
    runner.start(
        JobKind.LOADING,
        lambda stop: iter(()),
        title='test',
        on_event=lambda event: None,
        on_end=lambda reason, error: phases.append(runner.status.phase),
    )
    runs[0].on_end(None)
    assert phases == [Phase.IDLE]
