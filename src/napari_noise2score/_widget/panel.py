"""The panel: layout, what the user asks for, and what comes back. No maths, no threads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from magicgui.widgets import CheckBox, ComboBox, PushButton, SpinBox
from napari.utils.notifications import show_error
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QScrollArea,
    QStyle,
    QVBoxLayout,
    QWidget,
)

from napari_noise2score._widget import worker
from napari_noise2score._widget.chart import Chart, learning_curve
from napari_noise2score._widget.command import command_line
from napari_noise2score._widget.controller import Controller, State, Status
from napari_noise2score._widget.jobs import PREVIEWED, Estimated, RunSettings, Trained
from napari_noise2score._widget.layer_table import LayerTable
from napari_noise2score._widget.layers import (
    Target,
    add_change,
    add_result,
    place_in,
    put_plane,
    replace_image,
)
from napari_noise2score._widget.model_box import ModelBox
from napari_noise2score._widget.noise_form import NoiseForm
from napari_noise2score._widget.words import CORRECTIONS, preview_name
from napari_noise2score.errors import InputError
from napari_noise2score.noise.correct import Correction
from napari_noise2score.score.header import UNSAVED

if TYPE_CHECKING:
    import napari.viewer

_DEVICES = [
    ('Automatic', 'auto'),
    ('CPU', 'cpu'),
    ('NVIDIA GPU (cuda)', 'cuda'),
    ('Apple GPU (mps)', 'mps'),
]
_STARTS = [
    ('Pretrained weights', 'warm'),
    ('Nothing (from scratch)', 'scratch'),
    ('The model above', UNSAVED),
]
_CORRECTION_TIP = (
    'Formula that turns the score into clean grey levels. Automatic takes the one of the least '
    'estimated risk, mostly stabilised; chained is exact for photons with read noise. Changing it '
    'needs no new training: press Correct.'
)
_SECONDS_TIP = (
    'How long to train at most, in seconds. A minute gives most of the quality; a training ends '
    'early when nothing more is gained. 0 applies the pretrained weights as they are, at once. '
    'Stop ends it early and keeps what was learned.'
)
_START_TIP = (
    'What the training begins with. The pretrained weights, which have seen drawn images only, '
    'give a preview at once, and a training never delivers anything worse by the estimated error. '
    'From scratch, all that is known comes of these layers alone; it takes longer. The model '
    'above goes on learning from these layers.'
)
_LIVE_TIP = (
    'While training, correct the slice that is looked at again and again in the preview layer. '
    'Takes up to a tenth of the training time.'
)
_DEVICE_TIP = (
    'Where to compute. Automatic takes a GPU if there is one; it learns many times more in the '
    'same time than the CPU.'
)
_TRAIN_TIP = 'Learn the score of the ticked layers, then add a clean layer beside each of them.'
_STOP_TIP = (
    'End the training now and apply what it learned. Pressed again, or while correcting: cancel.'
)
_PAUSE_TIP = (
    'Hold the run where it is, so that the computer is free for other work; the training time '
    'stands still. Press again to go on.'
)
_CORRECT_TIP = (
    'Correct the ticked layers again with the noise model and form chosen above, without '
    'training: about a second where the layer was trained on; layers that were not are passed '
    'through the last trained network first.'
)
_CHANGE_TIP = (
    'Add a layer with the difference between the result and that of the pretrained weights, in '
    'standard deviations of the noise: where it is large the layers themselves have decided.'
)
_COPY_TIP = (
    'Put the command line that does the same for the files of the ticked layers on the clipboard.'
)
_PRELOAD_AFTER = 250
_LONGEST_TIME = 7 * 24 * 3600
_BAR = 'QProgressBar::chunk { background-color: #5a7bd0; }'
_WIDTH = 340
_HEIGHT = 600


class Noise2ScorePanel(QWidget):
    """Denoise Image layers: noise model, training, correction.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer whose layers are offered and that gets the results.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.controller = Controller(self, worker.start)
        self.layers = LayerTable(viewer)
        self.model = ModelBox(self.controller)
        self.noise = NoiseForm()
        self.correction = ComboBox(
            choices=[(label, form) for form, label in CORRECTIONS.items()],
            value=Correction.AUTO,
            tooltip=_CORRECTION_TIP,
        )
        self.seconds = SpinBox(
            value=round(RunSettings().seconds),
            min=0,
            max=_LONGEST_TIME,
            step=10,
            tooltip=_SECONDS_TIP,
        )
        self.start = ComboBox(choices=_STARTS, value='warm', tooltip=_START_TIP)
        self.device = ComboBox(choices=_DEVICES, value='auto', tooltip=_DEVICE_TIP)
        self.live = CheckBox(text='Live preview', value=True, tooltip=_LIVE_TIP)
        self.train = PushButton(text='Train', tooltip=_TRAIN_TIP)
        self.stop = PushButton(text='Stop', tooltip=_STOP_TIP)
        self.pause = PushButton(text='Pause', tooltip=_PAUSE_TIP)
        self.correct = PushButton(text='Correct', tooltip=_CORRECT_TIP)
        self.change = PushButton(text='Show what training changed', tooltip=_CHANGE_TIP)
        self.copy = PushButton(text='Copy command line', tooltip=_COPY_TIP)
        self.chart = Chart()
        self.bar = QProgressBar()
        self.status = _text()
        self.messages = _text()
        self._notes: list[str] = []
        self._previews: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._places: WeakKeyDictionary[Any, dict[str, int]] = WeakKeyDictionary()
        self._targets: Sequence[Target] = ()
        self._live = True
        self._build()
        self.train.changed.connect(self._train)
        self.stop.changed.connect(lambda: self.controller.stop())
        self.pause.changed.connect(lambda: self.controller.pause())
        self.correct.changed.connect(self._correct)
        self.change.changed.connect(self._show_change)
        self.copy.changed.connect(self._copy)
        self.noise.wants_estimate.connect(self._estimate)
        self.live.changed.connect(self._set_live)
        viewer.dims.events.current_step.connect(self._look)
        self.layers.ticked.connect(self._refresh)
        self.destroyed.connect(self.controller.close)
        self.show_status(self.controller.status)
        QTimer.singleShot(_PRELOAD_AFTER, worker.preload)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide enough to read, and no higher than a small window."""
        return QSize(_WIDTH, _HEIGHT)

    def event(self, event: QEvent) -> bool:
        """Taken out of its dock, the panel has no Stop button any more: stop, keep the result."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.controller.stop()
        return super().event(event)

    def settings(self) -> RunSettings:
        """What the panel asks for now.

        Raises
        ------
        InputError
            If a noise parameter is not acceptable.
        """
        return RunSettings(
            self.noise.request(),
            self.correction.value,
            float(self.seconds.value),
            self.device.value,
            init=self.controller.init if self.start.value == UNSAVED else self.start.value,
        )

    def show_status(self, status: Status) -> None:
        """Show a snapshot of the controller."""
        self.status.setText(status.text)
        self.bar.setValue(round(1000 * status.fraction))
        self._refresh()

    def show_error(self, text: str) -> None:
        """Show an error in the panel and as a notification."""
        self._notes.append(f'Error: {text}')
        self._show_notes()
        show_error(text)

    def show_learning(self, history: Sequence[tuple[float, float]]) -> None:
        """Show the course of the training."""
        self.chart.show_curves(learning_curve(history))

    def show_model(self, trained: Trained) -> None:
        """Show the model that is in use now."""
        self.model.show_model(trained)
        self._refresh()

    def show_notes(self, notes: Sequence[str]) -> None:
        """Show what a user should know of a result."""
        self._notes += [f'Note: {note}' for note in notes]
        self._show_notes()

    def show_estimates(self, estimates: Sequence[Estimated], asked: bool) -> None:
        """Show the noise that was estimated."""
        self.noise.show_estimates(estimates, asked=asked)

    def add_result(self, layer: Any, image: Any, name: str, report: dict[str, Any]) -> None:
        """Add a clean layer beside its source, in the place of its preview."""
        self._remove_preview(layer)
        add_result(self._viewer, layer, image, name, report)

    def add_preview(self, layer: Any, image: Any, name: str, report: dict[str, Any]) -> None:
        """Add a layer that is replaced by the result, or fill the one that is there."""
        preview = self._previews.get(layer)
        if preview is not None and preview in self._viewer.layers:
            replace_image(preview, layer, image, report)
            return
        self._previews[layer] = add_result(self._viewer, layer, image, name, report)

    def show_live(
        self, target: Target, index: tuple[int | slice, ...], values: NDArray[np.float32]
    ) -> None:
        """Show a plane as it would be delivered now, in the preview layer.

        Where there is none yet, a copy of the noisy image becomes one; where the user has removed
        it, no more is shown.
        """
        layer = target.layer
        preview = self._previews.get(layer)
        if preview is None:
            noisy = np.array(
                target.source.read((slice(None),) * len(target.source.shape)), np.float32
            )
            self.add_preview(layer, noisy, preview_name(target.source.name), {})
        elif preview not in self._viewer.layers:
            self._places.pop(layer, None)
            return
        put_plane(self._previews[layer], index, values)

    def add_change(self, layer: Any, image: Any, name: str, report: dict[str, Any]) -> None:
        """Add a layer with what a training changed."""
        add_change(self._viewer, layer, image, name, report)

    def _remove_preview(self, layer: Any) -> None:
        preview = self._previews.pop(layer, None)
        if preview is not None and preview in self._viewer.layers:
            self._viewer.layers.remove(preview)

    def _train(self) -> None:
        request = self._request()
        if request is not None:
            if self.controller.state is State.IDLE:
                self._targets = request[0]
                for target in self._targets:
                    self._remove_preview(target.layer)
                self._look()
            self.controller.train(*request, self._watched)

    def _look(self) -> None:
        """Note where the layers in training are looked at."""
        for target in self._targets:
            self._places[target.layer] = place_in(self._viewer, target)

    def _set_live(self, on: bool) -> None:
        self._live = on

    def _watched(self, target: Target) -> dict[str, int] | None:
        """Asked in the thread of the training, hence from what was noted."""
        small = math.prod(target.source.shape) <= PREVIEWED
        return self._places.get(target.layer) if small and self._live else None

    def _correct(self) -> None:
        request = self._request()
        if request is not None:
            self.controller.correct(*request)

    def _show_change(self) -> None:
        request = self._request()
        if request is not None:
            self.controller.show_change(request[0])

    def _copy(self) -> None:
        request = self._request()
        if request is None:
            return
        try:
            command = command_line(*request)
        except InputError as error:
            self.show_error(str(error))
        else:
            QGuiApplication.clipboard().setText(command)
            self.show_notes([f'copied to the clipboard: {command}'])

    def _estimate(self) -> None:
        try:
            self._clear_notes()
            self.controller.estimate(self.layers.targets())
        except InputError as error:
            self.show_error(str(error))

    def _request(self) -> tuple[list[Target], RunSettings] | None:
        self._clear_notes()
        try:
            return self.layers.targets(), self.settings()
        except InputError as error:
            self.show_error(str(error))
            return None

    def _clear_notes(self) -> None:
        self._notes.clear()
        self._show_notes()

    def _show_notes(self) -> None:
        text = '\n'.join(dict.fromkeys(self._notes))
        self.messages.setText(text)
        self.messages.setVisible(bool(text))

    def _refresh(self) -> None:
        status = self.controller.status
        idle, chosen = status.state is State.IDLE, bool(self.layers.layers())
        self.train.enabled = self.noise.estimate.enabled = idle and chosen
        self.correct.enabled = self.change.enabled = idle and chosen and status.has_model
        self.copy.enabled = chosen
        self.model.show_status(status)
        self.stop.enabled = not idle
        self.pause.enabled = not idle and status.state is not State.STOPPING
        self.pause.text = 'Resume' if status.state is State.PAUSED else 'Pause'

    def _build(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow('Correction', self.correction.native)
        form.addRow('Training time (s)', self.seconds.native)
        form.addRow('Start from', self.start.native)
        form.addRow('Device', self.device.native)
        form.addRow('', self.live.native)
        buttons = QHBoxLayout()
        for combo in (
            self.correction,
            self.start,
            self.device,
            self.noise.family,
            self.noise.correlation,
        ):
            combo.native.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            combo.native.setMinimumContentsLength(10)
        for button in (self.train, self.pause, self.stop, self.correct):
            buttons.addWidget(button.native, 1)
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setStyleSheet(_BAR)

        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setSpacing(8)
        column.addWidget(self.layers)
        column.addWidget(_heading('Noise model'))
        column.addWidget(self.noise)
        column.addWidget(_heading('Model'))
        column.addWidget(self.model)
        column.addWidget(_heading('Denoise'))
        column.addLayout(form)
        column.addLayout(buttons)
        column.addWidget(self.change.native)
        column.addWidget(self.copy.native)
        column.addWidget(self.bar)
        column.addWidget(self.status)
        column.addWidget(self.chart)
        column.addWidget(self.messages)
        column.addStretch(1)
        self.messages.hide()

        scroll = QScrollArea()
        scroll.setWidget(inner)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)
        bar = self.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent)
        self.setMinimumWidth(inner.minimumSizeHint().width() + bar)


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def _text() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
