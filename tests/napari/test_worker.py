"""Jobs in napari's worker."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from qtpy.QtCore import QThread

from napari_noise2score._widget import jobs, worker
from napari_noise2score._widget.jobs import Stage, Update
from napari_noise2score.errors import TrainingError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.pipeline import stages
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.progress import relay
from napari_noise2score.settings import DenoiseSettings, TrainSettings
from tests.napari.helpers import noisy_stack


class Heard:
    def __init__(self):
        self.events, self.ends, self.threads = [], [], set()

    def event(self, event):
        self.events.append(event)
        self.threads.add(threading.current_thread())

    def end(self, error):
        self.ends.append(error)
        self.threads.add(threading.current_thread())


def run(qtbot, make_job, act=lambda flags, heard: None):
    heard = Heard()
    flags = worker.start(make_job, title='test', on_event=heard.event, on_end=heard.end)
    act(flags, heard)
    qtbot.waitUntil(lambda: bool(heard.ends), timeout=30_000)
    return heard


def test_job_runs_elsewhere_and_reports_here(qtbot):
    places = []

    def job(stop):
        places.append(threading.current_thread())
        yield jobs.Trained(None, None)

    heard = run(qtbot, job)
    assert heard.ends == [None]
    assert len(heard.events) == 1
    assert heard.threads == {threading.current_thread()}
    assert places != [threading.current_thread()]


@pytest.mark.parametrize(
    'error', [RuntimeError('CUDA error'), TrainingError('nothing learned'), MemoryError()]
)
def test_every_error_arrives(qtbot, error):
    def job(stop):
        yield Update(Stage.TRAIN, 0.0)
        raise error

    assert run(qtbot, job).ends == [error]


def test_updates_are_thinned_out_and_results_are_not(qtbot):
    def job(stop):
        for number in range(500):
            yield Update(Stage.TRAIN, number / 500)
            if number % 100 == 0:
                yield jobs.Trained(number, None)

    events = run(qtbot, job).events
    assert [event.model for event in events if isinstance(event, jobs.Trained)] == [
        0,
        100,
        200,
        300,
        400,
    ]
    assert sum(isinstance(event, Update) for event in events) < 100


def test_a_job_waits_until_what_it_yields_is_dealt_with(qtbot):
    order, ends = [], []

    def job(stop):
        for number in range(3):
            yield jobs.Trained(number, None)
            order.append(('goes on', number))

    def deal(event):
        time.sleep(0.1)  # gives the job the lock of Python
        order.append(('dealt with', event.model))

    worker.start(job, title='test', on_event=deal, on_end=ends.append)
    qtbot.waitUntil(lambda: bool(ends), timeout=30_000)
    assert order == [(what, n) for n in range(3) for what in ('dealt with', 'goes on')]


def test_a_job_ends_although_nobody_deals_with_what_it_yields(qtbot):
    """As at the closing of the viewer, whose thread waits for the jobs."""
    closed = threading.Event()

    def job(stop):
        try:
            yield jobs.Trained(None, None)
            yield jobs.Trained(None, None)
        finally:
            closed.set()

    heard = Heard()
    flags = worker.start(job, title='test', on_event=heard.event, on_end=heard.end)
    time.sleep(0.3)
    assert not closed.is_set()
    flags.cancel()
    assert closed.wait(10)  # this thread has not heard anything yet
    qtbot.waitUntil(lambda: bool(heard.ends), timeout=30_000)


def test_a_paused_job_waits_and_goes_on_with_the_same_result(qtbot):
    """Bit for bit that of a training that was not paused."""
    image = model_noise(ImageSource(noisy_stack(2, 64), 'TYX'))
    settings = TrainSettings(seconds=None, steps=12, batch=2, patch=32, device='cpu')

    def training(stop):
        model = yield from relay(
            stages.train_score_steps([image], settings),
            lambda at: jobs.Trained(None, at.step),
        )
        yield jobs.Trained(model, 'end')

    def hold(flags, heard):
        qtbot.waitUntil(lambda: len(heard.events) >= 3, timeout=30_000)
        flags.pause()
        qtbot.wait(200)
        count = len(heard.events)
        qtbot.wait(600)
        assert len(heard.events) == count < 13
        flags.resume()

    plain, held = run(qtbot, training), run(qtbot, training, hold)
    assert len(plain.events) == len(held.events) == 13
    one, other = (heard.events[-1].model.network for heard in (plain, held))
    for first, second in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(first, second)


def test_stop_ends_a_pause(qtbot):
    def job(stop):
        for _ in range(10_000):
            if stop.is_set():
                return
            yield jobs.Trained(None, None)

    def hold(flags, heard):
        flags.pause()
        qtbot.wait(100)
        flags.stop()

    assert run(qtbot, job, hold).ends == [None]


def test_quit_of_the_task_manager_ends_the_job_and_releases_it(qtbot):
    ended = []

    def job(stop):
        try:
            while not stop.is_set():
                QThread.msleep(2)
                yield Update(Stage.TRAIN, 0.5)
            yield jobs.Trained('must not arrive', None)
        finally:
            ended.append(True)

    def quit_all(flags, heard):
        qtbot.waitUntil(lambda: bool(heard.events), timeout=10_000)
        for running in list(worker.JobWorker._worker_set):
            running.quit()

    heard = run(qtbot, job, quit_all)
    assert heard.ends == [None]
    assert ended == [True]
    assert not any(isinstance(event, jobs.Trained) for event in heard.events)


def test_a_core_is_left_free_and_given_back(stack):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        job = jobs.train_job([ImageSource(stack, 'TYX')], DenoiseSettings(), threading.Event())
        seen = next(torch.get_num_threads() for event in job if event.stage == 'estimate')
        job.close()
        assert (seen, torch.get_num_threads()) == (1, 2)
    finally:
        torch.set_num_threads(before)


def test_stopped_before_the_first_step_there_is_no_model(stack):
    stop = threading.Event()
    stop.set()
    events = list(jobs.train_job([ImageSource(stack, 'TYX')], DenoiseSettings(), stop))
    assert not any(isinstance(event, (jobs.Trained, jobs.Result)) for event in events)


def test_torch_that_cannot_be_loaded_is_explained(monkeypatch):
    def fail(name, *rest, **more):
        if name == 'torch':
            raise OSError('[WinError 1114] c10.dll')
        return real(name, *rest, **more)

    import builtins

    real = builtins.__import__
    monkeypatch.setattr(builtins, '__import__', fail)
    with pytest.raises(TrainingError, match=r'WinError 1114.*Visual C\+\+'):
        jobs.load_torch()
