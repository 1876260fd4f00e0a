"""Nothing of the panel is cut off, at any size of its dock."""

from __future__ import annotations

from itertools import product

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPushButton,
    QSlider,
    QWidget,
)

from napari_noise2score._widget.views.collapsible import Collapsible
from napari_noise2score._widget.views.layer_table import LayerTable
from napari_noise2score._widget.views.vertical_scroll import VerticalScroll
from napari_noise2score._widget.views.wrapped_text import WrappedText
from tests.napari.helpers import noisy_stack

LONG = 'a recording with a name that is much longer than any dock is wide, of the third day, 0042'
CONTROLS = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QSlider, LayerTable)


@pytest.fixture
def panel(make_napari_viewer_proxy, qtbot):
    """All that the panel can show, taken out of its viewer to have any size."""
    viewer = make_napari_viewer_proxy(show=True)
    _, panel = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
    for name in ('cells', LONG):
        viewer.add_image(noisy_stack(), name=name)
    for fold in panel.findChildren(Collapsible):
        fold.expand(animate=False)
    panel.noise.family.value = 'poisson-gaussian'
    panel.compare.slider.show()
    panel.noise.estimate.native.click()
    qtbot.waitUntil(lambda: panel.controller.run.idle, timeout=60_000)
    panel.controller.events.loss_changed.emit([(0.0, 1.0), (1.0, 0.5), (2.0, 0.4)])
    panel.footer.show_error(
        f'{LONG}: axes of {"x" * 60} cannot be read; give letters of TCZYX. ' * 2
    )
    panel.pause.text = 'Resume'
    panel.window().resize(1900, 1000)
    return panel


def shown(panel, kinds):
    found = panel.findChildren(QWidget)
    return [widget for widget in found if isinstance(widget, kinds) and widget.isVisible()]


def resize(panel, width, height):
    """As a dock of this size has it."""
    panel.setMinimumSize(width, height)
    panel.setMaximumSize(width, height)
    QTest.qWait(100)
    assert (panel.width(), panel.height()) == (width, height)


def test_everything_is_in_sight_at_any_size(panel):
    least = panel.minimumSizeHint().width()
    assert least <= 400
    scroll = panel.findChild(VerticalScroll)
    for width, height in product((least, least + 40, 420, 600), (250, 520, 900)):
        resize(panel, width, height)
        assert scroll.widget().width() <= scroll.viewport().width()
        assert scroll.horizontalScrollBar().maximum() == 0
        nothing_is_cut_off(panel)


def nothing_is_cut_off(panel):
    for button in shown(panel, QPushButton) + shown(panel, QCheckBox):
        assert button.width() >= button.sizeHint().width(), button.text()
        assert button.height() >= button.sizeHint().height(), button.text()
    for label in shown(panel, QLabel):
        assert label.width() >= label.sizeHint().width(), label.text()
        assert label.height() >= label.sizeHint().height(), label.text()
    for text in shown(panel, WrappedText):
        if text is not panel.messages:
            assert text.verticalScrollBar().maximum() == 0, text.text()
        assert text.horizontalScrollBar().maximum() == 0, text.text()
    for widget in shown(panel, (*CONTROLS, QLabel, WrappedText)):
        assert widget.parentWidget().rect().contains(widget.geometry()), widget


def test_menus_show_their_texts_at_the_usual_width(panel):
    resize(panel, panel.sizeHint().width(), 900)
    for box in shown(panel, QComboBox):
        if box.isEditable():
            continue
        for number in range(box.count()):
            text = box.itemText(number)
            if LONG in text:  # a layer's name, as long as its user likes
                continue
            assert box.fontMetrics().horizontalAdvance(text) <= box.width() - 45, text


def test_no_control_without_a_tooltip(panel):
    for widget in shown(panel, CONTROLS):
        if not isinstance(widget.parent(), (QComboBox, QAbstractSpinBox, LayerTable)):
            assert len(widget.toolTip()) > 30, (widget, widget.accessibleName())


def test_what_steers_a_run_and_what_is_said_of_it_is_always_in_sight(panel):
    panel.footer.show_notes([f'{number}: {LONG}' for number in range(20)])
    resize(panel, 340, 535)
    for widget in (
        panel.train.native,
        panel.stop.native,
        panel.footer.progress,
        panel.status,
        panel.messages,
    ):
        place = widget.mapTo(panel, widget.rect().bottomRight())
        assert panel.rect().contains(place)
        assert not widget.visibleRegion().isEmpty()
        assert widget.visibleRegion().boundingRect() == widget.rect()
    assert panel.messages.verticalScrollBar().maximum() > 0
    assert panel.messages.focusPolicy() & Qt.FocusPolicy.TabFocus
    assert panel.column.height() > panel.height() / 2


def test_the_plot_of_a_training_and_the_comparison_come_into_sight(panel):
    resize(panel, 340, 535)
    panel.chart.show_curves(None)
    panel.column.verticalScrollBar().setValue(0)
    panel.form.device.native.setFocus()
    panel.controller.events.loss_changed.emit([(0.0, 1.0), (1.0, 0.5)])
    QTest.qWait(50)
    assert panel.chart.visibleRegion().boundingRect() == panel.chart.rect()
    panel.column.verticalScrollBar().setValue(0)
    panel.controller.events.loss_changed.emit([(0.0, 1.0), (1.0, 0.5), (2.0, 0.4)])
    QTest.qWait(50)
    assert panel.column.verticalScrollBar().value() == 0
    panel.form.seconds.native.setFocus()
    panel.chart.show_curves(None)
    panel.controller.events.loss_changed.emit([(0.0, 1.0), (1.0, 0.5)])
    QTest.qWait(50)
    assert panel.column.verticalScrollBar().value() == 0
