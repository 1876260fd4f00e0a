"""A collapsible part of the panel; Tab skips its content when it is closed."""

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
"""An open title is a heading: napari's colour of a pressed button would have too much contrast."""
_ANY_HEIGHT = (1 << 24) - 1
"""Qt's QWIDGETSIZE_MAX."""


class Collapsible(QCollapsible):
    """A title that shows and hides its content, with a click or with the space bar.

    A closed part of superqt has the height 0, so Tab still reaches the content; its triangles have
    the colours of the theme at its creation. Here the content is hidden, and the triangles are
    text.

    Parameters
    ----------
    title : str
        The title, which is always visible.
    content : QWidget
        The content; initially hidden.
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
    """A transparent icon; for PySide6 an empty `QIcon` is the same as no argument."""
    pixmap = QPixmap(1, 1)
    pixmap.fill(Qt.GlobalColor.transparent)
    return QIcon(pixmap)
