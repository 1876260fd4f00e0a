"""The panel in a real viewer, with real trainings of a second."""

from __future__ import annotations

import shlex
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QTimer
from qtpy.QtGui import QGuiApplication

from napari_noise2score._widget import worker
from napari_noise2score._widget.layers import METADATA, unwrapped
from napari_noise2score.cli import _parser, main
from napari_noise2score.cli.options import settings_of
from napari_noise2score.images.formats import write_image
from napari_noise2score.noise.families import FAMILIES, parameters_of
from tests.hooks import failing_after, seeing
from tests.napari.helpers import NOISE, noisy_stack, panel_in

SECONDS = 1


def names(viewer):
    return [layer.name for layer in viewer.layers]


def shown(preview):
    return np.asarray(preview.data)


def train(panel, seconds=SECONDS):
    panel.form.seconds.value = seconds
    panel.train.native.click()


LOOK = {
    'scale': (1, 0.1, 0.1),
    'translate': (0, 3, 4),
    'units': ('s', 'um', 'um'),
    'axis_labels': ('t', 'y', 'x'),
    'colormap': 'green',
    'contrast_limits': (0, 300),
    'blending': 'additive',
}


@pytest.fixture
def cells(open_panel, stack):
    """A viewer with the panel and a stack that looks like no default."""
    viewer, panel = open_panel()
    return viewer, panel, unwrapped(viewer.add_image(stack.copy(), name='cells', **LOOK))


def test_what_can_be_done_before_and_during_a_training(cells, idle):
    _, panel, source = cells
    assert panel.layers.layers() == [source]
    assert panel.train.enabled
    assert not panel.correct.enabled
    assert not panel.stop.enabled
    train(panel, 0)
    assert panel.controller.run.job == 'training'
    assert panel.stop.enabled
    assert not panel.train.enabled
    idle(panel)
    assert panel.correct.enabled


def test_a_result_is_a_layer_like_its_source_with_a_report(cells, stack, idle):
    viewer, panel, source = cells
    train(panel)
    idle(panel)
    assert names(viewer) == ['cells', 'cells denoised (Poisson-Gaussian, stabilised)']
    result = unwrapped(viewer.layers[1])
    np.testing.assert_array_equal(source.data, stack)
    assert result.data.shape == stack.shape
    assert result.data.dtype == np.float32
    assert abs(result.data.mean() - stack.mean()) < 2
    np.testing.assert_allclose(result.extent.world, source.extent.world)
    for name in ('units', 'axis_labels', 'contrast_limits', 'blending'):
        assert getattr(result, name) == getattr(source, name)
    report = result.metadata[METADATA]
    assert report['source'] == 'cells'
    assert report['seed'] == 0
    assert report['channels'][0]['noise']['family'] == 'poisson-gaussian'
    assert report['settings']['training']['seconds'] == SECONDS
    assert {'torch', 'numpy', 'napari-noise2score'} <= set(report['versions'])
    assert 'gain' in panel.noise.words.text()


def test_another_noise_and_form_need_no_network(cells, idle):
    viewer, panel, _ = cells
    train(panel, 0)
    idle(panel)
    first = unwrapped(viewer.layers[1]).data

    asked = []
    with seeing(lambda *inputs: asked.append(inputs)):
        panel.noise.family.value = 'poisson'
        panel.form.correction.value = 'paper'
        panel.correct.native.click()
        idle(panel)
    assert not asked
    assert panel.messages.text().count('Error') == 0
    assert names(viewer)[1] == 'cells denoised (Poisson, paper)'
    second = unwrapped(viewer.layers[1])
    assert second.metadata[METADATA]['channels'][0]['noise']['family'] == 'poisson'
    assert not np.allclose(second.data, first)


def test_a_training_that_is_stopped_gives_its_result(cells, idle, running):
    viewer, panel, _ = cells
    train(panel, 600)
    running(panel)
    panel.stop.native.click()
    idle(panel)
    assert len(viewer.layers) == 2
    training = unwrapped(viewer.layers[1]).metadata[METADATA]['training']
    assert training['seconds'] == 600
    assert training['steps_done'] > 0
    assert panel.correct.enabled


