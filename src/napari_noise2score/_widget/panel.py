"""The panel: layout, what the user asks for, and what comes back. No maths, no threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from magicgui.widgets import PushButton
from napari.utils.notifications import show_error
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QSize, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from napari_noise2score._widget import worker
from napari_noise2score._widget.chart import Chart, learning_curve
from napari_noise2score._widget.column import Column
from napari_noise2score._widget.compare_box import CompareBox, Pair
from napari_noise2score._widget.control.command import command_line
from napari_noise2score._widget.control.controller import Controller
from napari_noise2score._widget.control.events import Status
from napari_noise2score._widget.control.messages import preview_name
from napari_noise2score._widget.control.runner import Phase
from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.fold import Fold
from napari_noise2score._widget.following import follow
from napari_noise2score._widget.form import narrow
from napari_noise2score._widget.jobs import Estimated, Trained, View
from napari_noise2score._widget.layer_table import LayerTable
from napari_noise2score._widget.layers import (
    METADATA,
    add_map,
    add_preview,
    add_result,
    put_plane,
    target_of,
    turn_into_result,
    view_of,
)
from napari_noise2score._widget.look import STYLE
from napari_noise2score._widget.model_box import ModelBox
from napari_noise2score._widget.noise_form import NoiseForm
from napari_noise2score._widget.preferences import preferences
from napari_noise2score._widget.region_box import RegionBox
from napari_noise2score._widget.settings_form import SettingsForm
from napari_noise2score._widget.tab_order import order_tabs
from napari_noise2score._widget.text import Text
from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.calibrate import Calibration
from napari_noise2score.settings import DenoiseSettings, StartFrom
from napari_noise2score.settings.tree import replaced

if TYPE_CHECKING:
    import napari.viewer

_REGION_TIP = (
    'Learn from a part of the layers, or clean a part only: quicker where layers are large. '
    'Closed and untouched, everything is used.'
)
_TRAIN_TIP = (
    'Learn the score of the ticked layers for the training time, then add a clean layer beside '
    'each of them.'
)
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
_COPY_TIP = (
    'Put the command line that does the same for the files of the ticked layers on the clipboard.'
)
_PRELOAD_AFTER = 250
_GLANCE_AFTER = 150
"""Time from the last edit to its effect, ms."""
_MESSAGES = 120
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
        self.controller = Controller(worker.start)
        self.layers = LayerTable(viewer)
        self.reading = Text('How the layers are read')
        self.model = ModelBox(self.controller)
        self.noise = NoiseForm(viewer)
        self.region = RegionBox(viewer)
        self.form = SettingsForm(preferences())
        self.train = PushButton(text='Train', tooltip=_TRAIN_TIP)
        self.stop = PushButton(text='Stop', tooltip=_STOP_TIP)
        self.pause = PushButton(text='Pause', tooltip=_PAUSE_TIP)
        self.correct = PushButton(text='Correct', tooltip=_CORRECT_TIP)
        self.compare = CompareBox(viewer, self._pairs)
        self.copy = PushButton(text='Copy command line', tooltip=_COPY_TIP)
        self.chart = Chart()
        self.bar = QProgressBar()
        self.status = Text('What is going on')
        self.messages = Text('Messages', highest=_MESSAGES)
        self._notes: list[str] = []
        self._previews: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._results: WeakKeyDictionary[Any, ref[Any]] = WeakKeyDictionary()
        self._views: WeakKeyDictionary[Any, View] = WeakKeyDictionary()
        self._targets: Sequence[Target] = ()
        self._shown: tuple[Phase, bool] | None = None
        self._live, self._edited = self.form.live.value, False
        self._glance = QTimer(self)
        self._glance.setSingleShot(True)
        self._glance.setInterval(_GLANCE_AFTER)
        self._build()
        self.train.changed.connect(self._train)
        self.stop.changed.connect(lambda: self.controller.stop())
        self.pause.changed.connect(lambda: self.controller.pause())
        self.correct.changed.connect(self._correct)
        self.compare.wants_residual.connect(self._show_residual)
        self.compare.wants_change.connect(self._show_change)
        self.copy.changed.connect(self._copy)
        self.noise.wants_estimate.connect(self._estimate)
        self.noise.calibration.wanted.connect(self._calibrate)
        self.noise.edited.connect(self._glance.start)
        self.form.correction.changed.connect(lambda: self._glance.start())
        self._glance.timeout.connect(self._look_again)
        self.form.live.changed.connect(self._set_live)
        camera = getattr(viewer, 'scene', viewer).camera  # of the viewer itself before napari 0.9
        follow(self, self._look, viewer.dims.events.current_step, camera.events)
        self.layers.ticked.connect(self._refresh)
        self._connect_controller()
        self.destroyed.connect(self.controller.close)
        self.show_status(self.controller.status)
        QTimer.singleShot(_PRELOAD_AFTER, worker.preload)

    def _connect_controller(self) -> None:
        events = self.controller.events
        events.status_changed.connect(self.show_status)
        events.error_reported.connect(self.show_error)
        events.notes_reported.connect(self.show_notes)
        events.loss_changed.connect(self.show_learning)
        events.model_changed.connect(self.show_model)
        events.noise_estimated.connect(self.show_estimates)
        events.noise_calibrated.connect(self.show_calibration)
        events.result_ready.connect(self.add_result)
        events.plane_ready.connect(self.show_live)
        events.map_ready.connect(self.add_map)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Wide enough to read, and no higher than a small window."""
        return QSize(_WIDTH, _HEIGHT)

    def event(self, event: QEvent) -> bool:
        """Taken out of its dock, the panel has no Stop button any more: stop, keep the result."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.controller.stop()
        return super().event(event)

    def settings(self, *, trains: bool = True) -> DenoiseSettings:
        """The settings that the panel shows now.

        Parameters
        ----------
        trains : bool
            Whether they are for a training; otherwise what it begins with does not matter.

        Raises
        ------
        InputError
            If a setting or a noise parameter is not acceptable.
        """
        settings = self.form.settings(self.noise.request(), () if trains else ('init',))
        if settings.training.init != StartFrom.UNSAVED:
            return settings
        return replaced(settings, {'init': self.controller.learned.init})

    def show_status(self, status: Status) -> None:
        """Show a snapshot of the controller."""
        self.status.setText(status.text)
        self.bar.setUpdatesEnabled(False)  # else it paints at once, and the window once more
        self.bar.setValue(round(1000 * status.fraction))
        self.bar.setUpdatesEnabled(True)
        if (status.run.phase, status.has_model) != self._shown:
            self._shown = status.run.phase, status.has_model
            self._refresh()

    def show_error(self, text: str) -> None:
        """Show an error in the panel and as a notification."""
        self._notes.append(f'Error: {text}')
        self._show_notes()
        show_error(text)

    def show_learning(self, history: Sequence[tuple[float, float]]) -> None:
        """Show the course of the training."""
        hidden = self.chart.isHidden()
        self.chart.show_curves(learning_curve(history))
        if hidden and not self.chart.isHidden():
            self.column.show_part(self.chart)

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

    def show_calibration(self, calibration: Calibration) -> None:
        """Show the noise that was measured on calibration frames."""
        self.noise.show_calibration(calibration)

    def add_result(self, target: Target, image: Any, name: str, report: dict[str, Any]) -> None:
        """Add a clean layer beside its source, in the place of its preview."""
        preview = self._preview_of(target)
        if preview is None:
            result = add_result(self._viewer, target, image, name, report)
        else:
            turn_into_result(preview, target, image, name, report)
            result = preview
        self._previews.pop(target.layer, None)
        for earlier in self._pairs([target.layer]):  # it would cover the new one
            earlier.result.visible = False
        self._results[target.layer] = ref(result)
        self._edited = False
        self._refresh()
        self.column.show_part(self.compare)

    def show_live(
        self, target: Target, index: tuple[int | slice, ...], values: NDArray[np.float32]
    ) -> None:
        """Show a plane as it would be delivered now, in the preview layer.

        Where the user has removed that layer during a run, no more is shown.
        """
        layer = target.layer
        removed = layer in self._previews and self._previews[layer] not in self._viewer.layers
        if removed and not self.controller.run.idle:
            self._views.pop(layer, None)
            return
        self._show_preview(target)
        put_plane(self._previews[layer], index, values)

    def add_map(self, target: Target, image: Any, name: str, report: dict[str, Any]) -> None:
        """Add a layer with differences in noise standard deviations."""
        covered = next((pair.result for pair in self._pairs([target.layer])), None)
        add_map(self._viewer, target, image, name, report, covered)

    def _show_preview(self, target: Target) -> None:
        """Have a preview layer: of the result where there is one, else of the noisy image."""
        layer = target.layer
        if self._preview_of(target) is not None:
            return
        pair = next(iter(self._pairs([layer])), None)
        covered = None if pair is None else pair.result
        alike = pair is not None and pair.target.region == target.region
        base = covered.data if covered is not None and alike else None
        name = preview_name(target.source.name)
        self._previews[layer] = add_preview(self._viewer, target, name, base, covered)

    def _preview_of(self, target: Target) -> Any:
        """The preview layer of a target, if there is one in the viewer; of another region none."""
        preview = self._previews.get(target.layer)
        if preview is None or preview not in self._viewer.layers:
            return None
        if preview.metadata[METADATA]['region'] != str(target.region):
            self._viewer.layers.remove(preview)
            return None
        return preview

    def _pairs(self, layers: Sequence[Any] | None = None) -> list[Pair]:
        """Layers with their results, as far as these are in the viewer; the ticked ones."""
        found = []
        for layer in self.layers.layers() if layers is None else layers:
            known = self._results.get(layer)
            result = None if known is None else known()
            if result is not None and result in self._viewer.layers:
                found.append(Pair.of(layer, result))
        return found

    def _train(self) -> None:
        request = self._request()
        if request is not None:
            if self.controller.run.idle:
                self._targets = request[0]
                for target in self._targets:
                    if self._preview_of(target) is None:
                        self._previews.pop(target.layer, None)
                self._note_views()
            self.controller.train(*request, self._watched)
            self.pause.native.setFocus()

    def _note_views(self) -> None:
        """Note what is looked at of the layers in training."""
        for target in self._targets:
            self._views[target.layer] = view_of(self._viewer, target)

    def _look(self, event: Any = None) -> None:
        """Something else is looked at: show it live, or correct it again after an edit."""
        if not self.controller.run.idle:
            self._note_views()
        elif self._edited:
            self._glance.start()

    def _look_again(self) -> None:
        """Correct what is in sight for the noise and the form of now, from the scores."""
        try:
            targets, settings = self._targets_now(), self.settings(trains=False)
        except InputError:  # half typed
            return
        views = [view_of(self._viewer, target) for target in targets]
        self._edited = self.controller.preview(targets, settings, views)

    def _set_live(self, on: bool) -> None:
        self._live = on

    def _watched(self, target: Target) -> View | None:
        """Asked in the thread of the training, hence from what was noted."""
        return self._views.get(target.layer) if self._live else None

    def _correct(self) -> None:
        request = self._request(trains=False)
        if request is not None:
            self.controller.correct(*request)

    def _show_change(self) -> None:
        request = self._request(trains=False)
        if request is not None:
            self.controller.show_change(request[0])

    def _show_residual(self) -> None:
        self._clear_notes()
        pairs = self._pairs()
        self.controller.compare([(pair.target, pair.clean, pair.families) for pair in pairs])

    def _copy(self) -> None:
        request = self._request()
        if request is None:
            return
        try:
            command = command_line(*request)
        except InputError as error:
            self._refuse(error)
        else:
            QGuiApplication.clipboard().setText(command)
            self.show_notes([f'copied to the clipboard: {command}'])

    def _estimate(self) -> None:
        try:
            self._clear_notes()
            self.controller.estimate(self._targets_now())
        except InputError as error:
            self._refuse(error)

    def _calibrate(self) -> None:
        self._clear_notes()
        try:
            dark, flat = (self._source_of(layer) for layer in self.noise.calibration.layers())
        except InputError as error:
            self._refuse(error)
        else:
            self.controller.calibrate(dark, flat)

    def _source_of(self, layer: Any) -> ImageSource | None:
        """A layer as the axes in the table say."""
        if layer is None:
            return None
        return target_of(layer, self.layers.axes_of(layer).currentText()).source

    def _targets_now(self) -> list[Target]:
        return [self.region.narrowed(target) for target in self.layers.targets()]

    def _request(self, *, trains: bool = True) -> tuple[list[Target], DenoiseSettings] | None:
        self._clear_notes()
        try:
            return self._targets_now(), self.settings(trains=trains)
        except InputError as error:
            self._refuse(error)
            return None

    def _refuse(self, error: InputError) -> None:
        """What is asked for cannot be done; whatever was said before is no longer to the point."""
        self.status.setText('Not done; see below.')
        self.show_error(str(error))

    def _clear_notes(self) -> None:
        self._notes.clear()
        self._show_notes()

    def _show_notes(self) -> None:
        text = '\n'.join(dict.fromkeys(self._notes))
        self.messages.setText(text)
        self.messages.setVisible(bool(text))

    def _refresh(self) -> None:
        status = self.controller.status
        idle, chosen = status.run.idle, bool(self.layers.layers())
        on = {
            self.train: idle and chosen,
            self.noise.estimate: idle and chosen,
            self.noise.calibration.calibrate: idle,
            self.correct: idle and chosen and status.has_model,
            self.copy: chosen,
            self.stop: not idle,
            self.pause: not idle and status.run.phase is not Phase.STOPPING,
        }
        for button in sorted(on, key=lambda button: not on[button]):
            button.enabled = on[button]  # those to be pressed first: the focus goes to one of them
        self.reading.setText(self.layers.words())
        self.reading.setVisible(bool(self.reading.text()))
        self.compare.follow(idle)
        self.model.show_status(status)
        self.pause.text = 'Resume' if status.run.phase is Phase.PAUSED else 'Pause'

    def _build(self) -> None:
        self.setStyleSheet(STYLE)
        for combo in (self.noise.family, self.noise.correlation):
            narrow(combo)
        buttons = QHBoxLayout()
        for button in (self.train, self.pause, self.stop, self.correct):
            buttons.addWidget(button.native, 1)
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName('Progress')

        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setSpacing(8)
        column.addWidget(self.layers)
        column.addWidget(self.reading)
        column.addWidget(Fold('Region', self.region, _REGION_TIP))
        column.addWidget(_heading('Noise model'))
        column.addWidget(self.noise)
        column.addWidget(_heading('Denoise'))
        column.addWidget(self.form)
        column.addWidget(self.chart)
        column.addWidget(_heading('Compare'))
        column.addWidget(self.compare)
        column.addWidget(_heading('Model'))
        column.addWidget(self.model)
        column.addWidget(self.copy.native)
        column.addStretch(1)
        self.column = Column(inner)

        steering = QFrame()
        steering.setObjectName('steering')
        below = QVBoxLayout(steering)
        below.setSpacing(6)
        below.addLayout(buttons)
        for widget in (self.bar, self.status, self.messages):
            below.addWidget(widget)
        self.messages.hide()

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.column, 1)
        layout.addWidget(steering)
        order_tabs(column, below)


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label
