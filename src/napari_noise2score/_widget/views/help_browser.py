"""A page of the help, shown without a browser and without a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, Qt, QUrl, Signal
from qtpy.QtGui import (
    QColor,
    QDesktopServices,
    QImage,
    QPalette,
    QTextBlock,
    QTextCursor,
    QTextDocument,
    QTextOption,
)
from qtpy.QtWidgets import QTextBrowser, QWidget

from napari_noise2score._widget.control.markdown import anchors, without_html
from napari_noise2score._widget.control.pages import Pages, slugs

_MARGIN = 12
_ON_DARK, _ON_LIGHT = '#9db4f5', '#2b50ad'
"""Colours of links with a contrast above 4.5 to the background of either theme."""
_ABOVE_HEADING = 16
"""Space above a heading, pixels."""


class HelpBrowser(QTextBrowser):
    """Shows Markdown pages of a folder; links to other places open in the system's browser.

    Parameters
    ----------
    pages : Pages
        The pages.
    parent : QWidget, optional
        Qt parent.
    """

    moved = Signal()
    """Another page is shown."""
    lost = Signal(str)
    """A link leads to a page that is not in the folder; its name."""

    def __init__(self, pages: Pages, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pages = pages
        self._before: list[tuple[QUrl, int]] = []
        self._anchor = ''
        self._width = 0
        self._stated: dict[str, str] = {}
        self.setOpenLinks(False)
        self.setAccessibleName('Page of the help')
        self.setWordWrapMode(QTextOption.WrapMode.WordWrap)
        self.document().setDocumentMargin(_MARGIN)
        self.anchorClicked.connect(self.follow)
        self.verticalScrollBar().actionTriggered.connect(self._scrolled)

    @property
    def has_before(self) -> bool:
        """Whether there is a page to go back to."""
        return bool(self._before)

    def show_page(self, path: Path, anchor: str = '') -> None:
        """Show a page, at the heading of this name if it has one."""
        url, before = QUrl.fromLocalFile(str(path)), self.source()
        if not before.isEmpty() and (url != before or anchor):
            self._before.append((before, self.verticalScrollBar().value()))
        self._load(url)
        self._anchor = anchor
        self.verticalScrollBar().setValue(0)
        self._scroll_to_anchor()
        self.moved.emit()

    def back(self) -> None:
        """Show the page before this one, where it was left."""
        if self._before:
            url, place = self._before.pop()
            self._load(url)
            self._anchor = ''
            self.verticalScrollBar().setValue(place)
            self.moved.emit()

    def follow(self, url: QUrl) -> None:
        """Go where a link leads."""
        if not url.isLocalFile():
            QDesktopServices.openUrl(url)
            return
        path = Path(url.toLocalFile())
        name = self._pages.name_of(path)
        page = self._pages.find(name)
        if page is None:
            self.lost.emit(name)
        else:
            self.show_page(page, url.fragment())

    def loadResource(self, kind: Any, name: QUrl) -> Any:  # noqa: N802 - Qt's name
        """A page or an image of the folder; nothing from elsewhere."""
        url = self.source().resolved(name) if name.isRelative() else name
        if not url.isLocalFile():
            return None
        if QTextDocument.ResourceType(kind) == QTextDocument.ResourceType.ImageResource:
            return self._fitting(QImage(url.toLocalFile()))
        if QTextDocument.ResourceType(kind) == QTextDocument.ResourceType.MarkdownResource:
            text = Path(url.toLocalFile()).read_text(encoding='utf-8')
            self._stated = anchors(text)
            return without_html(text)
        return super().loadResource(kind, url)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Fit the images to the new width."""
        super().resizeEvent(event)
        if self.viewport().width() != self._width:
            self._fit_images()
            self._scroll_to_anchor()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Give the links the colour of another theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.StyleChange, QEvent.Type.PaletteChange):
            self._colour_links()

    def _scrolled(self) -> None:
        """The reader has left the heading."""
        self._anchor = ''

    def _load(self, url: QUrl) -> None:
        if url != self.source():
            self.setSource(url, QTextDocument.ResourceType.MarkdownResource)
            self._space_headings()
            self._fit_images()
            self._colour_links()

    def _space_headings(self) -> None:
        with self._editing() as cursor:
            for block in list(self._headings()):
                style = block.blockFormat()
                style.setTopMargin(_ABOVE_HEADING)
                cursor.setPosition(block.position())
                cursor.setBlockFormat(style)

    def _scroll_to_anchor(self) -> None:
        block = self._place_of(self._anchor)
        if block is not None:
            self.setTextCursor(QTextCursor(block))
            top = self.document().documentLayout().blockBoundingRect(block).top()
            self.verticalScrollBar().setValue(max(0, round(top) - _ABOVE_HEADING // 2))

    def _place_of(self, anchor: str) -> QTextBlock | None:
        """The heading that has this name in links, or the paragraph that states it."""
        names = slugs(block.text() for block in self._headings())
        for block, name in zip(self._headings(), names, strict=True):
            if name == anchor:
                return block
        words = self._stated.get(anchor)
        begin = (block for block in self._blocks() if words and block.text().startswith(words))
        return next(begin, None)

    def _headings(self) -> Iterator[QTextBlock]:
        return (block for block in self._blocks() if block.blockFormat().headingLevel() > 0)

    def _blocks(self) -> Iterator[QTextBlock]:
        block = self.document().begin()
        while block.isValid():
            yield block
            block = block.next()

    def _fragments(self) -> Iterator[Any]:
        for block in self._blocks():
            place = block.begin()
            while not place.atEnd():
                yield place.fragment()
                place += 1

    def _colour_links(self) -> None:
        is_dark = self.palette().color(QPalette.ColorRole.Text).lightness() > 127
        colour = QColor(_ON_DARK if is_dark else _ON_LIGHT)
        with self._editing() as cursor:
            for fragment in list(self._fragments()):
                style = fragment.charFormat()
                if style.isAnchor() and style.foreground().color() != colour:
                    style.setForeground(colour)
                    _select(cursor, fragment)
                    cursor.setCharFormat(style)

    def _fit_images(self) -> None:
        """Scale the images that are wider than the window down to its width."""
        self._width = self.viewport().width()
        with self._editing() as cursor:
            for fragment in list(self._fragments()):
                style = fragment.charFormat()
                if style.isImageFormat():
                    _select(cursor, fragment)
                    cursor.setCharFormat(self._fitted(style.toImageFormat()))

    def _fitted(self, style: Any) -> Any:
        """The format of an image that has the width of the window at most."""
        url = self.source().resolved(QUrl(style.name()))
        if url.isLocalFile():
            image = self._fitting(QImage(url.toLocalFile()))
            kind = QTextDocument.ResourceType.ImageResource
            self.document().addResource(kind, url, image)
            style.setWidth(image.width() / image.devicePixelRatio())
            style.setHeight(image.height() / image.devicePixelRatio())
        return style

    def _fitting(self, image: QImage) -> QImage:
        wide = max(1, self.viewport().width() - 2 * _MARGIN - 2)
        ratio = self.devicePixelRatioF()
        if image.isNull() or image.width() <= wide * ratio:
            return image
        mode = Qt.TransformationMode.SmoothTransformation
        scaled = image.scaledToWidth(round(wide * ratio), mode)
        scaled.setDevicePixelRatio(ratio)
        return scaled

    @contextmanager
    def _editing(self) -> Iterator[QTextCursor]:
        """A cursor that changes formats at once, in a page that is laid out as a whole.

        Qt lays out a long page little by little, and loses paragraphs if it changes meanwhile.
        """
        document = self.document()
        document.documentLayout().documentSize()
        cursor = QTextCursor(document)
        cursor.beginEditBlock()
        try:
            yield cursor
        finally:
            cursor.endEditBlock()
            document.markContentsDirty(0, document.characterCount())


def _select(cursor: QTextCursor, fragment: Any) -> None:
    cursor.setPosition(fragment.position())
    cursor.setPosition(fragment.position() + fragment.length(), QTextCursor.MoveMode.KeepAnchor)
