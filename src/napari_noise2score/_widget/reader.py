"""Opening a model file in napari, by drag and drop or File > Open: it goes to the panel.

napari asks for a reader of every file, so nothing heavy is loaded until a file is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.score.header import is_score_model

PLUGIN, WIDGET = 'napari-noise2score', 'Noise2Score'

Reader = Callable[[str | Sequence[str]], list[tuple[Any, ...]]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for a score model; None for everything else, such as weights of other programs."""
    if not isinstance(path, str):
        if len(path) != 1:
            return None
        path = path[0]
    return open_model if is_score_model(path) else None


def open_model(path: str | Sequence[str]) -> list[tuple[Any, ...]]:
    """Load a model into the panel of the current viewer, which is opened if it is not.

    Returns
    -------
    list
        napari's word for "read, and no layer to add".

    Raises
    ------
    InputError
        If there is no viewer with a window.
    """
    import napari

    viewer = napari.current_viewer()
    if viewer is None:
        raise InputError('no napari viewer is open; a score model is loaded into its panel')
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    name = path if isinstance(path, str) else path[0]
    getattr(panel, '__wrapped__', panel).controller.load(Path(name))
    return [(None,)]
