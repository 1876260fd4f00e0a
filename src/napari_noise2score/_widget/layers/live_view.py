"""The displayed part of each layer, corrected again when something changes."""

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
from napari_noise2score._widget.layers.targets import offset
from napari_noise2score.errors import InputError
from napari_noise2score.images.region import Region

MOST_PIXELS = 1 << 20
"""Most pixels of a plane that are corrected for display."""
_LEAST_SIDE = 32
_DELAY = 150
"""Time from the last edit to its effect, ms."""


def view_of(viewer: Any, target: Target) -> View:
    """The displayed part of a layer: the position of the sliders; of a large plane, a window.

    The window of a plane of more than `MOST_PIXELS` pixels is the centre of the visible part, up
    to that number of pixels.
    """
    layer, axes = target.layer, target.source.axes
    letters = [letter for letter in axes if not (layer.rgb and letter == 'S')]
    first = offset(target)
    point = np.asarray(layer.world_to_data(viewer.dims.point)) - first
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
        middle, half = (low + high) / 2, min(high - low, most) / 2
        start = round(min(max(middle - half, 0), side - min(side, most)))
        stop = min(side, start + max(_LEAST_SIDE, round(2 * half)))
        window[letter] = start, stop
    return View(place, Region(window))


class LiveView:
    """Follows what a viewer displays of layers.

    During a training it notes the displayed part, for previews. When no job runs, it has the
    displayed part corrected again after an edit, and after each move of the viewer that follows
    the edit.

    Parameters
    ----------
    owner : QWidget
        The panel; when it is gone, nothing is followed.
    viewer : Viewer
        The viewer, or napari's proxy of it.
    is_idle : callable
        Whether no job runs.
    correct : callable
        Corrects the displayed part; returns whether there is a preview that has to follow the
        viewer. May raise an InputError, after which everything stays.
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
        """Whether previews are shown while a training runs."""
        self._follows = False
        self._targets: Sequence[Target] = ()
        self._views: WeakKeyDictionary[Any, View] = WeakKeyDictionary()
        self._debouncer = QSignalDebouncer(parent=owner)
        self._debouncer.setTimeout(_DELAY)
        self._debouncer.triggered.connect(self._correct_now)
        camera = getattr(viewer, 'scene', viewer).camera  # of the viewer itself before napari 0.9
        follow(owner, self._moved, viewer.dims.events.current_step, camera.events)

    def edited(self) -> None:
        """Correct the displayed part again, shortly after the last of several edits."""
        self._debouncer.throttle()

    def settle(self) -> None:
        """Stop following the viewer: what it displays is a result."""
        self._follows = False

    def watch(self, targets: Sequence[Target]) -> None:
        """Note the displayed parts of these layers from now on."""
        self._targets = targets
        self._note()

    def unwatch(self, layer: Any) -> None:
        """Show nothing more of a layer until the viewer moves."""
        self._views.pop(layer, None)

    def displayed(self, target: Target) -> View | None:
        """The noted part of a layer, None if there is none; for the thread of a training."""
        return self._views.get(target.layer) if self.during_training else None

    def _note(self) -> None:
        for target in self._targets:
            self._views[target.layer] = view_of(self._viewer, target)

    def _moved(self, event: Any = None) -> None:
        if not self._is_idle():
            self._note()
        elif self._follows:
            self.edited()

    def _correct_now(self) -> None:
        with suppress(InputError):  # a number is half typed: the preview stays
            self._follows = self._correct()
