"""The order in which Tab goes through a panel: as it is read, top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget


def controls(layout: Any) -> Iterator[QWidget]:
    """What Tab may reach in a layout and those within it, in the order they were added."""
    for place in range(layout.count()):
        item = layout.itemAt(place)
        widget, inner = item.widget(), item.layout()
        if widget is not None:
            inner = widget.layout()
            if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
                yield widget
        if inner is not None:
            yield from controls(inner)


def order_tabs(*layouts: Any) -> None:
    """Let Tab go through layouts in that order, from one to the next."""
    for first, second in pairwise(each for layout in layouts for each in controls(layout)):
        QWidget.setTabOrder(first, second)
