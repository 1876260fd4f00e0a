"""The panel without a mouse, and what a screen reader says of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QSlider

from napari_noise2score._widget.layers import unwrapped
from napari_noise2score._widget.views.collapsible import Collapsible
from tests.napari.helpers import noisy_stack

INPUTS = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QSlider)


@pytest.fixture
def shown(make_napari_viewer_proxy, qtbot):
    """A viewer in sight with two layers and the panel."""
    viewer = make_napari_viewer_proxy(show=True)
    for name in ('below', 'above'):
        viewer.add_image(noisy_stack(), name=name)
    _, panel = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
    qtbot.waitUntil(panel.isVisible)
    return viewer, panel


def press(panel, key, times=1):
    """Press a key; where the keyboard is afterwards."""
    for _ in range(times):
        QTest.keyClick(panel.window().focusWidget(), key)
    return panel.window().focusWidget()


def tabbed(panel, key=Qt.Key.Key_Tab):
    """What the key goes through, from the widget in focus to the last in the panel."""
    found = [panel.window().focusWidget()]
    for _ in range(100):
        widget = press(panel, key)
        if not panel.isAncestorOf(widget) or widget in found:
            return found
        found.append(widget)
    raise AssertionError('Tab does not come to an end')


def open_up(panel):
    """All that the panel can show, enabled."""
    for fold in panel.findChildren(Collapsible):
        fold.expand(animate=False)
    panel.noise.family.value = 'poisson-gaussian'
    panel.compare.slider.show()
    panel.layers.tick(panel.layers._viewer.layers)
    for kind in INPUTS:
        for widget in panel.findChildren(kind):
            widget.setEnabled(True)
    QTest.qWait(50)


def inputs(panel):
    """Every visible input of the panel; not the inner parts of inputs."""
    found = [widget for kind in INPUTS for widget in panel.findChildren(kind)]
    return [
        widget
        for widget in dict.fromkeys(found)
        if widget.isVisible() and not isinstance(widget.parent(), (QComboBox, QAbstractSpinBox))
    ]


def test_tab_goes_from_top_to_bottom_and_back_to_everything(shown):
    _, panel = shown
    open_up(panel)
    panel.layers.setFocus()
    way = tabbed(panel)
    assert set(way) == {panel.layers, *inputs(panel)}
    places = [widget.mapTo(panel, QPoint(0, 0)) for widget in way]
    for place, after in pairwise(places):
        assert after.y() > place.y() - 5, 'up again'
        assert after.y() > place.y() + 5 or after.x() > place.x(), 'to the left in a row'
    way[-1].setFocus()
    assert tabbed(panel, Qt.Key.Key_Backtab) == way[::-1]


def test_the_order_stays_when_layers_come_and_axes_change(shown):
    viewer, panel = shown
    viewer.add_image(noisy_stack(), name='third')
    viewer.layers['below'].axis_labels = ('z', 'y', 'x')
    panel.layers.tick(list(viewer.layers))
    QTest.qWait(50)
    panel.layers.setFocus()
    way = tabbed(panel)
    axes = [panel.layers.axes_of(viewer.layers[name]) for name in ('third', 'above', 'below')]
    assert way[:5] == [panel.layers, *axes, panel.findChildren(Collapsible)[0].toggleButton()]


def test_what_is_folded_is_left_out(shown):
    _, panel = shown
    panel.layers.setFocus()
    assert panel.form.device.native not in tabbed(panel)
    more = next(
        fold
        for fold in panel.findChildren(Collapsible)
        if fold.isAncestorOf(panel.form.device.native)
    )
    more.toggleButton().setFocus()
    press(panel, Qt.Key.Key_Space)
    assert panel.form.device.native.isVisible()
    assert press(panel, Qt.Key.Key_Tab) is panel.form.correction.native
    assert panel.form.device.native in tabbed(panel)
    more.toggleButton().setFocus()
    press(panel, Qt.Key.Key_Space)
    assert not panel.form.device.native.isVisible()


def test_rows_are_ticked_with_the_space_bar(shown):
    viewer, panel = shown
    below, above = (unwrapped(viewer.layers[name]) for name in ('below', 'above'))
    assert panel.layers.layers() == [above]
    panel.layers.setFocus()
    press(panel, Qt.Key.Key_Down)
    press(panel, Qt.Key.Key_Space)
    assert panel.layers.layers() == [above, below]
    press(panel, Qt.Key.Key_Up)
    press(panel, Qt.Key.Key_Space)
    assert panel.layers.layers() == [below]
    press(panel, Qt.Key.Key_Right)
    press(panel, Qt.Key.Key_Space)
    assert panel.layers.layers() == [below]


def test_axes_are_typed(shown):
    viewer, panel = shown
    panel.layers.setFocus()
    box = press(panel, Qt.Key.Key_Tab)
    assert box is panel.layers.axes_of(viewer.layers['above'])
    box.lineEdit().selectAll()
    QTest.keyClicks(box, 'ZYX')
    assert panel.layers.targets()[0].source.axes == 'ZYX'


def test_a_training_without_a_mouse(shown, idle):
    viewer, panel = shown
    panel.layers.setFocus()
    while panel.window().focusWidget() is not panel.form.seconds.native:
        press(panel, Qt.Key.Key_Tab)
    panel.form.seconds.native.selectAll()
    press(panel, Qt.Key.Key_0)
    while panel.window().focusWidget() is not panel.train.native:
        press(panel, Qt.Key.Key_Tab)
    press(panel, Qt.Key.Key_Space)
    assert panel.controller.run.job == 'training'
    assert panel.window().focusWidget() is panel.pause.native
    idle(panel)
    assert len(viewer.layers) == 3
    assert panel.window().focusWidget() is panel.correct.native


def test_every_input_has_a_name_that_can_be_said(shown):
    _, panel = shown
    open_up(panel)
    for widget in [
        panel.layers,
        panel.footer.progress,
        panel.status,
        panel.messages,
        *inputs(panel),
    ]:
        name = widget.accessibleName() or (
            widget.text() if isinstance(widget, QAbstractButton) else ''
        )
        assert len(name) >= 4, widget
        assert len(name) <= 40, name
    assert (
        panel.layers.axes_of(panel.layers._viewer.layers['above']).accessibleName()
        == 'Axes of above'
    )
    assert panel.form.device.native.accessibleName() == 'Device'
