"""A viewer for many tests: it is made once, and as new after each test."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

from napari._qt.qt_viewer import QtViewer
from napari.settings import get_settings
from napari.utils import progress
from napari.utils.events import EventedModel
from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QEvent, QObject, QThreadPool, QTimer
from qtpy.QtWidgets import QApplication, QDockWidget

import napari

_LONGEST_END = 30_000
"""Time in which the threads of a deleted panel end, ms."""
_RESET = ('theme', 'title', 'help', 'status')
_AXES = ('axis_labels', 'units')


class SharedViewer:
    """A viewer whose window is not shown.

    Attributes
    ----------
    viewer : napari.Viewer
        The viewer.
    """

    def __init__(self) -> None:
        self.viewer = napari.Viewer(show=False)
        self._window = self.viewer.window._qt_window
        # make_napari_viewer of napari fails if there is a viewer that it has not made
        QtViewer._instances.discard(self._window._qt_viewer)
        self._docks = self._dock_widgets()
        self._values = {name: getattr(self.viewer, name) for name in _RESET}
        dims = self.viewer.dims
        self._axes = {name: getattr(dims, name) for name in _AXES if hasattr(dims, name)}
        self._state, self._callbacks = state(self.viewer), callbacks(self.viewer)
        self._new = True

    def clear(self) -> None:
        """Close and delete the docked widgets, remove the layers, and reset the viewer.

        Raises
        ------
        AssertionError
            If a docked widget leaves a thread, an active timer, a progress bar or a callback.
        """
        for dock in self._dock_widgets() - self._docks:
            dock.destroyOnClose()  # as the button in its title does
        for widget in QApplication.topLevelWidgets():  # napari keeps what was docked
            if type(widget).__module__.startswith('napari_noise2score.'):
                widget.deleteLater()
        delete_now()
        self.viewer.layers.clear()
        for _, part in parts(self.viewer):
            part.reset()
        for name, value in self._axes.items():  # reset() of dims leaves them
            setattr(self.viewer.dims, name, value)
        for name, value in self._values.items():
            setattr(self.viewer, name, value)
        get_settings().reset()
        assert QThreadPool.globalInstance().waitForDone(_LONGEST_END), 'a thread does not end'
        QCoreApplication.processEvents()
        delete_now()
        gc.collect()
        if self._new:  # what the first test has loaded is no garbage
            gc.freeze()
            self._new = False
        self._check()

    def close(self) -> None:
        """Close the viewer."""
        self.viewer.close()

    def _check(self) -> None:
        timers = (one for one in gc.get_objects() if isinstance(one, QTimer) and isalive(one))
        left = {
            'docked widgets': self._dock_widgets() - self._docks,
            'active timers': [timer for timer in timers if timer.isActive()],
            'progress bars': list(progress._all_instances),
            'callbacks': callbacks(self.viewer) - self._callbacks,
        }
        assert not any(left.values()), f'The test left in the viewer: {left}'
        now = state(self.viewer)
        changed = {name: (old, now[name]) for name, old in self._state.items() if now[name] != old}
        assert not changed, f'The viewer is not as new: {changed}'

    def _dock_widgets(self) -> set[QDockWidget]:
        return set(self._window.findChildren(QDockWidget))


def delete_now() -> None:
    """Delete the objects for which ``deleteLater`` was called."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def parts(viewer: napari.Viewer) -> Iterator[tuple[str, EventedModel]]:
    """Parts of a viewer with values and events of their own: camera, dims and others."""
    for name in viewer._defaults:
        value = getattr(viewer, name)
        if isinstance(value, EventedModel):
            yield name, value


def state(viewer: napari.Viewer) -> dict[str, str]:
    """All values of a viewer and its parts, and its layers."""
    return {name: repr(getattr(viewer, name)) for name in viewer._defaults}


def callbacks(viewer: napari.Viewer) -> Counter[str]:
    """Callbacks that are connected to the events of a viewer and its parts."""
    owners = {
        'viewer': viewer,
        'layers': viewer.layers,
        'selection': viewer.layers.selection,
        **dict(parts(viewer)),
        'camera': getattr(viewer, 'scene', viewer).camera,
    }
    return Counter(
        f'{part}.{event}: {name}'
        for part, owner in owners.items()
        for event, emitter in owner.events.emitters.items()
        for name in map(_name_of, emitter.callbacks)
        if name is not None
    )


def _name_of(callback: Any) -> str | None:
    """Name of a callback; None if it is one of napari's own, or of a deleted object."""
    if isinstance(callback, tuple):  # a method of an object that napari refers to weakly
        owner, name = callback[0](), callback[1]
        if owner is None:
            return None
    else:
        function = callback.func if isinstance(callback, partial) else callback
        owner = getattr(function, '__self__', None)
        name = getattr(function, '__qualname__', repr(function))
    if type(owner).__module__.startswith('napari.'):
        return None
    if isinstance(owner, QObject) and not isalive(owner):
        return None
    return f'{type(owner).__name__} {name}'