def test_a_preview_comes_first_and_gives_way_to_the_result(open_panel, stack, qtbot, idle):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells', scale=(1, 0.1, 0.1))
    train(panel, 600)
    qtbot.waitUntil(lambda: 'cells preview' in names(viewer), timeout=60_000)
    preview = unwrapped(viewer.layers[1])
    assert preview.data.shape == stack.shape
    np.testing.assert_array_equal(preview.scale, (1, 0.1, 0.1))
    qtbot.waitUntil(lambda: (shown(preview) != stack).any((1, 2)).all(), timeout=60_000)
    clean = shown(preview)
    assert np.abs(clean - clean.mean()).max() < np.abs(stack - stack.mean()).max()
    qtbot.waitUntil(lambda: 'step' in panel.status.text(), timeout=60_000)
    panel.stop.native.click()
    idle(panel)
    assert names(viewer) == ['cells', 'cells denoised (Poisson-Gaussian, stabilised)']
    assert 'Training' in panel.messages.text()


def test_the_slice_that_is_looked_at_improves_while_training(open_panel, qtbot, idle, running):
    viewer, panel = open_panel()
    viewer.add_image(noisy_stack(3), name='cells')
    viewer.dims.set_current_step(0, 1)
    train(panel, 600)
    qtbot.waitUntil(lambda: 'cells preview' in names(viewer), timeout=60_000)
    preview = unwrapped(viewer.layers[1])
    running(panel)
    start = shown(preview)

    def changed(frame):
        return not np.array_equal(shown(preview)[frame], start[frame])

    qtbot.waitUntil(lambda: changed(1), timeout=60_000)
    assert not changed(0)
    assert not changed(2)
    assert abs(shown(preview)[1] - start[1]).max() < 30
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: changed(2), timeout=60_000)
    assert not changed(0)
    panel.form.live.value = False
    qtbot.wait(300)
    still = shown(preview)
    viewer.dims.set_current_step(0, 0)
    qtbot.wait(1000)
    np.testing.assert_array_equal(shown(preview), still)
    viewer.layers.remove(preview)
    panel.form.live.value = True
    qtbot.wait(500)
    assert names(viewer) == ['cells']
    panel.stop.native.click()
    idle(panel)
    assert names(viewer) == ['cells', 'cells denoised (Poisson-Gaussian, stabilised)']


def test_colours_are_shown_live_in_their_own_dtype(open_panel, qtbot, idle):
    grey = np.clip(noisy_stack(3, 64), 0, 255).astype(np.uint8)
    viewer, panel = open_panel()
    viewer.add_image(np.moveaxis(grey, 0, -1), name='colours', rgb=True)
    panel.form.init.value = 'scratch'
    train(panel, 600)
    qtbot.waitUntil(lambda: 'colours preview' in names(viewer), timeout=60_000)
    preview = unwrapped(viewer.layers[1])
    assert preview.rgb
    assert preview.data.dtype == np.uint8
    noisy = np.moveaxis(grey, 0, -1)
    qtbot.waitUntil(lambda: all((shown(preview) != noisy).any((0, 1))), timeout=60_000)
    panel.stop.native.click()
    idle(panel)
    assert len(viewer.layers) == 2


def test_pause_and_resume(open_panel, stack, qtbot, idle, running):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    assert not panel.pause.enabled
    train(panel, 600)
    running(panel)
    panel.pause.native.click()
    assert (panel.pause.text, panel.controller.run.phase) == ('Resume', 'paused')
    assert panel.stop.enabled
    assert not panel.train.enabled
    text = panel.status.text()
    qtbot.wait(700)
    assert panel.status.text() == text
    panel.pause.native.click()
    assert panel.pause.text == 'Pause'
    qtbot.waitUntil(lambda: panel.status.text() not in (text, 'Continuing ...'), timeout=60_000)
    panel.pause.native.click()
    panel.stop.native.click()
    idle(panel)
    assert len(viewer.layers) == 2
    assert not panel.pause.enabled


