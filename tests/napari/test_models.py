"""Models in the panel: save, load, continue, export, drag and drop; in a real viewer."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from napari._qt.qt_main_window import _QtMainWindow
from napari.viewer import current_viewer
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name
from safetensors.torch import save_file

from napari_noise2score._widget import autosave
from napari_noise2score._widget.layers import METADATA, unwrapped
from napari_noise2score._widget.layers.live_view import view_of
from napari_noise2score._widget.reader import get_reader
from napari_noise2score._widget.views import model_box
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.model_header import FORMAT
from napari_noise2score.settings import StartFrom
from tests.napari.helpers import noisy_stack, panel_in

MANIFEST = Path(model_box.__file__).parents[2] / 'napari.yaml'


def choose(monkeypatch, path):
    """The user's answer in every file dialog."""
    monkeypatch.setattr(model_box, 'ask_save', lambda *question: path)
    monkeypatch.setattr(model_box, 'ask_open', lambda *question: path)


def train(panel, idle, seconds=1):
    panel.form.seconds.value = seconds
    panel.train.native.click()
    idle(panel)


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """A model file: the pretrained weights, as a training of no time leaves them."""
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.pipeline.prepare import model_noise
    from napari_noise2score.pipeline.stages import train_score_steps
    from napari_noise2score.progress import finish
    from napari_noise2score.settings import TrainSettings

    prepared = model_noise(ImageSource(noisy_stack(), 'TYX', 'cells'))
    model = finish(train_score_steps([prepared], TrainSettings(seconds=0, device='cpu')))
    path = tmp_path_factory.mktemp('models') / 'cells.safetensors'
    model.save(path)
    return path


def test_train_save_load_elsewhere_and_correct(
    make_napari_viewer_proxy, stack, qtbot, idle, tmp_path, monkeypatch
):
    viewer = make_napari_viewer_proxy()
    panel = panel_in(viewer)
    viewer.add_image(stack, name='cells')
    assert 'There is no model yet' in panel.model.words.text()
    assert not panel.model.save.isEnabled()
    train(panel, idle)
    assert 'trained here, not saved yet' in panel.model.words.text()
    assert 'Trained on: cells (TYX, 2 × 64 × 64)' in panel.model.words.text()
    path = tmp_path / 'cells.safetensors'
    choose(monkeypatch, path)
    panel.model.save.click()
    assert 'In use: cells.safetensors' in panel.model.words.text()
    digest = ScoreModel.load(path).digest
    viewer.close()

    viewer = make_napari_viewer_proxy()
    panel = panel_in(viewer)
    other = unwrapped(viewer.add_image(noisy_stack(seed=5), name='others'))
    assert not panel.correct.enabled
    panel.model.fill_menu()
    _, recent = panel.model.menu.actions()  # the first is the training that is autosaved
    assert recent.text() == 'cells.safetensors'
    recent.trigger()
    idle(panel)
    assert panel.status.text() == 'The model was loaded.'
    assert panel.correct.enabled
    panel.correct.native.click()
    idle(panel)
    result = unwrapped(viewer.layers[-1])
    assert result.data.shape == other.data.shape
    assert result.data.std() < other.data.std()
    assert result.metadata[METADATA]['model']['sha256'] == digest
    assert result.metadata[METADATA]['trained_on'][0]['name'] == 'cells'


def test_continue_from_a_model_names_its_weights(open_panel, stack, qtbot, idle, saved):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    panel.form.init.value = StartFrom.UNSAVED
    train(panel, idle)
    assert 'no model to continue from' in panel.messages.text()
    assert len(viewer.layers) == 1
    panel.controller.load(saved)
    idle(panel)
    train(panel, idle)
    first = unwrapped(viewer.layers[1]).metadata[METADATA]['training']
    assert first['start']['sha256'] == ScoreModel.load(saved).digest
    assert first['init'] == str(saved)
    now = panel.controller.store.model.model.digest
    panel.copy.native.click()
    assert 'save the model first' in panel.messages.text()
    train(panel, idle)  # from what was just trained, which is in no file
    second = unwrapped(viewer.layers[2]).metadata[METADATA]['training']
    assert second['start']['sha256'] == now
    assert second['init'] == StartFrom.UNSAVED
    panel.compare.change.native.click()
    idle(panel)
    assert 'Error' not in panel.messages.text()
    assert viewer.layers[-1].name == 'cells changed by training'


