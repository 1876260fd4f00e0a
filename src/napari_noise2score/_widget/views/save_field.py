"""Where results are saved: a path that can be typed, with a button that opens a dialog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from magicgui.widgets import Container, LineEdit, PushButton

from napari_noise2score._widget.control.saving import destinations
from napari_noise2score._widget.views.file_dialogs import ask_folder, ask_save

_LABEL = 'Save to'
_TIP = (
    'Save results as OME-Zarr while they are computed, and show them from there: for results '
    'that are larger than the memory. Give a name that ends in .zarr, or a folder, in which each '
    'ticked layer gets its own OME-Zarr. If this is empty, results are not saved.'
)
_CHOOSE_TIP = (
    'Choose a name for the OME-Zarr of the ticked layer; for several layers, choose a folder.'
)
_KINDS = 'OME-Zarr (*.zarr)'


class SaveField:
    """A path and a button *Choose...* in a row.

    Parameters
    ----------
    layers : callable
        Returns the ticked layers.

    Attributes
    ----------
    row : magicgui.widgets.Container
        The widgets, with a label for a form.
    """

    def __init__(self, layers: Callable[[], Sequence[Any]]) -> None:
        self._layers = layers
        self.path = LineEdit(name='path', tooltip=_TIP)
        self.path.native.setAccessibleName(_LABEL)
        self.path.native.setPlaceholderText('not saved')
        self.choose = PushButton(text='Choose...', tooltip=_CHOOSE_TIP)
        self.row = Container(
            name='save_to',
            label=_LABEL,
            layout='horizontal',
            labels=False,
            widgets=[self.path, self.choose],
        )
        self.row.margins = (0, 0, 0, 0)
        self.choose.changed.connect(self._choose)

    @property
    def place(self) -> str:
        """The path as it is typed; empty if results are not saved."""
        return str(self.path.value).strip()

    def _choose(self) -> None:
        layers = self._layers()
        folder, parent = self._folder(layers), self.row.native
        if len(layers) > 1:
            path = ask_folder(parent, 'Folder for the results', folder)
        else:
            names = [str(layer.name) for layer in layers] or ['image']
            (suggested,) = destinations(names, str(folder))
            path = ask_save(parent, 'Save the result as OME-Zarr', suggested, _KINDS)
        if path is not None:
            self.path.value = str(path)

    def _folder(self, layers: Sequence[Any]) -> Path:
        """Folder of the last choice, else that of the first layer, else the home folder."""
        if self.place:
            return Path(self.place).expanduser().absolute().parent
        paths = [Path(layer.source.path) for layer in layers if layer.source.path]
        return paths[0].absolute().parent if paths else Path.home()
