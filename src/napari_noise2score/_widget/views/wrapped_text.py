"""Text that wraps at any width, also in long file names, and can be selected with the mouse."""

from __future__ import annotations

import math

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QTextOption
from qtpy.QtWidgets import QFrame, QSizePolicy, QTextEdit, QWidget


class WrappedText(QTextEdit):
    """Text with the height of its lines. A QLabel would truncate words longer than a line.

    Parameters
    ----------
    name : str
        Name for screen readers.
    text : str
        Plain text.
    highest : int, optional
        Maximum height, pixels; a higher text scrolls, also by keyboard.
    parent : QWidget, optional
        Qt parent.
    """

    def __init__(
        self,
        name: str,
        text: str = '',
        highest: int | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._text = ''
        self.setReadOnly(True)
        self.setAccessibleName(name)
        self._highest = highest
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        if highest is None:
            self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
            self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabChangesFocus(True)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setText(text)

    def text(self) -> str:
        """The original text."""
        return self._text

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        """Show another plain text."""
        if text != self._text:
            before = self.heightForWidth(self.width())
            self._text = text
            self.setPlainText(text.replace(' %', '\N{NO-BREAK SPACE}%'))
            if self.heightForWidth(self.width()) != before:  # a new layout takes time
                self.updateGeometry()

    def hasHeightForWidth(self) -> bool:  # noqa: N802 - Qt's name
        """True: the height depends on the width."""
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802 - Qt's name
        """Height of all lines with the margins of the style."""
        document = self.document().clone()
        document.setTextWidth(max(1, width - self._around(self.width(), self.viewport().width())))
        around = self._around(self.height(), self.viewport().height())
        height = math.ceil(document.size().height()) + around
        return height if self._highest is None else min(height, self._highest)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Size at the current width."""
        return QSize(super().sizeHint().width(), self.heightForWidth(self.width()))

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Any width is accepted."""
        return QSize(1, 1)

    @staticmethod
    def _around(outer: int, inner: int) -> int:
        return max(0, outer - inner)