def test_the_command_line_is_copied(open_panel, stack, tmp_path, qtbot):
    """It says what the panel says, and runs."""
    path = tmp_path / 'my cells.tif'
    tifffile.imwrite(path, stack, metadata={'axes': 'TYX'})
    viewer, panel = open_panel()
    viewer.open(path, plugin='napari')
    panel.noise.family.value = 'poisson-gaussian'
    for name, value in NOISE.parameters().items():
        panel.noise.fields['poisson-gaussian', name].value = str(value)
    panel.form.seconds.value = 0
    panel.form.device.value = 'cpu'
    panel.copy.native.click()
    command = QGuiApplication.clipboard().text()
    assert command in panel.messages.text()
    program, *words = shlex.split(command)
    assert program == 'napari-noise2score'
    assert words[:2] == ['denoise', str(path)]
    options = _parser().parse_args(words)
    assert settings_of(options) == panel.settings()
    assert main([*words, '--output', str(tmp_path / 'clean.tif')]) == 0
    assert tifffile.imread(tmp_path / 'clean.tif').shape == stack.shape


def test_a_command_line_takes_layers_of_the_same_axes(open_panel, stack):
    viewer, panel = open_panel()
    assert not panel.copy.enabled
    viewer.add_image(stack, name='a/b c')
    panel.copy.native.click()
    assert ' a_b_c.tif ' in QGuiApplication.clipboard().text()
    viewer.add_image(stack[0], name='plane')
    panel.layers.tick(list(viewer.layers))
    panel.copy.native.click()
    assert 'have the axes YX, TYX' in panel.messages.text()


def test_0_seconds_apply_the_pretrained_weights(open_panel, stack, idle):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    train(panel, 0)
    idle(panel)
    assert len(viewer.layers) == 2
    report = unwrapped(viewer.layers[1]).metadata[METADATA]
    assert report['training']['steps_done'] == 0
    assert report['settings']['training']['init'] == 'warm'
    assert panel.correct.enabled


def test_from_scratch_there_are_no_0_seconds(open_panel, stack, idle):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    panel.form.init.value = 'scratch'
    train(panel, 0)
    idle(panel)
    assert 'the weights stay random' in panel.messages.text()
    train(panel)
    idle(panel)
    assert len(viewer.layers) == 2
    report = unwrapped(viewer.layers[1]).metadata[METADATA]
    assert report['settings']['training']['init'] == 'scratch'
    panel.compare.change.native.click()
    idle(panel)
    assert 'was trained from scratch' in panel.messages.text()
    assert len(viewer.layers) == 2


def test_what_training_changed_is_a_layer_in_noise_units(open_panel, stack, idle):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells', scale=(1, 0.1, 0.1), units=('s', 'um', 'um'))
    assert not panel.compare.change.enabled
    train(panel)
    idle(panel)
    panel.compare.change.native.click()
    idle(panel)
    layer = unwrapped(viewer.layers['cells changed by training'])
    assert layer.data.shape == stack.shape
    np.testing.assert_array_equal(layer.scale, (1, 0.1, 0.1))
    assert layer.units == unwrapped(viewer.layers['cells']).units
    low, high = layer.contrast_limits
    assert low == -high
    assert np.abs(layer.data).max() < 5
    assert layer.metadata[METADATA]['largest'][0]['rms'] >= 0
    viewer.layers['cells'].data = stack[::-1].copy()
    panel.compare.change.native.click()
    idle(panel)
    assert 'press Train first' in panel.messages.text()


def test_runtime_error_shows_and_the_next_training_works(open_panel, stack, idle):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    broken = RuntimeError('CUDA error: an illegal memory access was encountered')
    with failing_after(0, broken):
        train(panel)
        idle(panel)
    assert 'RuntimeError: CUDA error: an illegal memory access' in panel.messages.text()
    assert panel.status.text() == 'Failed; see below.'
    assert names(viewer) == ['cells', 'cells preview']
    train(panel, 0)
    idle(panel)
    assert names(viewer) == ['cells', 'cells denoised (Poisson-Gaussian, stabilised)']
    assert 'Error' not in panel.messages.text()


