"""The offer to continue a training that was interrupted by a crash; hidden while there is none."""

from __future__ import annotations

from magicgui.widgets import PushButton
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_noise2score._widget.views.wrapped_text import WrappedText

_CONTINUE_TIP = (
    'Continue the training where it was saved last, with the settings that it had, then add the '
    'denoised layers.'
)
_DELETE_TIP = 'Delete what was saved of this training. It cannot be continued after that.'


class OfferBox(QWidget):
    """A question and two buttons.

    Parameters
    ----------
    parent : QWidget, optional
        Qt parent.
    """

    accepted = Signal()
    declined = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = WrappedText('Interrupted training')
        self.resume = PushButton(text='Continue', tooltip=_CONTINUE_TIP)
        self.delete = PushButton(text='Delete', tooltip=_DELETE_TIP)
        row = QHBoxLayout()
        for button in (self.resume, self.delete):
            row.addWidget(button.native, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addLayout(row)
        self.resume.changed.connect(lambda: self.accepted.emit())
        self.delete.changed.connect(lambda: self.declined.emit())
        self.hide()

    def offer(self, text: str) -> None:
        """Ask a question; an empty text hides it."""
        self.text.setText(text)
        self.setVisible(bool(text))