def test_a_loaded_model_takes_the_place_of_the_score_of_a_layer(
    open_panel, stack, qtbot, idle, saved
):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    train(panel, idle)
    trained = panel.controller.store.model.model.digest
    panel.controller.load(saved)
    idle(panel)
    panel.correct.native.click()
    idle(panel)
    sha256 = unwrapped(viewer.layers[1]).metadata[METADATA]['model']['sha256']
    assert sha256 == ScoreModel.load(saved).digest
    assert panel.controller.store.model.model.digest == sha256
    assert trained in [
        unwrapped(x).metadata[METADATA]['model']['sha256'] for x in viewer.layers[1:]
    ]


def test_what_the_model_does_not_fit_is_noted(open_panel, qtbot, idle, saved):
    viewer, panel = open_panel()
    viewer.add_image(noisy_stack(), name='cells')
    panel.controller.load(saved)
    idle(panel)
    panel.correct.native.click()
    idle(panel)
    assert 'does not fit' not in panel.messages.text()
    viewer.layers.clear()
    rng = np.random.default_rng(0)
    light = rng.poisson(np.linspace(600, 900, 96 * 96).reshape(96, 96), (2, 96, 96))
    viewer.add_image((4.0 * light + 20).astype(np.float32), name='bright')
    panel.correct.native.click()
    idle(panel)
    assert (
        'bright: The model does not fit: 100 % of the image is brighter' in panel.messages.text()
    )


def broken(folder, kind):
    path = folder / 'model.safetensors'
    if kind == 'foreign':
        save_file({'a': torch.zeros(1)}, path)
    elif kind == 'newer':
        save_file({'a': torch.zeros(1)}, path, {'format': FORMAT, 'version': '99'})
    elif kind == 'damaged':
        path.write_bytes(b'PK\x03\x04 a zip, perhaps a pickle')
    return path


@pytest.mark.parametrize(
    ('kind', 'text'),
    [
        ('missing', 'no such file'),
        ('damaged', 'damaged, or not a model file'),
        ('foreign', f'not a {FORMAT} file'),
        ('newer', "file version '99'; this program reads 1 and 2"),
    ],
)
def test_a_file_that_cannot_be_loaded_costs_nothing(
    open_panel, qtbot, idle, saved, tmp_path, monkeypatch, kind, text
):
    _, panel = open_panel()
    panel.controller.load(saved)
    idle(panel)
    before = panel.controller.store.model
    choose(monkeypatch, broken(tmp_path, kind))
    panel.model.load.click()
    idle(panel)
    assert text in panel.messages.text()
    assert panel.status.text() == 'Failed; see below. The trained model is still available.'
    assert panel.controller.store.model is before
    assert 'In use: cells.safetensors' in panel.model.words.text()


def test_a_full_disk_keeps_the_model_and_the_old_file(
    open_panel, qtbot, idle, saved, tmp_path, monkeypatch
):
    _, panel = open_panel()
    panel.controller.load(saved)
    idle(panel)
    path = tmp_path / 'old.safetensors'
    path.write_bytes(b'old')
    choose(monkeypatch, path)

    def full(*arguments):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr('pathlib.Path.write_bytes', full)
        panel.model.save.click()
    assert 'could not be saved (No space left on device)' in panel.messages.text()
    assert path.read_bytes() == b'old'
    assert panel.controller.store.model.path == saved
    panel.model.save.click()
    assert ScoreModel.load(path).digest == ScoreModel.load(saved).digest


