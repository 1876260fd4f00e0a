"""A part of the panel that folds away: what is folded is left out by Tab too."""

from __future__ import annotations

from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

_OPEN, _CLOSED = (
    '\N{BLACK DOWN-POINTING SMALL TRIANGLE}',
    '\N{BLACK RIGHT-POINTING SMALL TRIANGLE}',
)
_INDENT = 12


class Fold(QWidget):
    """A title that shows and hides what is below it, at a click or with the space bar.

    Parameters
    ----------
    title : str
        Always in sight.
    content : QWidget
        What folds away; folded at first.
    tip : str
        What is found in it.
    parent : QWidget, optional
        Qt parent.
    """

    def __init__(
        self, title: str, content: QWidget, tip: str = '', parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._title, self.content, self.is_open = title, content, False
        self.button = QPushButton()
        self.button.setStyleSheet('text-align: left;')
        self.button.setToolTip(tip)
        self.button.clicked.connect(lambda: self.open(not self.is_open))
        content.layout().setContentsMargins(_INDENT, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.button)
        layout.addWidget(content)
        self.open(False)

    def open(self, on: bool = True) -> None:
        """Show the content, or fold it away."""
        self.is_open = on
        self.button.setText(f'{_OPEN if on else _CLOSED}  {self._title}')
        self.button.setAccessibleName(f'{self._title}, {"open" if on else "closed"}')
        self.content.setVisible(on)
