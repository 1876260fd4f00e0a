"""The form for the training and the result: how long, from what, where, in which form."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import CheckBox, ComboBox, SpinBox
from qtpy.QtWidgets import QComboBox, QFormLayout, QVBoxLayout, QWidget

from napari_noise2score._widget.fold import Fold
from napari_noise2score._widget.jobs import RunSettings
from napari_noise2score._widget.preferences import Preferences
from napari_noise2score._widget.words import CORRECTIONS
from napari_noise2score.noise.choose import NoiseRequest
from napari_noise2score.noise.correct import Correction
from napari_noise2score.settings import StartFrom

_DEVICES = [
    ('Automatic', 'auto'),
    ('CPU', 'cpu'),
    ('NVIDIA GPU (cuda)', 'cuda'),
    ('Apple GPU (mps)', 'mps'),
]
_STARTS = [
    ('Pretrained weights', 'warm'),
    ('Nothing (from scratch)', 'scratch'),
    ('The model below', StartFrom.UNSAVED),
]
_APART = [
    ('All ticked layers', 'none'),
    ('Each layer', 'images'),
    ('Each channel', 'channels'),
    ('Each time point', 'times'),
]
_SLICES = [
    ('Slice by slice', 1),
    ('3D, 3 slices at once', 3),
    ('3D, 5 slices at once', 5),
    ('3D, 7 slices at once', 7),
]
_OUTPUTS = [
    ('32-bit real numbers', 'float32'),
    ('As the layer (rounded)', 'source'),
]
_CORRECTION_TIP = (
    'Formula that turns the score into clean grey levels. Automatic takes the one of the least '
    'estimated risk, mostly stabilised; chained is exact for photons with read noise. Changing it '
    'needs no new training: the slice in sight changes at once, press Correct for the layer.'
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
    'below goes on learning from these layers.'
)
_APART_TIP = (
    'What shares a score. One for all ticked layers learns from the most data and is mostly best; '
    'one for each layer, channel or time point suits what looks different. Each is trained for '
    'the training time.'
)
_SLICES_TIP = (
    'Slice by slice, or a 3D network that sees so many neighbouring slices of a z-stack at once. '
    'More tell more where structures go on from slice to slice; training steps and the correction '
    'take about 1.4 times as long with 3 slices, twice with 5, and the pretrained weights must '
    'first learn what the neighbours are worth. Needs an axis Z.'
)
_LIVE_TIP = (
    'While training, correct the slice that is looked at again and again in the preview layer. '
    'Takes up to a tenth of the training time.'
)
_DEVICE_TIP = (
    'Where to compute. Automatic takes a GPU if there is one; it learns many times more in the '
    'same time than the CPU.'
)
_OUTPUT_TIP = (
    'Numbers of the result. Real numbers keep everything. Those of the layer take less memory and '
    'disk; values are rounded, and those outside the range of the type are set to its end - how '
    'many is said below.'
)
_MORE_TIP = (
    'Formula of the correction, what the training begins with, neighbouring slices, device and '
    'numbers of the result. The defaults suit most images.'
)
_LONGEST_TIME = 7 * 24 * 3600


class SettingsForm(QWidget):
    """How to train and what to deliver; the seldom changed part folds away.

    Parameters
    ----------
    first : Preferences, optional
        Its first values; the built-in ones if not given.
    parent : QWidget, optional
        Qt parent.
    """

    def __init__(self, first: Preferences | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        default, first = RunSettings(), first or Preferences()
        self.seconds = SpinBox(
            value=first.seconds,
            min=0,
            max=_LONGEST_TIME,
            step=10,
            tooltip=_SECONDS_TIP,
        )
        self.live = CheckBox(text='Live preview', value=first.live, tooltip=_LIVE_TIP)
        self.correction = ComboBox(
            choices=[(label, form) for form, label in CORRECTIONS.items()],
            value=Correction.AUTO,
            tooltip=_CORRECTION_TIP,
        )
        self.start = ComboBox(choices=_STARTS, value=default.init, tooltip=_START_TIP)
        self.apart = ComboBox(choices=_APART, value=default.apart, tooltip=_APART_TIP)
        self.slices = ComboBox(choices=_SLICES, value=default.slices, tooltip=_SLICES_TIP)
        self.device = ComboBox(choices=_DEVICES, value=first.device, tooltip=_DEVICE_TIP)
        self.output = ComboBox(choices=_OUTPUTS, value=first.output, tooltip=_OUTPUT_TIP)
        above = form_of(('Training time (s)', self.seconds), ('', self.live))
        more = QWidget()
        more.setLayout(
            form_of(
                ('Correction', self.correction),
                ('Start from', self.start),
                ('One score for', self.apart),
                ('Network', self.slices),
                ('Device', self.device),
                ('Result', self.output),
            )
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(above)
        layout.addWidget(Fold('More settings', more, _MORE_TIP))

    def settings(self, noise: NoiseRequest) -> RunSettings:
        """What is asked for, with a noise model.

        Raises
        ------
        InputError
            If a setting is not acceptable.
        """
        return RunSettings(
            noise,
            self.correction.value,
            float(self.seconds.value),
            self.device.value,
            init=self.start.value,
            output=self.output.value,
            slices=self.slices.value,
            apart=self.apart.value,
        )


def form_of(*rows: tuple[str, Any]) -> QFormLayout:
    """Labels and widgets of magicgui, one row each; menus may be narrower than their texts."""
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for label, widget in rows:
        form.addRow(label, widget.native)
        widget.native.setAccessibleName(label)
        if isinstance(widget, ComboBox):
            narrow(widget)
    return form


def narrow(combo: ComboBox) -> None:
    """Let a menu be narrower than its longest text, so that the panel can be."""
    combo.native.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    combo.native.setMinimumContentsLength(10)
