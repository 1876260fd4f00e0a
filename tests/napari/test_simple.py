"""The small widget: called from a script, and opened from the menu of a viewer."""

from __future__ import annotations

import numpy as np
from magicgui.widgets import ComboBox, SpinBox
from napari.layers import Image
from qtpy.QtWidgets import QLabel

from napari_noise2score._widget.layers import METADATA
from napari_noise2score._widget.simple import denoise_simple
from napari_noise2score.errors import InputError
from tests.napari.helpers import noisy_stack

NAME = 'cells denoised (Poisson-Gaussian, stabilised)'


def test_called_it_returns_a_worker_of_a_layer(qtbot):
    layer = Image(noisy_stack(), name='cells', scale=(1, 0.2, 0.2), colormap='green')
    worker = denoise_simple()(image=layer, seconds=0)
    with qtbot.waitSignal(worker.returned, timeout=60_000) as returned:
        pass
    data, properties, kind = returned.args[0]
    assert (kind, properties['name']) == ('image', NAME)
    assert data.shape == layer.data.shape
    assert abs(data.mean() - layer.data.mean()) < 2
    result = Image(data, **properties)
    np.testing.assert_array_equal(result.scale, layer.scale)
    assert result.colormap.name == 'green'
    assert result.metadata[METADATA]['settings']['training']['seconds'] == 0
    np.testing.assert_array_equal(layer.data, noisy_stack())


def test_an_error_in_the_background_arrives(qtbot):
    layer = Image(np.full((2, 32, 32), 7.0), name='constant')
    with qtbot.capture_exceptions() as raised:
        worker = denoise_simple()(image=layer, seconds=0)
        qtbot.waitUntil(lambda: bool(raised), timeout=60_000)
        qtbot.waitUntil(lambda: not worker.is_running, timeout=60_000)
    assert isinstance(raised[0][1], InputError)


def test_its_fields_are_those_of_the_settings(qtbot):
    widget = denoise_simple()
    assert isinstance(widget.image, ComboBox)
    assert isinstance(widget.seconds, SpinBox)
    assert (widget.seconds.label, widget.seconds.value) == ('Training time (s)', 60)
    assert widget.noise.value == 'auto'
    assert all(len(field.tooltip) > 30 for field in (widget.image, widget.seconds, widget.noise))
    assert widget.native.findChildren(QLabel)


def test_opened_from_the_menu_it_adds_a_layer_and_does_not_block(make_napari_viewer_proxy, qtbot):
    viewer = make_napari_viewer_proxy()
    viewer.add_image(noisy_stack(), name='cells')
    _, widget = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Denoise (simple)')
    assert widget.image.value.name == 'cells'
    widget.seconds.value = 1
    widget.call_button.native.click()
    assert len(viewer.layers) == 1  # the click has returned, the work goes on
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=60_000)
    assert viewer.layers[1].name == NAME


def test_its_menu_shows_the_new_name_of_a_layer(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    layer = viewer.add_image(noisy_stack(), name='cells')
    _, widget = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Denoise (simple)')
    layer.name = 'nuclei'
    assert widget.image.current_choice == 'nuclei'
