"""A training of the panel that a crash interrupted is offered at the next start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_noise2score._widget import jobs, stored_run
from napari_noise2score._widget.control.messages import age_words, offer_words
from napari_noise2score._widget.jobs import training as training_jobs
from napari_noise2score._widget.stored_run import StoredRun, interrupted_runs
from napari_noise2score.errors import CheckpointError
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.score import training_files
from napari_noise2score.settings import (
    DenoiseSettings,
    NetworkSettings,
    StartFrom,
    TrainSettings,
)
from tests.hooks import before_each_step
from tests.napari.helpers import NOISE, noisy_stack

STEPS = 12
TRAINING = TrainSettings(
    seconds=None,
    steps=STEPS,
    init=StartFrom.SCRATCH,
    network=NetworkSettings(channels=16, levels=2, blocks=1),
    batch=2,
    patch=32,
    device='cpu',
    save_every=0.001,
)
SETTINGS = DenoiseSettings(NoiseRequest.exactly(NOISE), training=TRAINING, orientations=1)


class Crash(BaseException):
    """What nothing catches, as little as a kill."""


class Never:
    def is_set(self) -> bool:
        return False


@pytest.fixture(autouse=True)
def each_step(monkeypatch):
    """Each step is saved."""
    monkeypatch.setattr(training_files, '_SELDOM', 0)


@pytest.fixture
def dead() -> list[float]:
    """Number and start of a process that has ended."""
    with subprocess.Popen([sys.executable, '-c', '']) as process:
        pass
    return [process.pid, 0.0]


@pytest.fixture
def crash(monkeypatch, dead):
    """Trains some steps as the panel does, and leaves the disk as a crash does."""

    def crash_after(
        sources: list[ImageSource], steps: int = 5, settings=SETTINGS, training_parts=()
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(StoredRun, 'remove', lambda run: None)
            job = training_jobs.train_job(
                sources, settings, Never(), training_parts=training_parts
            )
            for event in job:
                if isinstance(event, jobs.Update) and event.step == steps:
                    break
            job.close()
        for record in stored_run.default_folder().glob('*/run.json'):
            values = json.loads(record.read_text())
            assert values['process'] in ([os.getpid(), psutil.Process().create_time()], dead)
            record.write_text(json.dumps({**values, 'process': dead}))

    return crash_after


def folders(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []


def offered(panel, qtbot) -> str:
    qtbot.waitUntil(lambda: not panel.offer.isHidden(), timeout=20_000)
    return panel.offer.text.toPlainText()


def test_it_is_offered_once_its_layer_is_there_and_continued_bit_for_bit(
    open_panel, qtbot, idle, crash, stack, stored_runs
):
    crash([ImageSource(stack, 'TYX', 'cells')])
    viewer, panel = open_panel()
    viewer.add_image(noisy_stack(seed=4), name='others')
    assert panel.offer.isHidden()
    viewer.add_image(stack, name='cells again')
    words = 'Continue the interrupted training of cells again (5 steps, less than a minute ago)?'
    assert offered(panel, qtbot) == words
    assert panel.controller.run.idle  # nothing happens without a click
    steps = []
    with before_each_step(lambda: steps.append(1)):
        panel.offer.resume.native.click()
        assert panel.offer.isHidden()
        idle(panel)
    assert len(steps) == STEPS - 5
    assert 'Done: one layer added' in panel.status.text()
    result = next(layer for layer in viewer.layers if 'denoised' in layer.name)
    whole = denoise(stack, 'TYX', SETTINGS)
    np.testing.assert_array_equal(result.data, whole.image)
    assert folders(stored_runs) == []


def test_it_is_continued_and_saved(open_panel, qtbot, idle, crash, stack, stored_runs, tmp_path):
    crash([ImageSource(stack, 'TYX', 'cells')])
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    offered(panel, qtbot)
    panel.save.path.value = str(tmp_path)
    (tmp_path / 'cells_denoised.ome.zarr').mkdir()
    panel.offer.resume.native.click()
    assert 'exists already' in panel.messages.text()
    assert not panel.offer.isHidden()
    (tmp_path / 'cells_denoised.ome.zarr').rmdir()
    panel.offer.resume.native.click()
    idle(panel)
    result = next(layer for layer in viewer.layers if 'denoised' in layer.name)
    whole = denoise(stack, 'TYX', SETTINGS)
    np.testing.assert_array_equal(result.data[0].compute(), whole.image)
    assert folders(stored_runs) == []


def test_declined_it_is_deleted(open_panel, qtbot, crash, stack, stored_runs):
    crash([ImageSource(stack, 'TYX', 'cells')])
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    offered(panel, qtbot)
    panel.offer.delete.native.click()
    assert panel.offer.isHidden()
    assert folders(stored_runs) == []
    viewer.add_image(stack, name='cells again')
    assert panel.offer.isHidden()


def test_it_is_withdrawn_with_its_layer(open_panel, qtbot, crash, stack, stored_runs):
    crash([ImageSource(stack, 'TYX', 'cells')])
    viewer, panel = open_panel()
    layer = viewer.add_image(stack, name='cells')
    offered(panel, qtbot)
    viewer.layers.remove(layer)
    qtbot.waitUntil(panel.offer.isHidden, timeout=5000)
    assert len(folders(stored_runs)) == 1


def test_all_layers_have_to_be_there_each_with_the_same_part(
    open_panel, qtbot, idle, crash, stored_runs
):
    one, two = noisy_stack(size=96, seed=1), noisy_stack(size=96, seed=2)
    region = Region({'Y': (0, 64)})
    sources = [ImageSource(one, 'TYX', 'one').part(region), ImageSource(two, 'TYX', 'two')]
    training_parts = [(), (sources[1].part(Region({'X': (0, 48)})),)]
    crash(sources, training_parts=training_parts)
    viewer, panel = open_panel()
    viewer.add_image(two, name='two')
    qtbot.wait(200)
    assert panel.offer.isHidden()
    viewer.add_image(one, name='one')
    assert 'training of one, two (' in offered(panel, qtbot)
    panel.offer.resume.native.click()
    idle(panel)
    shapes = {layer.data.shape for layer in viewer.layers if 'denoised' in layer.name}
    assert shapes == {(2, 64, 96), (2, 96, 96)}
    assert folders(stored_runs) == []


def test_a_training_that_ends_in_any_other_way_leaves_nothing(stack, stored_runs):
    source = ImageSource(stack, 'TYX', 'cells')
    for ending in ('completed', 'cancelled', 'failed'):
        job = training_jobs.train_job([source], SETTINGS, Never())
        for event in job:
            if isinstance(event, jobs.Update) and event.step == 3:
                assert len(folders(stored_runs)) == 1
                if ending == 'cancelled':
                    job.close()
                if ending == 'failed':
                    with pytest.raises(Crash):
                        job.throw(Crash())
        assert folders(stored_runs) == []


@pytest.mark.parametrize(
    'training',
    [
        {'save_every': 0.0},
        {'seconds': 0.0, 'init': 'warm', 'network': None},
        {'init': StartFrom.UNSAVED, 'network': None},
    ],
)
def test_what_could_not_be_continued_is_not_stored(training, stack, stored_runs):
    settings = replace(SETTINGS, training=replace(TRAINING, **training))
    with training_jobs._stored([ImageSource(stack, 'TYX')], (), settings, None) as run:
        assert run is None
    assert folders(stored_runs) == []


def test_one_that_is_refused_is_kept(crash, stack, stored_runs):
    crash([ImageSource(stack, 'TYX', 'cells')])
    (run,) = interrupted_runs()
    changed = ImageSource(stack + 1, 'TYX', 'cells')
    with pytest.raises(CheckpointError, match='cells has other grey levels'):
        list(training_jobs.train_job([changed], run.settings, Never(), interrupted=run))
    assert len(folders(stored_runs)) == 1


def test_a_run_of_a_process_that_lives_or_may_live_is_not_offered(
    crash, stack, stored_runs, monkeypatch
):
    run = StoredRun.begin([ImageSource(stack, 'TYX', 'cells')], (), SETTINGS)
    assert interrupted_runs() == []
    assert run.path.is_dir()
    run.remove()
    crash([ImageSource(stack, 'TYX', 'cells')])
    assert len(interrupted_runs()) == 1
    monkeypatch.setattr(stored_run.platform, 'node', lambda: 'another')
    assert interrupted_runs() == []
    assert len(folders(stored_runs)) == 1


@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no SIGKILL')
def test_a_process_that_was_killed_leaves_a_run_to_be_continued(stored_runs, tmp_path):
    program = """
