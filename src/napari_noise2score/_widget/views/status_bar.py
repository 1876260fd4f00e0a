"""Status bar below the panel, always visible: buttons for a job, its progress, and messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from napari_noise2score._widget.control.events import Status
from napari_noise2score._widget.control.pages import page_of_error
from napari_noise2score._widget.views.wrapped_text import WrappedText

_STEPS = 1000
_HIGHEST = 120
"""Maximum height of the messages, pixels; higher messages scroll."""


class StatusBar(QFrame):
    """Buttons in a row, and below them progress, status and messages.

    Parameters
    ----------
    buttons : sequence of magicgui.widgets.PushButton
        Buttons from left to right.
    help_button : magicgui.widgets.PushButton
        A narrower button, at their right.
    parent : QWidget, optional
        Qt parent.
    """

    told = Signal(str)
    """An error is shown; the page of the help on it, or empty when it is cleared."""

    def __init__(
        self, buttons: Sequence[Any], help_button: Any, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName('steering')  # the name in the style sheet
        self._of_results: list[str] = []
        self._of_request: list[str] = []
        self.progress = QProgressBar()
        self.progress.setRange(0, _STEPS)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName('Progress')
        self.status = WrappedText('Status of the run')
        self.messages = WrappedText('Messages', highest=_HIGHEST)
        self.messages.hide()
        row = QHBoxLayout()
        for button in buttons:
            row.addWidget(button.native, 1)
        row.addWidget(help_button.native)
        layout = QVBoxLayout(self)
        layout.setSpacing(6)
        layout.addLayout(row)
        for widget in (self.progress, self.status, self.messages):
            layout.addWidget(widget)

    def show_status(self, status: Status) -> None:
        """Show the status and the progress of the job."""
        self.status.setText(status.text)
        self.progress.setUpdatesEnabled(False)  # otherwise the bar and the window are both painted
        self.progress.setValue(round(_STEPS * status.fraction))
        self.progress.setUpdatesEnabled(True)

    def show_notes(self, notes: Sequence[str]) -> None:
        """Add notes on a result; they stay until other results are asked for."""
        self._of_results += (f'Note: {note}' for note in notes)
        self._show_messages()

    def answer(self, sentences: Sequence[str]) -> None:
        """Add what is said to the present request."""
        self._of_request += (f'Note: {sentence}' for sentence in sentences)
        self._show_messages()

    def show_error(self, text: str) -> None:
        """Add an error, and show it as a notification of napari."""
        self._of_request.append(f'Error: {text}')
        self._show_messages()
        self.told.emit(page_of_error(text))
        show_error(text)

    def withdraw(self, text: str) -> None:
        """Remove an error that is gone."""
        if (line := f'Error: {text}') in self._of_request:
            self._of_request.remove(line)
            self._show_messages()
            errors = [text for text in self._of_request if text.startswith('Error: ')]
            self.told.emit(page_of_error(errors[-1].removeprefix('Error: ')) if errors else '')

    def refuse(self, text: str) -> None:
        """Show why a request cannot be carried out."""
        self.status.setText('Not done; see below.')
        self.show_error(text)

    def begin_request(self) -> None:
        """Remove the errors of the last request and the answers to it."""
        self._of_request.clear()
        self._show_messages()
        self.told.emit('')

    def begin_results(self) -> None:
        """Remove the notes on the last results."""
        self._of_results.clear()
        self._show_messages()

    def _show_messages(self) -> None:
        text = '\n'.join(dict.fromkeys(self._of_request + self._of_results))
        self.messages.setText(text)
        self.messages.setVisible(bool(text))
