"""A vertical scroll area that is never narrower than its content."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtWidgets import QAbstractSpinBox, QFrame, QLineEdit, QScrollArea, QWidget


class VerticalScroll(QScrollArea):
    """Scrolls a widget vertically only.

    Parameters
    ----------
    inner : QWidget
        The content.
    parent : QWidget, optional
        Qt parent.
    """

    def __init__(self, inner: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._wanted: QWidget | None = None
        self.setWidget(inner)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Width of the content in the current style plus the scroll bar."""
        width = self.widget().minimumSizeHint().width()
        bar = self.verticalScrollBar().sizeHint().width()
        return QSize(width + bar, super().minimumSizeHint().height())

    def eventFilter(self, watched: Any, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Update the width if the width of the content changes."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def show_part(self, widget: QWidget) -> None:
        """Scroll to a widget when its position is known, unless the user is typing."""
        self._wanted = widget
        QTimer.singleShot(0, self._scroll)

    def _scroll(self) -> None:
        focus = self.window().focusWidget()
        typing = isinstance(focus, (QAbstractSpinBox, QLineEdit)) and self.isAncestorOf(focus)
        if self._wanted is not None and not typing:
            self.ensureWidgetVisible(self._wanted)