def test_two_layers_are_trained_on_together(open_panel, idle):
    viewer, panel = open_panel()
    layers = [unwrapped(viewer.add_image(noisy_stack(seed=i), name=f'cells {i}')) for i in (0, 1)]
    panel.layers.tick(layers)
    train(panel, 0)
    idle(panel)
    label = 'denoised (Poisson-Gaussian, stabilised)'
    assert names(viewer) == ['cells 0', f'cells 0 {label}', 'cells 1', f'cells 1 {label}']
    trained_on = [viewer.layers[i].metadata[METADATA]['trained_on'] for i in (1, 3)]
    assert trained_on[0] == trained_on[1]
    assert {image['name'] for image in trained_on[0]} == {'cells 0', 'cells 1'}


def test_layer_removed_in_training_and_another_corrected_with_its_model(
    open_panel, stack, idle, running
):
    viewer, panel = open_panel()
    layer = viewer.add_image(stack, name='gone')
    viewer.add_image(noisy_stack(seed=3), name='left')
    panel.layers.tick([layer])
    train(panel, 2)
    running(panel)
    viewer.layers.remove(layer)
    idle(panel)
    assert names(viewer) == ['gone denoised (Poisson-Gaussian, stabilised)', 'left']
    panel.layers.tick([viewer.layers['left']])
    panel.correct.native.click()
    idle(panel)
    assert names(viewer)[2] == 'left denoised (Poisson-Gaussian, stabilised)'
    assert viewer.layers[2].metadata[METADATA]['trained_on'][0]['name'] == 'gone'


def test_changed_data_are_scored_again(open_panel, stack, idle):
    viewer, panel = open_panel()
    layer = unwrapped(viewer.add_image(stack, name='cells'))
    train(panel, 0)
    idle(panel)
    before = panel.controller.store.score_of(layer)
    panel.correct.native.click()
    idle(panel)
    assert panel.controller.store.score_of(layer) is before
    layer.data = noisy_stack(seed=5)
    panel.correct.native.click()
    idle(panel)
    assert panel.controller.store.score_of(layer) is not before
    assert abs(viewer.layers[1].data.mean() - layer.data.mean()) < 2


def test_every_family_is_offered_with_its_own_parameters(open_panel, stack, idle):
    viewer, panel = open_panel()
    viewer.add_image(np.maximum(stack, 0), name='cells')
    for name, family in FAMILIES.items():
        panel.noise.family.value = name
        shown = [key for key, edit in panel.noise.fields.items() if edit.native.isVisibleTo(panel)]
        assert shown == [(name, parameter) for parameter in parameters_of(family)]
    panel.noise.family.value = 'gamma'
    panel.noise.fields['gamma', 'shape'].value = '30'
    panel.noise.correlation.value = 'none'
    train(panel, 0)
    idle(panel)
    assert names(viewer)[1] == 'cells denoised (Gamma, stabilised)'
    report = viewer.layers[1].metadata[METADATA]
    assert report['channels'][0]['noise'] == {'family': 'gamma', 'shape': 30.0}
    assert report['settings']['noise']['correlation'] == 'none'
    # photons are no speckle, and the image says so
    assert 'from that of Gamma noise' in panel.messages.text()


def test_automatic_after_a_given_model_takes_the_estimate(open_panel, stack, idle):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    panel.noise.family.value = 'gaussian'
    panel.noise.fields['gaussian', 'sigma'].value = '20'
    train(panel, 0)
    idle(panel)
    assert names(viewer)[1] == 'cells denoised (Gaussian)'
    assert panel.noise.fields['gaussian', 'sigma'].value == '20'
    panel.noise.family.value = 'auto'
    panel.correct.native.click()
    idle(panel)
    assert names(viewer)[1].startswith('cells denoised (Poisson-Gaussian, ')


