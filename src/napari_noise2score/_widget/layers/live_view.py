"""The displayed part of each layer, and its correction after changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from qtpy.QtWidgets import QWidget
from superqt.utils import QSignalDebouncer

from napari_noise2score._widget.control.target import Target
from napari_noise2score._widget.jobs import View
from napari_noise2score._widget.layers.following import follow
from napari_noise2score._widget.layers.targets import has_axes_of, in_units, offset
from napari_noise2score.errors import InputError
from napari_noise2score.images.region import Region

MOST_PIXELS = 1 << 20
"""Maximum number of pixels of a plane that are corrected for display."""
_LEAST_SIDE = 32
_DELAY = 150
"""Time from the last edit to its effect, ms."""


def view_of(viewer: Any, target: Target) -> View:
    """The displayed part of a layer: the position of the sliders, and a window of a large plane.

    In a plane with more than `MOST_PIXELS` pixels, the window is the centre of the visible part,
    up to that number of pixels.
    """
    layer, axes = target.layer, target.source.axes
    letters = [letter for letter in axes if not (layer.rgb and letter == 'S')]
    first = offset(target)
    units = getattr(viewer.dims, 'units', None)  # since napari 0.9
    world = in_units(viewer.dims.point, units, getattr(layer, 'units', None))
    point = np.asarray(layer.world_to_data(world)) - first
    place = {
        letter: round(float(at))
        for letter, at in zip(letters, point, strict=True)
        if letter not in 'YX'
    }
    sides = {letter: target.source.shape[axes.index(letter)] for letter in 'YX'}
    if math.prod(sides.values()) <= MOST_PIXELS:
        return View(place)
    shrunk = layer.downsample_factors[layer.data_level] if layer.multiscale else 1
    corners = layer.corner_pixels * shrunk - first
    window, most = {}, round(MOST_PIXELS**0.5)
    for letter, side in sides.items():
        low, high = corners[:, letters.index(letter)]
        length = min(side, max(_LEAST_SIDE, round(min(high - low, most))))
        start = round(min(max((low + high - length) / 2, 0), side - length))
        window[letter] = start, start + length
    return View(place, Region(window))


class LiveView:
    """Tracks the displayed parts of layers.

    During a training it stores the displayed parts, for previews. When no job runs, it requests a
    correction of the displayed part after an edit, and after each later move of the viewer.

    Parameters
    ----------
    owner : QWidget
        The panel; the tracking ends when it is destroyed.
    viewer : Viewer
        The viewer, or napari's proxy of it.
    is_idle : callable
        Whether no job runs.
    correct : callable
        Corrects the displayed part; returns whether there is a preview, which then follows the
        viewer. It may raise an InputError; then nothing changes.
    """

    def __init__(
        self,
        owner: QWidget,
        viewer: Any,
        is_idle: Callable[[], bool],
        correct: Callable[[], bool],
    ) -> None:
        self._viewer, self._is_idle, self._correct = viewer, is_idle, correct
        self.during_training = True
        """Whether previews are shown during a training."""
        self._follows = False
        self._targets: Sequence[Target] = ()
        self._views: WeakKeyDictionary[Any, View] = WeakKeyDictionary()
        self._debouncer = QSignalDebouncer(parent=owner)
        self._debouncer.setTimeout(_DELAY)
        self._debouncer.triggered.connect(self._correct_now)
        camera = getattr(viewer, 'scene', viewer).camera  # `viewer.camera` before napari 0.9
        follow(owner, self._moved, viewer.dims.events.current_step, camera.events)

    def edited(self) -> None:
        """Correct the displayed part again, shortly after the last of several edits."""
        self._debouncer.throttle()

    def stop_following(self) -> None:
        """Stop following the viewer: a result replaces the preview."""
        self._follows = False

    def watch(self, targets: Sequence[Target]) -> None:
        """Store the displayed parts of these layers, until `stop_watching`."""
        self._targets = targets
        self._store_views()

    def stop_watching(self) -> None:
        """Let go of the layers: they may be removed and their memory is needed."""
        self._targets = ()

    def unwatch(self, layer: Any) -> None:
        """Show no further previews of a layer until the viewer moves."""
        self._views.pop(layer, None)

    def displayed(self, target: Target) -> View | None:
        """The stored part of a layer, or None; for the thread of a training."""
        return self._views.get(target.layer) if self.during_training else None

    def _store_views(self) -> None:
        for target in self._targets:
            if has_axes_of(target):
                self._views[target.layer] = view_of(self._viewer, target)

    def _moved(self, event: Any = None) -> None:
        if not self._is_idle():
            self._store_views()
        elif self._follows:
            self.edited()

    def _correct_now(self) -> None:
        with suppress(InputError):  # a number is not complete yet: the preview stays
            self._follows = self._correct()
