"""A part of the panel that folds away: what is folded is left out by Tab too."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QWidget
from superqt import QCollapsible

_OPEN, _CLOSED = (
    '\N{BLACK DOWN-POINTING SMALL TRIANGLE}',
    '\N{BLACK RIGHT-POINTING SMALL TRIANGLE}',
)
_INDENT = 12
_STYLE = """
QPushButton { text-align: left; }
QPushButton:checked { background-color: rgba(127, 135, 144, 35%); }
"""
"""Open, the title is a title: napari's colour of a pressed button would be too much."""
_ANY_HEIGHT = (1 << 24) - 1
"""Qt's QWIDGETSIZE_MAX."""


class Fold(QCollapsible):
    """A title that shows and hides what is below it, at a click or with the space bar.

    superqt folds by a height of 0, where Tab still goes, and draws the triangles in the colours
    of the theme of that moment. Here the content is hidden, and the triangles are text.

    Parameters
    ----------
    title : str
        Always visible.
    content : QWidget
        The part that folds away; folded at first.
    tip : str
        Tooltip of the title.
    parent : QWidget, optional
        Qt parent.
    """

    def __init__(
        self, title: str, content: QWidget, tip: str = '', parent: QWidget | None = None
    ) -> None:
        super().__init__(title, parent, _no_icon(), _no_icon())
        self._title = title
        self.setDuration(0)
        self.content().deleteLater()
        content.layout().setContentsMargins(_INDENT, 0, 0, 0)
        self.setContent(content)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.toggleButton().setStyleSheet(_STYLE)
        self.toggleButton().setIconSize(QSize(1, 1))
        self.toggleButton().setToolTip(tip)
        self.toggled.connect(self._show)
        self.collapse(animate=False)

    def _show(self, on: bool) -> None:
        self.content().setMaximumHeight(_ANY_HEIGHT)
        self.content().setVisible(on)
        self.setText(f'{_OPEN if on else _CLOSED}  {self._title}')
        self.toggleButton().setAccessibleName(f'{self._title}, {"open" if on else "closed"}')


def _no_icon() -> QIcon:
    """An icon that shows nothing; PySide6 takes an empty `QIcon` for no icon at all."""
    nothing = QPixmap(1, 1)
    nothing.fill(Qt.GlobalColor.transparent)
    return QIcon(nothing)