import os, signal, sys
from pathlib import Path
from napari_noise2score._widget import jobs, stored_run
from napari_noise2score._widget.jobs.training import train_job
from tests.napari.test_interrupted import SETTINGS, Never
from tests.napari.helpers import noisy_stack
from napari_noise2score.images.source import ImageSource
from napari_noise2score.score import training_files
training_files._SELDOM = 0
stored_run.default_folder = lambda: Path(sys.argv[1])
for event in train_job([ImageSource(noisy_stack(), 'TYX', 'cells')], SETTINGS, Never()):
    if isinstance(event, jobs.Update) and event.step == 4:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).parents[2]
    found = subprocess.run([sys.executable, '-c', program, str(stored_runs)], cwd=root)
    assert found.returncode == -9
    (run,) = interrupted_runs()
    assert run.latest[0] == 4
    assert run.layers[0].name == 'cells'


def test_what_cannot_be_used_is_removed(dead, stack, stored_runs):
    (stored_runs / 'empty').mkdir(parents=True)
    damaged = stored_runs / 'damaged'
    (damaged / 'states').mkdir(parents=True)
    (damaged / 'states' / 'training-1.safetensors').write_bytes(b'x')
    (damaged / 'run.json').write_text('{"process": ')
    assert interrupted_runs() == []
    assert folders(stored_runs) == []


def test_a_folder_that_cannot_be_written_costs_no_training(stack, stored_runs):
    stored_runs.parent.mkdir(exist_ok=True)
    stored_runs.write_text('a file')
    job = training_jobs.train_job([ImageSource(stack, 'TYX')], SETTINGS, Never())
    assert any(isinstance(event, jobs.Result) for event in job)
    assert stored_runs.read_text() == 'a file'


def test_the_latest_of_several_is_offered_first(crash, stack, stored_runs):
    crash([ImageSource(stack, 'TYX', 'cells')])
    (old,) = interrupted_runs()
    state = next(old.path.glob('states/*'))
    os.utime(state, (time.time() - 300, time.time() - 300))
    crash([ImageSource(stack, 'TYX', 'cells')], 3)
    runs = interrupted_runs()
    assert [run.latest[0] for run in runs] == [3, 5]
    assert runs[1].latest[1] == pytest.approx(300, abs=20)
    assert runs[0].settings == SETTINGS


def test_the_question_has_names_steps_and_age():
    names = [f'layer {number}' for number in range(6)]
    words = offer_words(names, 1, 250.0)
    assert words == (
        'Continue the interrupted training of layer 0, layer 1, layer 2, layer 3 and 2 more '
        '(1 step, 4 min ago)?'
    )
    assert [age_words(s) for s in (5, 65, 7100, 7300, 200_000)] == [
        'less than a minute ago',
        '1 min ago',
        '118 min ago',
        '2 h ago',
        '2 days ago',
    ]
