"""What goes wrong in the panel is said with what to do, and takes little along."""

from __future__ import annotations

import errno
import os
from typing import Any

import numpy as np
import pytest

from napari_noise2score._widget import autosave, jobs
from napari_noise2score._widget.control.messages import error_words
from napari_noise2score._widget.jobs import live_preview
from napari_noise2score._widget.layers import unwrapped
from napari_noise2score.errors import CheckpointError, InputError, TrainingError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.pipeline import stages
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.settings import DenoiseSettings, TrainSettings
from tests.hooks import failing_after, seeing
from tests.napari.helpers import noisy_stack

AT_ONCE = DenoiseSettings(training=TrainSettings(seconds=0, device='cpu'), orientations=1)
GONE = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), '/data/cells.zarr')


def names(viewer) -> list[str]:
    return [layer.name for layer in viewer.layers]


@pytest.mark.parametrize(
    ('error', 'parts'),
    [
        (InputError('axes TT'), ('axes TT',)),
        (TrainingError('nothing was learned'), ('nothing was learned',)),
        (CheckpointError('x: damaged'), ('x: damaged',)),
        (MemoryError(), ('not enough memory', 'are free', 'Choose a region or fewer frames')),
        (
            RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB'),
            ('not enough memory', 'another device'),
        ),
        (GONE, ('/data/cells.zarr: No such file or directory', 'try again')),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), ('No space left on device', 'disk')),
        (ZeroDivisionError('division by zero'), ('ZeroDivisionError: division by', 'report it')),
        (OSError('odd'), ('OSError: odd', 'report it')),
        (KeyError(), ('(KeyError)', 'Your layers are unchanged')),
    ],
)
def test_every_error_says_what_to_do(error, parts):
    words = error_words(error)
    assert all(part in words for part in parts), words


@pytest.mark.parametrize('error', [GONE, RuntimeError('CUDA error'), MemoryError()])
def test_what_was_learned_until_a_failure_can_be_used(open_panel, idle, error):
    viewer, panel = open_panel()
    viewer.add_image(noisy_stack(), name='cells')
    panel.form.seconds.value = 60
    with failing_after(3, error):
        panel.train.native.click()
        idle(panel)
    assert panel.status.text() == 'Failed; see below. The trained model is still available.'
    assert error_words(error)[:30] in panel.messages.text()
    model = panel.controller.store.model.model
    assert model.training['steps_done'] == 3
    assert ScoreModel.load(autosave.default_file()).digest == model.digest
    assert panel.train.enabled
    panel.correct.native.click()
    idle(panel)
    assert 'Error' not in panel.messages.text()
    assert names(viewer)[-1] == 'cells denoised (Poisson-Gaussian, stabilised)'


def test_a_training_that_learned_nothing_leaves_no_model(open_panel, idle):
    viewer, panel = open_panel()
    viewer.add_image(noisy_stack(), name='cells')
    with failing_after(3, TrainingError('nothing was learned')):
        panel.train.native.click()
        idle(panel)
    assert panel.status.text() == 'Failed; see below.'
    assert not panel.correct.enabled


@pytest.mark.parametrize('again', [False, True])
def test_a_layer_that_fails_does_not_take_the_others(open_panel, idle, monkeypatch, again):
    viewer, panel = open_panel()
    layers = [
        unwrapped(viewer.add_image(noisy_stack(seed=seed), name=name))
        for seed, name in enumerate(('first', 'second', 'third'))
    ]
    panel.layers.tick(layers)
    panel.form.seconds.value = 0
    real = stages.score_image_steps

    def score_image_steps(model, prepared, **more):
        if prepared.source.name == 'second':
            raise GONE
        return (yield from real(model, prepared, **more))

    if again:
        panel.train.native.click()
        idle(panel)
        for layer in layers:  # edited, so that they are passed through the network again
            layer.data = layer.data + 1
        for name in names(viewer):
            if 'denoised' in name:
                viewer.layers.remove(name)
    with monkeypatch.context() as patch:
        patch.setattr(stages, 'score_image_steps', score_image_steps)
        (panel.correct if again else panel.train).native.click()
        idle(panel)
    assert [name.split()[0] for name in names(viewer) if 'denoised' in name] == ['first', 'third']
    assert panel.status.text() == '2 layers added, 1 failed; see below.'
    assert 'Error: second: /data/cells.zarr: No such file' in panel.messages.text()
    assert panel.train.enabled
    panel.layers.tick([layers[1]])
    panel.correct.native.click()
    idle(panel)
    assert 'Error' not in panel.messages.text()
    assert sum('denoised' in name for name in names(viewer)) == 3


