"""Comparison of noisy and clean layers: toggle, split view, difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from magicgui.widgets import PushButton
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QSlider, QWidget

from napari_noise2score._widget.control.messages import split_name
from napari_noise2score._widget.layers import Pair, add_result, show_like

_TOGGLE_TIP = 'Switch between the noisy layers and the clean ones.'
_SPLIT_TIP = (
    'Add a layer that is noisy on the left and clean on the right; the slider below moves the '
    'border. The layer needs no computation and no additional memory.'
)
_SLIDE_TIP = (
    'Position of the border between the noisy left side and the clean right side. The arrow '
    'keys move it too.'
)
_RESIDUAL_TIP = (
    'Add a layer with the removed noise, in standard deviations of the noise. It should show '
    'only noise; structure in it was removed from the image. This takes about a second.'
)
_CHANGE_TIP = (
    'Add a layer with the difference between the result and that of the pretrained weights, in '
    'standard deviations of the noise: where it is large, the training on these layers changed '
    'the result. For this, the network is applied to the layers once.'
)
_REPORT_TIP = (
    'Write a page on the results: whether they are blurred, whether something is invented, what '
    'was removed, and all settings. It is measured without ground truth, takes a few seconds, and '
    'opens in the browser.'
)
_STEPS = 1000


class CompareBox(QWidget):
    """Buttons that compare ticked layers with their results.

    Parameters
    ----------
    viewer : Viewer
        The viewer, or napari's proxy of it.
    pairs : callable
        Returns the ticked layers that have a result in the viewer.
    parent : QWidget, optional
        Qt parent.
    """

    wants_residual = Signal()
    wants_change = Signal()
    wants_report = Signal()

    def __init__(
        self, viewer: Any, pairs: Callable[[], Sequence[Pair]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._pairs = viewer, pairs
        self._split: Any = None
        self.toggle = PushButton(text='Show noisy', tooltip=_TOGGLE_TIP)
        self.split = PushButton(text='Split view', tooltip=_SPLIT_TIP)
        for button in (self.toggle, self.split):
            button.native.setCheckable(True)
        self.residual = PushButton(text='Removed noise', tooltip=_RESIDUAL_TIP)
        self.change = PushButton(text='Changed by training', tooltip=_CHANGE_TIP)
        self.report = PushButton(text='Report...', tooltip=_REPORT_TIP)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.slider.setValue(_STEPS // 2)
        self.slider.setToolTip(_SLIDE_TIP)
        self.slider.setAccessibleName('Border of the split view')
        self.slider.hide()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self.toggle.native, 0, 0)
        grid.addWidget(self.split.native, 0, 1)
        grid.addWidget(self.slider, 1, 0, 1, 2)
        grid.addWidget(self.residual.native, 2, 0)
        grid.addWidget(self.change.native, 2, 1)
        grid.addWidget(self.report.native, 3, 0, 1, 2)
        self.toggle.native.toggled.connect(self._show_noisy)
        self.split.native.toggled.connect(self._show_split)
        self.slider.valueChanged.connect(self._slide)
        self.residual.changed.connect(lambda: self.wants_residual.emit())
        self.change.changed.connect(lambda: self.wants_change.emit())
        self.report.changed.connect(lambda: self.wants_report.emit())

    def follow(self, idle: bool) -> None:
        """Enable the buttons for which there are results."""
        there = bool(self._pairs())
        if self._split is not None and self._split not in self._viewer.layers:
            self._split = None
            self.split.native.setChecked(False)
        self.toggle.enabled = there
        self.split.enabled = there or self._split is not None
        for button in (self.residual, self.change, self.report):
            button.enabled = there and idle

    def _show_noisy(self, on: bool) -> None:
        for pair in self._pairs():
            pair.target.layer.visible = on
            pair.result.visible = not on

    def _show_split(self, on: bool) -> None:
        self.slider.setVisible(on)
        pairs = self._pairs()
        if not on:
            split, self._split = self._split, None
            if split is not None and split in self._viewer.layers:
                self._viewer.layers.remove(split)
                self._viewer.layers.selection.active = pairs[0].result if pairs else None
            return
        if not pairs:
            self.split.native.setChecked(False)
            return
        pair, split_view = pairs[0], pairs[0].split_view()
        name = split_name(pair.target.source.name)
        self._split = add_result(self._viewer, pair.target, split_view, name, {}, pair.result)
        show_like(self._split, pair.result)
        self._slide(self.slider.value())

    def _slide(self, value: int) -> None:
        if self._split is not None:
            split_view = self._split.data
            split_view.column = round(value / _STEPS * split_view.columns)
            self._split.refresh(extent=False, highlight=False)
