"""The form for the noise model: its family, its parameters, and what was estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from magicgui.widgets import LineEdit, PushButton
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_noise2score._widget.control.messages import estimate_words, parameter_label
from napari_noise2score._widget.jobs import Estimated
from napari_noise2score._widget.views.calibration_box import CalibrationBox
from napari_noise2score._widget.views.chart import Chart, photon_transfer
from napari_noise2score._widget.views.collapsible import Collapsible
from napari_noise2score._widget.views.form import form_for, narrow, widget_for
from napari_noise2score._widget.views.wrapped_text import WrappedText
from napari_noise2score.errors import InputError
from napari_noise2score.fields import Setting, described
from napari_noise2score.noise.calibration.calibrate import Calibration
from napari_noise2score.noise.digits import digits
from napari_noise2score.noise.families import FAMILIES, PoissonGaussian
from napari_noise2score.noise.pixels.maps import PixelMaps
from napari_noise2score.noise.request import AUTO, NoiseRequest

_ESTIMATE_TIP = (
    'Estimates the noise of the ticked layers from their grey levels (a few seconds) and fills '
    'in the parameters, which you can then change.'
)
_CALIBRATION_TIP = (
    'Measure offset, read noise and gain on calibration frames, instead of estimating them from '
    'the image. Click to open or close.'
)
_LEFT_OPEN = 'estimated'
_INDENT = 12


class NoiseForm(QWidget):
    """Choice of a noise family with its parameters; an empty parameter is estimated.

    Parameters
    ----------
    parent : QWidget, optional
        Qt parent.
    """

    wants_estimate = Signal()
    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fits: list[Estimated] = []
        self._shown: str | None = None
        chosen, correlation = described(NoiseRequest())
        self.family = widget_for(chosen, chosen.value)
        self.family.native.setAccessibleName(chosen.label)
        narrow(self.family)
        self.form = form_for([*_parameters(), correlation])
        self.correlation = self.form[correlation.name]
        self.estimate = PushButton(text='Estimate', tooltip=_ESTIMATE_TIP)
        self.calibration = CalibrationBox()
        self.fields: dict[tuple[str, str], LineEdit] = {
            (name, one.name): self.form[_widget_name(name, one.name)]
            for name, family in FAMILIES.items()
            for one in described(family)
        }
        self.words = WrappedText('Estimated noise')
        self.words.hide()
        self.chart = Chart()
        self._maps: PixelMaps | None = None
        self._filled_in: tuple[str, ...] = ()
        self._build()
        self.family.changed.connect(self._family_chosen)
        self.family.changed.connect(lambda: self.edited.emit())
        self.estimate.changed.connect(lambda: self.wants_estimate.emit())
        self._show_fields(None)

    def request(self) -> NoiseRequest:
        """The noise model that is asked for.

        Raises
        ------
        InputError
            If a parameter is no number, or out of its range.
        """
        name = self.family.value
        if name == AUTO:
            return NoiseRequest(correlation=self.correlation.value)
        values: dict[str, float] = {}
        for (family, parameter), edit in self.fields.items():
            text = edit.value.strip()
            if family != name or not text:
                continue
            try:
                values[parameter] = float(text)
            except ValueError:
                raise InputError(
                    f'{parameter_label(parameter)} is {text!r}; enter a number, or leave the '
                    'field empty to have it estimated'
                ) from None
        return NoiseRequest(name, values, self.correlation.value, self._maps_for(name))

    def _maps_for(self, name: str) -> PixelMaps | None:
        """Maps of the pixels, while offset and read noise are those that were filled in."""
        if self._maps is None or name != PoissonGaussian.name:
            return None
        shown = (self.fields[name, key].value for key in ('offset', 'read_noise'))
        return self._maps if tuple(shown) == self._filled_in else None

    def show_estimates(self, estimates: Sequence[Estimated], asked: bool) -> None:
        """Show estimates in words, and fill in the parameters with the first.

        What the user has chosen is only overwritten when the estimate was ``asked`` for.
        """
        text = estimate_words(estimates)
        fills = asked or self.family.value == AUTO
        if fills and len(estimates) > 1 and self.family.value != AUTO:
            text += '\nThe parameters above are those of the first estimate in this list.'
        self.words.setText(text)
        self.words.setVisible(bool(text))
        if not fills:
            return
        self._fits = list(estimates)
        self._draw()
        for edit in self.fields.values():
            edit.value = ''
        for name in FAMILIES:
            self._fill(name)
        self._family_chosen(self.family.value)

    def show_calibration(self, calibration: Calibration) -> None:
        """Show what was measured on calibration frames, and fill it in.

        A parameter that was not measured is left open, to be estimated.
        """
        self.calibration.show_calibration(calibration)
        name = PoissonGaussian.name
        for (family, parameter), edit in self.fields.items():
            if family == name:
                value = calibration.parameters.get(parameter)
                step = calibration.errors.get(parameter, 0.0) / 10
                edit.value = '' if value is None else digits(value, step, 5)
        self._maps = calibration.maps
        self._filled_in = tuple(self.fields[name, key].value for key in ('offset', 'read_noise'))
        if self.family.value == name:
            self._draw()
            self.edited.emit()
        self.family.value = name

    def _build(self) -> None:
        first = QHBoxLayout()
        first.addWidget(self.family.native, 1)
        first.addWidget(self.estimate.native)
        for edit in self.fields.values():
            edit.native.setPlaceholderText(_LEFT_OPEN)
            edit.native.textEdited.connect(self._edited)
        self.form.margins = (_INDENT, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(first)
        layout.addWidget(self.form.native)
        layout.addWidget(Collapsible('Calibration', self.calibration, _CALIBRATION_TIP))
        layout.addWidget(self.calibration.words)
        layout.addWidget(self.chart)
        layout.addWidget(self.words)

    def _fill(self, name: str) -> None:
        """Parameters of a family from the first estimate, where it has them."""
        if not self._fits:
            return
        try:
            family = NoiseRequest(name).resolve(self._fits[0].fit)
        except InputError:  # no photon noise in the image: its gain stays open
            return
        for parameter, text in family.words(5).items():
            self.fields[name, parameter].value = text

    def _draw(self) -> None:
        """What was measured on the first channel, and the noise model that is asked for."""
        if not self._fits:
            self.chart.show_curves(None)
            return
        fit = self._fits[0].fit
        try:
            family = self.request().resolve(fit)
        except InputError:  # half typed: the curve stays
            return
        self.chart.show_curves(photon_transfer(fit, family))

    def _family_chosen(self, name: str) -> None:
        if name == AUTO:
            name = self._fits[0].fit.family.name if len(self._fits) == 1 else ''
        self._show_fields(name)
        self._draw()

    def _show_fields(self, name: str | None) -> None:
        self._shown = name
        for (family, _), edit in self.fields.items():
            edit.visible = family == name

    def _edited(self, text: str) -> None:
        """An estimate that is changed by hand is no longer automatic."""
        if self.family.value == AUTO and self._shown:
            self.family.value = self._shown
        self._draw()
        self.edited.emit()


def _parameters() -> list[Setting]:
    """The parameters of all families; an empty one is estimated, so it is a line of text."""
    return [
        replace(
            one,
            name=_widget_name(name, one.name),
            value=None,
            unit='',
            details='If this is empty, the value is estimated.',
        )
        for name, family in FAMILIES.items()
        for one in described(family)
    ]


def _widget_name(family: str, parameter: str) -> str:
    return f'{family} {parameter}'
