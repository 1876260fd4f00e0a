"""Tab order of a panel, from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget


def controls(layout: Any) -> Iterator[QWidget]:
    """Widgets with keyboard focus in a layout and in nested layouts, in their order."""
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
    """Let Tab go through the widgets of these layouts, in this order."""
    for first, second in pairwise(each for layout in layouts for each in controls(layout)):
        QWidget.setTabOrder(first, second)