def test_layers_that_all_fail_are_all_named(open_panel, idle, monkeypatch):
    viewer, panel = open_panel()
    layers = [viewer.add_image(noisy_stack(seed=n), name=f'cells {n}') for n in (1, 2)]
    panel.layers.tick(layers)
    panel.form.seconds.value = 0

    def score_image_steps(model, prepared, **more):
        raise InputError(f'{prepared.source.name}: was changed')
        yield

    monkeypatch.setattr(stages, 'score_image_steps', score_image_steps)
    panel.train.native.click()
    idle(panel)
    assert panel.status.text() == 'Failed; see below. The trained model is still available.'
    errors = [line for line in panel.messages.text().splitlines() if 'Error' in line]
    assert sorted(errors) == [f'Error: cells {n}: was changed' for n in (1, 2)]


def test_a_plane_that_cannot_be_shown_live_does_not_end_the_training(
    open_panel, idle, monkeypatch
):
    viewer, panel = open_panel()
    viewer.add_image(noisy_stack(), name='cells')
    panel.form.seconds.value = 1
    shown = []
    real = live_preview.LivePreview.plane

    def plane(self, number, channel, at, model, *window):
        shown.append(model)
        if len(shown) > 2:  # after the preview
            raise GONE
        yield from real(self, number, channel, at, model, *window)

    monkeypatch.setattr(live_preview.LivePreview, 'plane', plane)
    monkeypatch.setattr(live_preview, '_SHOWN_EVERY', 0)
    panel.train.native.click()
    idle(panel)
    assert len(shown) > 2
    assert 'Error' not in panel.messages.text()
    assert names(viewer)[-1] == 'cells denoised (Poisson-Gaussian, stabilised)'


def test_events_of_a_job_that_fails_in_part():
    """The jobs themselves, without a viewer."""

    def failing(*inputs: Any) -> None:
        raise MemoryError

    model = denoise(noisy_stack(), 'TYX', AT_ONCE).model
    latest, image = jobs.Trained(model, AT_ONCE), ImageSource(noisy_stack(), 'TYX')
    with seeing(failing):
        with pytest.raises(MemoryError):
            list(jobs.correct_job([(image, None)], latest, AT_ONCE))
        events = list(jobs.correct_job([(image, None)] * 2, latest, AT_ONCE))
    failed = [event for event in events if isinstance(event, jobs.Failed)]
    assert [one.number for one in failed] == [0, 1]
    assert all(one.error.__traceback__ is None for one in failed)


def test_two_viewers_train_at_the_same_time_and_keep_their_results_apart(
    make_napari_viewer_proxy, qtbot, idle
):
    viewers = [make_napari_viewer_proxy() for _ in range(2)]
    panels = []
    for number, viewer in enumerate(viewers):
        _, panel = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
        panels.append(getattr(panel, '__wrapped__', panel))
        viewer.add_image(noisy_stack(seed=number), name=f'cells {number}')
        panels[-1].form.seconds.value = 1
    for panel in panels:
        panel.train.native.click()
    assert [panel.controller.run.job for panel in panels] == ['training'] * 2
    for panel in panels:
        idle(panel)
    for number, viewer in enumerate(viewers):
        words = f'cells {number} denoised (Poisson-Gaussian, stabilised)'
        assert names(viewer) == [f'cells {number}', words]
        assert 'Error' not in panels[number].messages.text()
    models = [panel.controller.store.model.model for panel in panels]
    assert models[0].digest != models[1].digest


def test_a_viewer_that_is_closed_leaves_the_training_in_the_other_alone(
    make_napari_viewer_proxy, qtbot, idle, running
):
    first, second = (make_napari_viewer_proxy() for _ in range(2))
    panels = []
    for viewer in (first, second):
        _, panel = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
        panels.append(getattr(panel, '__wrapped__', panel))
        viewer.add_image(noisy_stack(), name='cells')
        panels[-1].form.seconds.value = 2
        panels[-1].train.native.click()
    for panel in panels:
        running(panel)
    first.close()
    idle(panels[1])
    assert names(second)[-1] == 'cells denoised (Poisson-Gaussian, stabilised)'
    assert np.isfinite(second.layers[-1].data).all()
