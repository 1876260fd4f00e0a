"""Widgets that follow napari's events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QWidget


def follow(owner: QWidget, act: Callable[..., None], *emitters: Any) -> None:
    """Call ``act`` with every event of napari's emitters, as long as a widget lives."""
    for emitter in emitters:
        emitter.connect(act)

    def forget(gone: Any = None) -> None:
        for emitter in emitters:
            emitter.disconnect(act)

    owner.destroyed.connect(forget)
