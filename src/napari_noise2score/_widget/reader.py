"""Reader of model files in napari, for drag and drop or File > Open: the panel loads the model.

napari requests a reader for every file, so nothing large is imported before a model is opened.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.score.model_header import is_score_model

PLUGIN, WIDGET = 'napari-noise2score', 'Noise2Score'

_OPENING = ('open', '_add_layers_with_plugins')
"""Methods of a viewer that call a reader."""

Reader = Callable[[str | Sequence[str]], list[tuple[Any, ...]]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for a score model; None for everything else, such as weights of other programs."""
    if not isinstance(path, str):
        if len(path) != 1:
            return None
        path = path[0]
    return open_model if is_score_model(path) else None


def open_model(path: str | Sequence[str]) -> list[tuple[Any, ...]]:
    """Load a model into the panel of the viewer that opens it; the panel is opened if necessary.

    Returns
    -------
    list
        The value that means "no layer to add" in napari.

    Raises
    ------
    InputError
        If there is no viewer with a window.
    """
    from napari.utils.notifications import show_info
    from napari.viewer import current_viewer

    viewer = _opening_viewer()
    known = viewer is not None
    viewer = viewer if known else current_viewer()
    if viewer is None:
        raise InputError(
            'no napari viewer is open; a model is loaded into the panel of a viewer, so open '
            'one first'
        )
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    name = Path(path if isinstance(path, str) else path[0])
    getattr(panel, '__wrapped__', panel).model.open(name)
    if not known:
        show_info(f'{name.name} is loaded into the Noise2Score panel of "{viewer.title}".')
    return [(None,)]


def _opening_viewer() -> Any:
    """The viewer whose method ``open`` has called the reader; None if there is none.

    napari does not pass the viewer to a reader. Its current viewer is the one that was clicked
    last; a script or a drop can open a file in another one.
    """
    from napari.viewer import Viewer

    frame: FrameType | None = sys._getframe()
    while frame is not None:
        owner = frame.f_locals.get('self') if frame.f_code.co_name in _OPENING else None
        if isinstance(owner, Viewer):
            return owner
        frame = frame.f_back
    return None
