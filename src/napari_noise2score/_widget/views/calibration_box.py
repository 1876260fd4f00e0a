"""Choice of the layers with calibration frames, and the measured noise."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import PushButton
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_noise2score._widget.control.messages import calibration_words
from napari_noise2score._widget.views.form import form_of, layer_menu
from napari_noise2score._widget.views.wrapped_text import WrappedText
from napari_noise2score.noise.calibration.calibrate import Calibration

_NONE = 'None'
_DARK_TIP = (
    'Frames that were acquired without light: offset and read noise are measured on them. '
    'Several frames are better than one, because they separate a fixed pattern of the offset '
    'from the noise. Their size may differ from that of the image; with 20 or more frames of the '
    'size of the image, the noise of each pixel is measured too (sCMOS).'
)
_FLAT_TIP = (
    'Frames with even illumination, such as an empty field, two or more at each light level, not '
    'saturated: the gain is measured on them. If there is only one light level, dark frames are '
    'needed too.'
)
_BUTTON_TIP = (
    'Measures gain, offset and read noise on the calibration frames (a few seconds) and fills '
    'them in above, where you can change them. Parameters that cannot be measured on the frames '
    'are estimated from the image.'
)


class CalibrationBox(QWidget):
    """Menus of the Image layers of the viewer.

    ``words`` is a label for the measured noise. It is not inside this box, because a collapsible
    part does not change its height with its text.

    Parameters
    ----------
    parent : QWidget, optional
        Qt parent.
    """

    wants_calibration = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.dark = layer_menu(Image, 'dark', 'Dark frames', _NONE, _DARK_TIP)
        self.flat = layer_menu(Image, 'flat', 'Flat field', _NONE, _FLAT_TIP)
        self.calibrate = PushButton(text='Calibrate', tooltip=_BUTTON_TIP)
        self.words = WrappedText('Noise of the calibration frames')
        self.words.hide()
        self.form = form_of([self.dark, self.flat])
        layout = QVBoxLayout(self)
        layout.addWidget(self.form.native)
        layout.addWidget(self.calibrate.native)
        self.calibrate.changed.connect(lambda: self.wants_calibration.emit())

    def layers(self) -> tuple[Any, Any]:
        """The layers with dark frames and with the flat field; None if no layer is chosen."""
        return self.dark.value, self.flat.value

    def show_calibration(self, calibration: Calibration) -> None:
        """Show the measured noise."""
        self.words.setText(calibration_words(calibration))
        self.words.show()