def test_no_loading_while_a_training_runs(open_panel, stack, qtbot, idle, running, saved):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    panel.form.seconds.value = 600
    panel.train.native.click()
    running(panel)
    assert not panel.model.load.isEnabled()
    viewer.open(str(saved), plugin='napari-noise2score')
    assert 'One run at a time: the panel is still training' in panel.messages.text()
    panel.stop.native.click()
    idle(panel)
    assert 'trained here' in panel.model.words.text()


def test_a_dialog_that_is_left_changes_nothing(open_panel, qtbot, idle, saved, monkeypatch):
    _, panel = open_panel()
    panel.controller.load(saved)
    idle(panel)
    before = panel.model.words.text()
    choose(monkeypatch, None)
    for button in (panel.model.save, panel.model.load, panel.model.export):
        button.click()
    assert panel.controller.run.idle
    assert panel.model.words.text() == before


def test_export(open_panel, qtbot, idle, saved, tmp_path, monkeypatch):
    _, panel = open_panel()
    panel.controller.load(saved)
    idle(panel)
    choose(monkeypatch, tmp_path / 'cells.zip')
    panel.model.export.click()
    idle(panel)
    assert panel.status.text() == 'The model was exported.'
    assert (tmp_path / 'cells.zip').stat().st_size > 1000


def test_a_model_file_opens_the_panel_and_adds_no_layer(make_napari_viewer, qtbot, idle, saved):
    viewer = make_napari_viewer()
    assert viewer.open(str(saved), plugin='napari-noise2score') == []
    assert len(viewer.layers) == 0
    _, panel = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
    idle(panel)
    assert panel.status.text() == 'The model was loaded.'
    assert 'In use: cells.safetensors' in panel.model.words.text()
    viewer.open(str(saved), plugin='napari-noise2score')
    assert panel.controller.run.job == 'loading'
    idle(panel)


def test_a_model_goes_to_the_panel_of_the_viewer_that_opens_it(make_napari_viewer, idle, saved):
    first, second = make_napari_viewer(), make_napari_viewer()
    panels = [
        viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')[1]
        for viewer in (first, second)
    ]
    for current in (second, first):
        for viewer, own, other in ((first, *panels), (second, *panels[::-1])):
            _make_current(current)
            assert viewer.open(str(saved), plugin='napari-noise2score') == []
            assert (own.controller.run.phase, other.controller.run.phase) == ('running', 'idle')
            idle(own)
            assert own.status.text() == 'The model was loaded.'


def test_a_model_that_no_viewer_opens_goes_to_the_current_one_with_a_word(
    make_napari_viewer, idle, saved, monkeypatch
):
    said = []
    monkeypatch.setattr('napari.utils.notifications.show_info', said.append)
    first, second = make_napari_viewer(title='one'), make_napari_viewer(title='two')
    _make_current(first)
    assert get_reader(str(saved))(str(saved)) == [(None,)]
    (word,) = said
    assert word == 'cells.safetensors is loaded into the Noise2Score panel of "one".'
    _, panel = first.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
    idle(panel)
    assert panel.status.text() == 'The model was loaded.'
    second.open(str(saved), plugin='napari-noise2score')
    assert len(said) == 1


def _make_current(viewer) -> None:
    """As napari does for the window that is clicked."""
    windows = _QtMainWindow._instances
    windows.append(windows.pop(windows.index(viewer.window._qt_window)))
    assert current_viewer() is viewer


@pytest.mark.parametrize(
    ('kind', 'ours'), [('newer', True), ('damaged', False), ('foreign', False)]
)
def test_the_reader_takes_our_files_only(tmp_path, saved, kind, ours):
    assert (get_reader(str(broken(tmp_path, kind))) is not None) is ours
    assert get_reader(str(saved)) is get_reader([str(saved)]) is not None
    assert get_reader([str(saved), str(saved)]) is None
    assert get_reader(str(tmp_path)) is None