def test_nan_is_handed_through_and_said(open_panel, stack, idle):
    viewer, panel = open_panel()
    holes = stack.astype(np.float32)
    holes[:, :, :20] = np.nan
    viewer.add_image(holes, name='cells')
    train(panel, 0)
    idle(panel)
    assert 'hold no noise (padding, a mask: NaN or infinite)' in panel.messages.text()
    result = viewer.layers[1].data
    np.testing.assert_array_equal(np.isnan(result), np.isnan(holes))


def test_viewer_keeps_ticking_during_training(open_panel, stack, idle):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    ticks = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(panel.status.text()))
    timer.start(10)
    train(panel, 2)
    idle(panel)
    timer.stop()
    assert sum('step' in text for text in ticks) >= 50


def test_estimate_fills_the_form_and_can_be_edited(open_panel, idle, qtbot):
    viewer, panel = open_panel()
    viewer.add_image(noisy_stack(4, 192), name='cells')
    panel.noise.estimate.native.click()
    assert panel.controller.run.job == 'estimating'
    idle(panel)
    fields = panel.noise.fields
    found = {name: float(fields['poisson-gaussian', name].value) for name in NOISE.parameters()}
    assert abs(found['gain'] - NOISE.gain) < 0.4
    assert abs(found['offset'] - NOISE.offset) < 10
    assert found['read_noise'] >= 0
    assert 'cells - Poisson-Gaussian: gain' in panel.noise.words.text()
    assert '±' in panel.noise.words.text()
    assert panel.settings().noise.family == 'auto'
    gain = fields['poisson-gaussian', 'gain']
    gain.native.selectAll()
    qtbot.keyClicks(gain.native, '5')
    assert panel.noise.family.value == 'poisson-gaussian'
    assert panel.settings().noise.parameters['gain'] == 5


def test_the_photon_transfer_plot_follows_the_noise_model(open_panel, stack, idle, qtbot):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    assert panel.noise.chart.isHidden()
    panel.noise.estimate.native.click()
    idle(panel)
    measured = panel.noise.chart.curves
    assert not panel.noise.chart.isHidden()
    assert len(measured.dots) > 5
    gain = panel.noise.fields['poisson-gaussian', 'gain'].native
    gain.clear()
    qtbot.keyClicks(gain, '40')
    edited = panel.noise.chart.curves
    assert edited.line[:, 1].max() > 3 * measured.line[:, 1].max()
    np.testing.assert_array_equal(edited.dots, measured.dots)
    panel.noise.family.value = 'gaussian'
    assert np.ptp(panel.noise.chart.curves.line[:, 1]) == 0


def test_only_the_fields_of_the_family_show(open_panel):
    _, panel = open_panel()
    for family in ('auto', 'gaussian', 'poisson', 'poisson-gaussian'):
        panel.noise.family.value = family
        shown = {
            name for (name, _), edit in panel.noise.fields.items() if not edit.native.isHidden()
        }
        assert shown == ({family} - {'auto'})


@pytest.mark.parametrize(
    ('text', 'words'),
    [('abc', "gain is 'abc'; enter a number"), ('-1', 'gain is -1; it must be')],
)
def test_wrong_parameter_is_explained_and_nothing_runs(open_panel, stack, text, words):
    viewer, panel = open_panel()
    viewer.add_image(stack)
    panel.noise.family.value = 'poisson'
    panel.noise.fields['poisson', 'gain'].value = text
    train(panel)
    assert words in panel.messages.text()
    assert panel.controller.run.idle


def test_wrong_axes_are_explained(open_panel, stack):
    viewer, panel = open_panel()
    layer = viewer.add_image(stack)
    panel.layers.axes_of(layer).setCurrentText('QYX')
    train(panel)
    assert 'Q is unknown' in panel.messages.text()


def test_device_that_is_not_there_is_explained(open_panel, stack, idle):
    viewer, panel = open_panel()
    viewer.add_image(stack)
    panel.form.device.value = 'mps' if sys.platform != 'darwin' else 'cuda'
    train(panel)
    idle(panel)
    assert 'is not available here; available: cpu' in panel.messages.text()


