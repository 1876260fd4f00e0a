"""The form for the noise model: its family, its parameters, and the estimated noise."""

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
from napari_noise2score.noise.estimate.noise_fit import NoiseFit
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
_ESTIMATED = 'estimated'
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
        self._fits: list[NoiseFit] = []  # not the estimates, which hold their images
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
        """The chosen noise model.

        Raises
        ------
        InputError
            If a parameter is not a number, or out of its range.
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
        """Maps of the pixels, if offset and read noise are still the measured values."""
        if self._maps is None or name != PoissonGaussian.name:
            return None
        shown = (self.fields[name, key].value for key in ('offset', 'read_noise'))
        return self._maps if tuple(shown) == self._filled_in else None

    def show_estimates(self, estimates: Sequence[Estimated], requested: bool) -> None:
        """Show estimates in words, and fill in the parameters of the first one.

        Values of the user are replaced only if the user has ``requested`` the estimate.
        """
        text = estimate_words(estimates)
        fills = requested or self.family.value == AUTO
        if fills and len(estimates) > 1 and self.family.value != AUTO:
            text += '\nThe parameters above are those of the first estimate in this list.'
        self.words.setText(text)
        self.words.setVisible(bool(text))
        if not fills:
            return
        self._fits = [estimate.fit for estimate in estimates]
        self._draw()
        for edit in self.fields.values():
            edit.value = ''
        for name in FAMILIES:
            self._fill(name)
        self._family_chosen(self.family.value)

    def show_calibration(self, calibration: Calibration) -> None:
        """Show the noise from calibration frames, and fill in its parameters.

        The field of a parameter that was not measured is empty: the parameter is then estimated.
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
            edit.native.setPlaceholderText(_ESTIMATED)
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
        """Fill in the parameters of a family from the first estimate, if it has them."""
        if not self._fits:
            return
        try:
            family = NoiseRequest(name).resolve(self._fits[0])
        except InputError:  # no photon noise in the image: the field of the gain stays empty
            return
        for parameter, text in family.words(5).items():
            self.fields[name, parameter].value = text

    def _draw(self) -> None:
        """Draw the measured variances of the first channel, and the chosen noise model."""
        if not self._fits:
            self.chart.show_curves(None)
            return
        fit = self._fits[0]
        try:
            family = self.request().resolve(fit)
        except InputError:  # a number is not complete yet: the curve stays
            return
        self.chart.show_curves(photon_transfer(fit, family))

    def _family_chosen(self, name: str) -> None:
        if name == AUTO:
            name = self._fits[0].family.name if len(self._fits) == 1 else ''
        self._show_fields(name)
        self._draw()

    def _show_fields(self, name: str | None) -> None:
        self._shown = name
        for (family, _), edit in self.fields.items():
            edit.visible = family == name

    def _edited(self, text: str) -> None:
        """Choose the family of an automatic noise model when its parameters are edited."""
        if self.family.value == AUTO and self._shown:
            self.family.value = self._shown
        self._draw()
        self.edited.emit()


def _parameters() -> list[Setting]:
    """The parameters of all families, as text fields: an empty parameter is estimated."""
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