def test_the_manifest_offers_the_reader():
    contributions = PluginManifest.from_file(MANIFEST).contributions
    (reader,) = contributions.readers
    assert reader.filename_patterns == ['*.safetensors']
    assert not reader.accepts_directories
    commands = {command.id: command.python_name for command in contributions.commands}
    assert import_python_name(commands[reader.command]) is get_reader


def test_asking_for_a_reader_loads_nothing_heavy(saved):
    code = (
        'import sys; from napari_noise2score._widget.reader import get_reader; '
        f'assert get_reader({str(saved)!r}); '
        'print(sorted({"torch", "qtpy", "napari", "scipy", "numpy"} & set(sys.modules)))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'


def test_a_training_is_kept_on_disk_by_itself(open_panel, idle, stack, monkeypatch):
    monkeypatch.setattr('napari_noise2score._widget.autosave.EVERY', 0.5)
    saved = []
    real = autosave.Autosave.save
    monkeypatch.setattr(
        autosave.Autosave, 'save', lambda self, model: saved.append(real(self, model))
    )
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    panel.form.seconds.value = 2
    panel.train.native.click()
    idle(panel)
    assert len(saved) > 2  # in between, and at the end
    model = panel.controller.store.model.model
    assert ScoreModel.load(autosave.default_file()).digest == model.digest
    panel.model.fill_menu()
    action = panel.model.menu.actions()[0]
    assert action.text() == 'Last training (autosaved)'
    action.trigger()
    idle(panel)
    assert panel.controller.store.model.model.digest == model.digest
    assert 'Error' not in panel.messages.text()


def test_a_disk_that_is_full_costs_no_training(open_panel, idle, stack, monkeypatch):
    def full(self, path, **more):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    panel.form.seconds.value = 1
    with monkeypatch.context() as patch:
        patch.setattr(ScoreModel, 'save', full)
        panel.train.native.click()
        idle(panel)
    assert 'Error' not in panel.messages.text()
    assert len(viewer.layers) == 2
    assert panel.correct.enabled


def test_the_preview_is_of_the_model_that_correct_applies(open_panel, qtbot, idle, saved):
    viewer, panel = open_panel()
    layer = unwrapped(viewer.add_image(noisy_stack(), name='cells'))
    train(panel, idle, seconds=0)
    targets, settings = panel.layers.targets(), panel.settings(trains=False)
    views = [view_of(viewer, target) for target in targets]
    panel.model.open(saved)
    idle(panel)
    assert not panel.controller.preview(targets, settings, views)
    panel.correct.native.click()
    idle(panel)
    assert panel.controller.store.score_of(layer).score_map.models == (
        panel.controller.store.model.model,
    )
    assert panel.controller.preview(targets, settings, views)


def test_an_error_of_a_file_goes_with_the_next_request(
    open_panel, idle, saved, tmp_path, monkeypatch
):
    _, panel = open_panel()
    wrong = tmp_path / 'wrong.safetensors'
    wrong.write_bytes(b'nothing')
    choose(monkeypatch, wrong)
    panel.model.load.click()
    idle(panel)
    assert 'Error' in panel.messages.text()
    choose(monkeypatch, saved)
    panel.model.load.click()
    idle(panel)
    assert panel.status.text() == 'The model was loaded.'
    assert 'Error' not in panel.messages.text()


def test_the_training_that_was_kept_by_itself_is_a_model_without_a_file(
    open_panel, idle, saved, monkeypatch
):
    """The next training writes other weights to that file."""
    file = autosave.default_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(saved, file)
    _, panel = open_panel()
    panel.model.open(file)
    idle(panel)
    assert panel.controller.store.init == StartFrom.UNSAVED
    assert 'In use: the last training, not saved yet' in panel.model.words.text()
