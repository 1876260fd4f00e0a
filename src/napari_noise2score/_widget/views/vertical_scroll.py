"""A column that scrolls up and down, and is never narrower than what is in it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtWidgets import QAbstractSpinBox, QFrame, QLineEdit, QScrollArea, QWidget


class Column(QScrollArea):
    """Scrolls a widget vertically only.

    Parameters
    ----------
    inner : QWidget
        What is scrolled.
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
        """As wide as the widget in it needs, in the style of now, and its scroll bar."""
        width = self.widget().minimumSizeHint().width()
        bar = self.verticalScrollBar().sizeHint().width()
        return QSize(width + bar, super().minimumSizeHint().height())

    def eventFilter(self, watched: Any, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """What is scrolled needs another width: so does the column."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def show_part(self, widget: QWidget) -> None:
        """Scroll to a widget once its place is known, unless something is being typed in here."""
        self._wanted = widget
        QTimer.singleShot(0, self._scroll)

    def _scroll(self) -> None:
        focus = self.window().focusWidget()
        typing = isinstance(focus, (QAbstractSpinBox, QLineEdit)) and self.isAncestorOf(focus)
        if self._wanted is not None and not typing:
            self.ensureWidgetVisible(self._wanted)
