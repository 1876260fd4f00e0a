"""Connection of widgets to events of napari."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtWidgets import QWidget


def follow(owner: QWidget, act: Callable[..., None], *emitters: Any) -> None:
    """Call ``act`` with every event of napari's emitters, as long as a widget exists."""
    # Not the method itself: napari compares the disconnected callback with its models, which fails
    # for a method of a widget that Qt has deleted.
    call = partial(act)
    for emitter in emitters:
        emitter.connect(call)

    def disconnect(destroyed: Any = None) -> None:
        for emitter in emitters:
            emitter.disconnect(call)

    owner.destroyed.connect(disconnect)
