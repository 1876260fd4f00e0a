"""Widgets that follow napari's events, and menus that follow its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtWidgets import QWidget


def follow(owner: QWidget, act: Callable[..., None], *emitters: Any) -> None:
    """Call ``act`` with every event of napari's emitters, as long as a widget lives."""
    for emitter in emitters:
        emitter.connect(act)

    def forget(gone: Any = None) -> None:
        for emitter in emitters:
            emitter.disconnect(act)

    owner.destroyed.connect(forget)


def offer(menu: ComboBox, none: str, layers: Sequence[tuple[str, Any]]) -> None:
    """List layers by their texts in a menu, after ``none``, whose value is ``''``.

    What is chosen stays chosen, unless it is gone.
    """
    kept = menu.value
    menu.choices = [(none, ''), *layers]
    menu.value = kept if any(kept is layer for _, layer in layers) else ''
