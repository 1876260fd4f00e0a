"""The window of the help: a page, and the buttons to go through the pages."""

from __future__ import annotations

from magicgui.widgets import PushButton
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_noise2score._widget.control.pages import Pages
from napari_noise2score._widget.views.help_browser import HelpBrowser
from napari_noise2score._widget.views.wrapped_text import WrappedText

_BACK_TIP = 'Go back to the page before this one, where you left it (Alt+Left).'
_HOME_TIP = 'Go to the first page of the help (Alt+Home).'
_SIZE = QSize(720, 640)


class HelpWindow(QWidget):
    """Shows pages of the help beside napari; it does not block it.

    Parameters
    ----------
    pages : Pages
        The pages.
    parent : QWidget
        Qt parent, with which the window is closed and whose style it has.
    """

    def __init__(self, pages: Pages, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle('Noise2Score help')
        self._pages = pages
        self.browser = HelpBrowser(pages)
        self.back = PushButton(text='Back', tooltip=_BACK_TIP)
        self.home = PushButton(text='Home', tooltip=_HOME_TIP)
        self.back.native.setShortcut('Alt+Left')
        self.home.native.setShortcut('Alt+Home')
        self.note = WrappedText('Note on the page')
        self.note.hide()
        row = QHBoxLayout()
        row.addWidget(self.back.native)
        row.addWidget(self.home.native)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.note)
        layout.addWidget(self.browser, 1)
        self.back.changed.connect(lambda: self.browser.back())
        self.home.changed.connect(lambda: self.show_name(''))
        self.browser.moved.connect(self._moved)
        self.browser.lost.connect(self._lost)
        self._moved()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Size at which lines have a length that is easy to read."""
        return _SIZE

    def show_name(self, name: str) -> None:
        """Show a page by its name, such as ``'how-to/axes.md#letters'``; the first one for ``''``.

        If there is no such page, the first one is shown, with a line that says so.
        """
        wanted, _, anchor = name.partition('#')
        page, start = self._pages.find(wanted) if wanted else None, self._pages.start
        if page is not None:
            self.browser.show_page(page, anchor)
        elif start is not None:
            self.browser.show_page(start)
            if wanted:
                self._say(f'There is no page {wanted} here; this is the first page.')
        else:
            self._say('No pages of the help were found in this installation.')
        self.show()
        self.raise_()
        self.activateWindow()
        self.browser.setFocus()

    def _moved(self) -> None:
        self._say('')
        self.back.enabled = self.browser.has_before

    def _lost(self, name: str) -> None:
        self._say(f'The page {name} is not a part of this help.')

    def _say(self, text: str) -> None:
        self.note.setText(text)
        self.note.setVisible(bool(text))