def test_table_follows_the_viewer(open_panel, stack):
    viewer, panel = open_panel()
    table = panel.layers
    assert not panel.train.enabled
    first = unwrapped(viewer.add_image(stack, name='first'))
    assert table.layers() == [first]
    second = unwrapped(viewer.add_image(stack[0], name='second'))
    viewer.add_points([[1, 1]])
    assert table.rowCount() == 2
    assert table.layers() == [first]
    table.axes_of(first).setCurrentText('ZYX')
    second.name = 'renamed'
    assert table.item(0, 0).text() == 'renamed'
    viewer.layers.remove(second)
    assert table.rowCount() == 1
    assert table.axes_of(first).currentText() == 'ZYX'
    first.axis_labels = ('c', 'y', 'x')
    assert table.axes_of(first).currentText() == 'CYX'
    viewer.layers.remove(first)
    assert table.layers() == []
    assert not panel.train.enabled


def test_active_layer_is_ticked_when_the_panel_opens(viewer, stack):
    first = viewer.add_image(stack, name='first')
    viewer.add_image(stack, name='second')
    viewer.layers.selection.active = first
    panel = panel_in(viewer)
    assert [layer.name for layer in panel.layers.layers()] == ['first']


@pytest.mark.parametrize('ending', ['tif', 'ome.zarr'])
def test_a_result_from_a_file_is_not_ticked_beside_its_image(viewer, stack, tmp_path, ending):
    image, result = tmp_path / 'cells.tif', tmp_path / f'clean.{ending}'
    write_image(image, stack, 'TYX')
    write_image(result, stack, 'TYX', record={'seed': 0})
    viewer.open([image], plugin='napari')
    viewer.open([result], plugin='napari')
    assert viewer.layers.selection.active.name.startswith('clean')
    panel = panel_in(viewer)
    assert [layer.name for layer in panel.layers.layers()] == ['cells']


def test_a_result_alone_can_be_denoised_again(viewer, stack, tmp_path):
    write_image(tmp_path / 'clean.tif', stack, 'TYX', record={'seed': 0})
    viewer.open([tmp_path / 'clean.tif'], plugin='napari')
    assert [layer.name for layer in panel_in(viewer).layers.layers()] == ['clean']


def test_closing_the_dock_stops_the_training_and_keeps_its_result(
    open_panel, stack, idle, running
):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    train(panel, 600)
    running(panel)
    viewer.window.remove_dock_widget(panel.parent())
    idle(panel)
    assert len(viewer.layers) == 2


def test_deleted_panel_hears_no_more(open_panel, stack, qtbot, running):
    viewer, panel = open_panel()
    viewer.add_image(stack, name='cells')
    train(panel, 600)
    running(panel)
    with qtbot.waitSignal(panel.destroyed, timeout=10_000):
        panel.deleteLater()
    viewer.layers[0].name = 'renamed'
    viewer.add_image(stack)
    qtbot.waitUntil(lambda: not worker.JobWorker._worker_set, timeout=30_000)
    assert len(viewer.layers) == 3  # cells, their preview, and the new one


def test_importing_the_panel_loads_no_torch():
    code = 'import sys, napari_noise2score._widget.panel; print("torch" in sys.modules)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'False'


CLOSED_IN_TRAINING = """
    import napari, numpy as np
    from qtpy.QtCore import QTimer

    viewer = napari.Viewer()
    rng = np.random.default_rng(0)
    viewer.add_image(rng.poisson(50, (2, 96, 96)).astype('uint16'))
    _, panel = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
    panel.form.seconds.value = 3600
    panel.noise.family.value = 'gaussian'
    panel.train.native.click()

    def close_when_training():
        if 'step' in panel.status.text():
            timer.stop()
            print('closing', flush=True)
            viewer.close()

    timer = QTimer()
    timer.timeout.connect(close_when_training)
    timer.start(50)
    napari.run()
    print('closed', flush=True)
"""


def test_viewer_closed_in_training_exits():
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(CLOSED_IN_TRAINING)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ['closing', 'closed'], done.stderr
    assert 'Traceback' not in done.stderr
