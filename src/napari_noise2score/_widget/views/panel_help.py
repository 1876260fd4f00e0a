"""Help in the panel: a button, links beside the titles, and F1 for every control."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import PushButton
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QCursor, QKeySequence
from qtpy.QtWidgets import QApplication, QLabel, QShortcut, QToolTip, QWidget

from napari_noise2score._widget.control.pages import Page, Pages
from napari_noise2score._widget.views.help_window import HelpWindow
from napari_noise2score._widget.views.style import ACCENT

_TIP = (
    'Open the help in a window beside napari. After an error it opens the page on that error. F1 '
    'opens the page on the control that you point at, or that has the keyboard.'
)
_HINT = ' (F1: more)'
_END = '</qt>'
"""End of a tooltip that napari has made rich text."""
_PAGE = 'noise2score_page'
"""Property of a widget: the page that explains it and what is in it."""


class PanelHelp(QObject):
    """Opens the page of the help that explains a part of the panel.

    Parameters
    ----------
    panel : QWidget
        The panel.
    """

    def __init__(self, panel: QWidget) -> None:
        super().__init__(panel)
        self._panel = panel
        self._window: HelpWindow | None = None
        self._error = ''
        self.pages = Pages()
        self.button = PushButton(text='Help', tooltip=_TIP)
        self.button.changed.connect(lambda: self.open(self._error))
        self._key = QShortcut(QKeySequence('F1'), panel)
        self._key.activated.connect(self.explain_current)
        self._listen(False)
        panel.installEventFilter(self)

    @property
    def window(self) -> HelpWindow:
        """The window; it is made when it is used first."""
        if self._window is None:
            self._window = HelpWindow(self.pages, self._panel)
        return self._window

    def open(self, page: str = '') -> None:
        """Show a page; the first one if none is given."""
        self.window.show_name(page)

    def close(self) -> None:
        """Close the window, if it is open."""
        if self._window is not None:
            self._window.close()

    def explain(self, page: Page, *widgets: Any) -> None:
        """Let a page explain these widgets and what is in them."""
        for widget in widgets:
            native = getattr(widget, 'native', widget)
            native.setProperty(_PAGE, str(page))

    def titled(self, label: QLabel, page: Page) -> QLabel:
        """A title with a link to the page that explains the part below it."""
        title = label.text()
        label.setText(f'{title}&nbsp;&nbsp;<a href="{page}" style="color:{ACCENT}">Help</a>')
        label.setTextInteractionFlags(Qt.TextInteractionFlag.LinksAccessibleByMouse)
        label.setAccessibleName(title)
        label.setToolTip(f'Help: open the page on "{title}". F1 on any control does the same.')
        label.linkActivated.connect(self.open)
        self.explain(page, label)
        return label

    def hint_at_key(self) -> None:
        """End the tooltips of all widgets that a page explains with the key to press."""
        for widget in self._panel.findChildren(QWidget):
            tip = widget.toolTip()
            if tip and self.page_of(widget) and 'F1' not in tip:
                end = _END if tip.endswith(_END) else ''
                widget.setToolTip(f'{tip.removesuffix(end)}{_HINT}{end}')

    def page_of(self, widget: QWidget | None) -> str:
        """The page that explains a widget, or the smallest part around it; empty if none does."""
        while widget is not None and self._panel.isAncestorOf(widget):
            page = widget.property(_PAGE)
            if page:
                return str(page)
            widget = widget.parentWidget()
        return ''

    def explain_current(self) -> None:
        """Open the page on the control whose tooltip is shown, else on that with the keyboard."""
        at = QApplication.widgetAt(QCursor.pos()) if QToolTip.isVisible() else None
        page = self.page_of(at) or self.page_of(QApplication.focusWidget())
        self.open(page or self._error or Page.PANEL)

    def follow_error(self, page: str) -> None:
        """Let the button open this page, on an error; the first page again if it is empty."""
        self._error = page

    def eventFilter(self, watched: Any, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Let F1 work for the control below the mouse, wherever the keyboard is."""
        if event.type() in (QEvent.Type.Enter, QEvent.Type.Leave):
            self._listen(event.type() == QEvent.Type.Enter)
        return False

    def _listen(self, everywhere: bool) -> None:
        context = Qt.ShortcutContext
        self._key.setContext(
            context.WindowShortcut if everywhere else context.WidgetWithChildrenShortcut
        )
