"""The panel: layout, requests of the user, and display of results; without maths and threads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import PushButton
from numpy.typing import NDArray
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QSize, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_noise2score._widget import worker
from napari_noise2score._widget.control.command import command_line
from napari_noise2score._widget.control.controller import Controller
from napari_noise2score._widget.control.events import Status
from napari_noise2score._widget.control.interrupted import InterruptedRuns
from napari_noise2score._widget.control.pages import Page
from napari_noise2score._widget.control.runner import Phase
from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.jobs import Estimated, ToReport, Trained
from napari_noise2score._widget.layers import (
    Pair,
    ResultLayers,
    candidates,
    image_layers,
    saved_levels,
    saved_to,
    target_of,
)
from napari_noise2score._widget.layers.live_view import LiveView, view_of
from napari_noise2score._widget.preferences import preferences
from napari_noise2score._widget.stored_run import StoredRun
from napari_noise2score._widget.views.chart import Chart, learning_curve
from napari_noise2score._widget.views.collapsible import Collapsible
from napari_noise2score._widget.views.compare_box import CompareBox
from napari_noise2score._widget.views.form import list_layers
from napari_noise2score._widget.views.layer_table import LayerTable
from napari_noise2score._widget.views.model_box import ModelBox
from napari_noise2score._widget.views.noise_form import NoiseForm
from napari_noise2score._widget.views.offer_box import OfferBox
from napari_noise2score._widget.views.panel_help import PanelHelp
from napari_noise2score._widget.views.region_box import RegionBox
from napari_noise2score._widget.views.report_pages import ask_pages, show_page
from napari_noise2score._widget.views.save_field import SaveField
from napari_noise2score._widget.views.settings_form import SettingsForm
from napari_noise2score._widget.views.status_bar import StatusBar
from napari_noise2score._widget.views.style import STYLE, heading
from napari_noise2score._widget.views.tab_order import order_tabs
from napari_noise2score._widget.views.vertical_scroll import VerticalScroll
from napari_noise2score._widget.views.wrapped_text import WrappedText
from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.settings import DenoiseSettings, StartFrom
from napari_noise2score.settings.tree import replaced

if TYPE_CHECKING:
    import napari.viewer

_REGION_TIP = (
    'Train on a part of the layers, or denoise only a part: this is faster for large layers. '
    'Without changes here, the whole layers are used.'
)
_TRAIN_TIP = (
    'Train on the ticked layers for the training time, then add a denoised layer for each of them.'
)
_STOP_TIP = (
    'Stop the training now and apply the trained model. Pressed again, or during the '
    'correction, Stop cancels the run.'
)
_PAUSE_TIP = (
    'Pause the run, so that the computer is free for other work; the pause does not count as '
    'training time. Press again to continue.'
)
_CORRECT_TIP = (
    'Correct the ticked layers again with the noise model, the correction and the context chosen '
    'above, without training. This takes about a second for layers that were used in the '
    'training; to other layers, and after a change of the context, the model is applied first.'
)
_COPY_TIP = (
    'Copy to the clipboard the command line that trains with these settings on the files of the '
    'ticked layers, as Train does.'
)
_PRELOAD_AFTER = 250
"""Time from the opening of the panel to the loading of PyTorch, ms."""
_WIDTH = 340
_HEIGHT = 600


class Noise2ScorePanel(QWidget):
    """Denoise Image layers: noise model, training, correction.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer with the layers; results are added to it.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.controller = Controller(worker.start)
        self.interrupted = InterruptedRuns(
            worker.start, lambda run: candidates(run, image_layers(viewer))
        )
        self.results = ResultLayers(viewer)
        self.live = LiveView(self, viewer, self._is_idle, self._correct_displayed)
        self.offer = OfferBox()
        self.layers = LayerTable(viewer)
        self.reading = WrappedText('How the layers are read')
        self.model = ModelBox(self.controller)
        self.noise = NoiseForm()
        self.region = RegionBox(viewer)
        self.save = SaveField(self.layers.layers)
        self.form = SettingsForm(preferences(), further=[self.save.row])
        self.train = PushButton(text='Train', tooltip=_TRAIN_TIP)
        self.stop = PushButton(text='Stop', tooltip=_STOP_TIP)
        self.pause = PushButton(text='Pause', tooltip=_PAUSE_TIP)
        self.correct = PushButton(text='Correct', tooltip=_CORRECT_TIP)
        self.compare = CompareBox(viewer, self._pairs)
        self.copy = PushButton(text='Copy command line', tooltip=_COPY_TIP)
        self.chart = Chart()
        self.help = PanelHelp(self)
        buttons = (self.train, self.pause, self.stop, self.correct)
        self.footer = StatusBar(buttons, self.help.button)
        self.status, self.messages = self.footer.status, self.footer.messages
        self._shown: tuple[Phase, bool] | None = None
        self._build()
        self._connect_controls()
        self._connect_controller()
        self._show_status(self.controller.status)
        QTimer.singleShot(_PRELOAD_AFTER, worker.preload)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Size at which texts can be read, not higher than a small window."""
        return QSize(_WIDTH, _HEIGHT)

    def event(self, event: QEvent) -> bool:
        """List the layers when the panel is docked; stop the training when it is removed."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None:  # the Stop button cannot be reached any more
                self.controller.stop()
                self.help.close()
            else:
                self.reset_choices()
        return super().event(event)

    def reset_choices(self, event: Any = None) -> None:
        """Update the menus of layers; napari calls this when its layers change."""
        if not isalive(self):  # napari 0.6 calls it also after the panel was deleted
            return
        for form in (self.region.form, self.noise.calibration.form):
            list_layers(form)
        self.interrupted.look()

    def settings(self, *, trains: bool = True) -> DenoiseSettings:
        """The current settings of the panel.

        Parameters
        ----------
        trains : bool
            Whether they are for a training; otherwise the initial weights are ignored.

        Raises
        ------
        InputError
            If a setting or a noise parameter is not acceptable.
        """
        settings = self.form.settings(self.noise.request(), () if trains else ('init',))
        if settings.training.init != StartFrom.UNSAVED:
            return settings
        return replaced(settings, {'init': self.controller.store.init})

    def _connect_controls(self) -> None:
        self.train.changed.connect(self._train)
        self.stop.changed.connect(lambda: self.controller.stop())
        self.pause.changed.connect(lambda: self.controller.pause())
        self.correct.changed.connect(self._correct)
        self.compare.wants_residual.connect(self._show_residual)
        self.compare.wants_change.connect(self._show_change)
        self.compare.wants_report.connect(self._report)
        self.copy.changed.connect(self._copy)
        self.noise.wants_estimate.connect(self._estimate)
        self.noise.calibration.wants_calibration.connect(self._calibrate)
        self.noise.edited.connect(self.live.edited)
        self.form.correction.changed.connect(lambda: self.live.edited())
        self.form.live.changed.connect(self._set_live)
        self._set_live(self.form.live.value)
        self.layers.ticked.connect(self._refresh)
        self.offer.accepted.connect(self._continue)
        self.offer.declined.connect(lambda: self.interrupted.decline())
        self.footer.told.connect(self.help.follow_error)
        self.model.requested.connect(self.footer.begin_request)
        self.destroyed.connect(self.interrupted.close)
        self.destroyed.connect(self.controller.close)

    def _connect_controller(self) -> None:
        events = self.controller.events
        events.status_changed.connect(self._show_status)
        events.error_reported.connect(self.footer.show_error)
        events.error_withdrawn.connect(self.footer.withdraw)
        events.notes_reported.connect(self.footer.show_notes)
        events.request_answered.connect(self.footer.answer)
        events.loss_changed.connect(self._show_loss)
        events.model_changed.connect(self._show_model)
        events.noise_estimated.connect(self._show_estimates)
        events.noise_calibrated.connect(self.noise.show_calibration)
        events.result_ready.connect(self._add_result)
        events.plane_ready.connect(self._show_plane)
        events.map_ready.connect(self.results.add_map)
        events.report_written.connect(show_page)
        self.interrupted.offered.connect(self.offer.offer)

    def _show_status(self, status: Status) -> None:
        self.footer.show_status(status)
        if status.run.idle:
            self.live.stop_watching()
        if (status.run.phase, status.has_model) != self._shown:
            self._shown = status.run.phase, status.has_model
            self._refresh()

    def _show_loss(self, history: Sequence[tuple[float, float]]) -> None:
        hidden = self.chart.isHidden()
        self.chart.show_curves(learning_curve(history))
        if hidden and not self.chart.isHidden():
            self.column.show_part(self.chart)

    def _show_model(self, trained: Trained) -> None:
        self.model.show_model(trained)
        self._refresh()

    def _show_estimates(self, estimates: Sequence[Estimated], requested: bool) -> None:
        self.noise.show_estimates(estimates, requested=requested)

    def _add_result(self, target: Target, image: Any, name: str, report: dict[str, Any]) -> None:
        shown = saved_levels(target, image) if isinstance(image, Path) else image
        self.results.add_result(target, shown, name, report)
        self.live.stop_following()
        self._refresh()
        self.column.show_part(self.compare)

    def _show_plane(
        self, target: Target, index: tuple[int | slice, ...], values: NDArray[np.floating]
    ) -> None:
        """Show a plane in the preview, unless the user has removed the preview during the job."""
        if self.results.preview_was_removed(target.layer) and not self._is_idle():
            self.live.unwatch(target.layer)
        else:
            self.results.show_plane(target, index, values)

    def _is_idle(self) -> bool:
        return self.controller.run.idle

    def _pairs(self) -> list[Pair]:
        """The ticked layers that have a result in the viewer."""
        return self.results.pairs(self.layers.layers())

    def _train(self) -> None:
        request = self._request(saves=True)
        if request is not None:
            self._begin_training(*request)

    def _begin_training(
        self, targets: Sequence[Target], settings: DenoiseSettings, run: StoredRun | None = None
    ) -> None:
        if self._is_idle():
            self.footer.begin_results()
            self.results.forget_removed(targets)
            self.live.watch(targets)
        self.controller.train(targets, settings, self.live.displayed, run)
        self.pause.native.setFocus()

    def _continue(self) -> None:
        """Continue the interrupted training that is offered."""
        self.footer.begin_request()
        if not self._is_idle():
            self.footer.refuse('Another run is under way; wait until it ends, or press Stop.')
            return
        offer = self.interrupted.offer
        if offer is None:
            return
        run, found = offer
        try:
            targets = saved_to(found, self.save.place, run.settings)
        except InputError as error:
            self.footer.refuse(str(error))
            return
        self.interrupted.accept()
        self._begin_training(targets, run.settings, run)

    def _correct(self) -> None:
        request = self._request(trains=False, saves=True)
        if request is not None:
            if self._is_idle():
                self.footer.begin_results()
            self.controller.correct(*request)

    def _correct_displayed(self) -> bool:
        """Correct the displayed part with the current noise model and form."""
        targets, settings = self._targets_now(), self.settings(trains=False)
        views = [view_of(self._viewer, target) for target in targets]
        return self.controller.preview(targets, settings, views)

    def _set_live(self, on: bool) -> None:
        self.live.during_training = on

    def _show_change(self) -> None:
        request = self._request(trains=False)
        if request is not None:
            self.controller.show_change(request[0])

    def _show_residual(self) -> None:
        self.footer.begin_request()
        pairs = self._pairs()
        self.controller.compare([(pair.target, pair.clean, pair.families) for pair in pairs])

    def _report(self) -> None:
        self.footer.begin_request()
        pairs = self._pairs()
        pages = ask_pages(self, [str(pair.result.name) for pair in pairs])
        if not pages:
            return
        try:
            settings = self.settings(trains=False)
        except InputError as error:
            self.footer.refuse(str(error))
            return
        images = [
            (pair.target, ToReport(page, pair.target.source, pair.clean, pair.record))
            for pair, page in zip(pairs, pages, strict=True)
        ]
        self.controller.report(images, settings)

    def _copy(self) -> None:
        request = self._request()
        if request is None:
            return
        try:
            command = command_line(*request, self.save.place)
        except InputError as error:
            self.footer.refuse(str(error))
        else:
            QGuiApplication.clipboard().setText(command)
            self.footer.answer([f'copied to the clipboard: {command}'])

    def _estimate(self) -> None:
        self.footer.begin_request()
        try:
            self.controller.estimate(self._targets_now())
        except InputError as error:
            self.footer.refuse(str(error))

    def _calibrate(self) -> None:
        self.footer.begin_request()
        try:
            dark, flat = (self._source_of(layer) for layer in self.noise.calibration.layers())
        except InputError as error:
            self.footer.refuse(str(error))
        else:
            self.controller.calibrate(dark, flat)

    def _source_of(self, layer: Any) -> ImageSource | None:
        """The image in a layer, with the axes in the table."""
        if layer is None:
            return None
        return target_of(layer, self.layers.axes_of(layer).currentText()).source

    def _targets_now(self) -> list[Target]:
        return [self.region.restricted(target) for target in self.layers.targets()]

    def _request(
        self, *, trains: bool = True, saves: bool = False
    ) -> tuple[list[Target], DenoiseSettings] | None:
        self.footer.begin_request()
        try:
            targets, settings = self._targets_now(), self.settings(trains=trains)
            place = self.save.place if saves and self._is_idle() else ''
            return saved_to(targets, place, settings), settings
        except InputError as error:
            self.footer.refuse(str(error))
            return None

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
            button.enabled = on[button]  # enabled ones first: one of them then gets the focus
        self.reading.setText(self.layers.words())
        self.reading.setVisible(bool(self.reading.text()))
        self.compare.follow(idle)
        self.model.show_status(status)
        self.pause.text = 'Resume' if status.run.phase is Phase.PAUSED else 'Pause'

    def _build(self) -> None:
        self.setStyleSheet(STYLE)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setSpacing(8)
        column.addWidget(self.offer)
        column.addWidget(self.layers)
        column.addWidget(self.reading)
        column.addWidget(Collapsible('Region', self.region.form.native, _REGION_TIP))
        column.addWidget(self.help.titled(heading('Noise model'), Page.NOISE))
        column.addWidget(self.noise)
        column.addWidget(self.help.titled(heading('Denoise'), Page.PANEL))
        column.addWidget(self.form)
        column.addWidget(self.chart)
        column.addWidget(self.help.titled(heading('Compare'), Page.QUALITY))
        column.addWidget(self.compare)
        column.addWidget(self.help.titled(heading('Model'), Page.PANEL))
        column.addWidget(self.model)
        column.addWidget(self.copy.native)
        column.addStretch(1)
        self.column = VerticalScroll(inner)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.column, 1)
        layout.addWidget(self.footer)
        order_tabs(column, self.footer.layout())
        self._explain()

    def _explain(self) -> None:
        """Which page of the help explains which part."""
        explain, form = self.help.explain, self.form
        explain(Page.PANEL, self)
        explain(Page.AXES, self.layers, self.reading)
        explain(Page.NOISE, self.noise)
        explain(Page.CORRELATION, self.noise.correlation)
        explain(Page.CONTEXT, form.context)
        explain(Page.SPEED, form.seconds, form.device)
        explain(Page.MEMORY, self.save.row)
        explain(Page.QUALITY, self.compare)
        self.help.hint_at_key()
