"""The model in use: its description, and buttons to save, load and export it."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from napari_noise2score._widget.autosave import default_file
from napari_noise2score._widget.control.controller import Controller
from napari_noise2score._widget.control.events import Status
from napari_noise2score._widget.control.recent import Recent
from napari_noise2score._widget.jobs import Trained
from napari_noise2score._widget.views.file_dialogs import ask_open, ask_save
from napari_noise2score._widget.views.wrapped_text import WrappedText
from napari_noise2score.analysis.model_card import card_of
from napari_noise2score.score.model_header import SUFFIX

_NONE = 'There is no model yet. Press Train, load a model, or drop a model file on the viewer.'
_SAVE_TIP = 'Save the model in use in a file, to apply it to other images or to continue from it.'
_LAST = 'Last training (autosaved)'
_HERE = 'trained here, not saved yet'
_LOAD_TIP = (
    'Load a model from a file: Correct then applies it to the ticked layers. Dropping the file '
    'on the viewer does the same.'
)
_RECENT_TIP = (
    'Models that were saved or loaded recently. Choose one to load it; Correct then applies it '
    'without training.'
)
_EXPORT_TIP = (
    'Save the network as a bioimage.io package, for other programs. It works on images in the '
    'unit-noise coordinate; the description in the package explains how to convert images to it '
    'and back.'
)
_SHOWN = ('Trained on', 'Noise', 'Training', 'Made')
"""Headings of the model card that are shown; the others are in the tooltip."""

_MODELS = f'Noise2Score models (*{SUFFIX})'
_PACKAGES = 'bioimage.io packages (*.zip)'


class ModelBox(QWidget):
    """Shows the model in use in words, with buttons to save, load and export it.

    Parameters
    ----------
    controller : Controller
        The controller with the model in use.
    recent : Recent, optional
        Recent models; by default those of the user.
    parent : QWidget, optional
        Qt parent.
    """

    requested = Signal()
    """A model is about to be loaded, saved or exported."""

    def __init__(
        self,
        controller: Controller,
        recent: Recent | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._recent = recent or Recent()
        self._path: Path | None = None
        self.words = WrappedText('Model in use', _NONE)
        self.save = _button('Save model...', _SAVE_TIP)
        self.load = _button('Load model...', _LOAD_TIP)
        self.recent = _button('Recent models', _RECENT_TIP)
        self.export = _button('Export...', _EXPORT_TIP)
        self.menu = QMenu(self)
        self.recent.setMenu(self.menu)
        self.menu.aboutToShow.connect(self.fill_menu)
        self.save.clicked.connect(self._save)
        self.load.clicked.connect(self._load)
        self.export.clicked.connect(self._export)
        buttons = QGridLayout()
        for place, button in enumerate((self.save, self.load, self.recent, self.export)):
            buttons.addWidget(button, place // 2, place % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addLayout(buttons)

    def show_model(self, trained: Trained) -> None:
        """Show the description of the model in use."""
        self._path = trained.path
        card = card_of(trained.model)
        unsaved = 'the last training, not saved yet' if trained.loaded else _HERE
        name = trained.path.name if trained.path is not None else unsaved
        lines = [f'{heading}: {card[heading]}' for heading in _SHOWN if heading in card]
        self.words.setText('\n'.join([f'In use: {name}', *lines]))
        rest = [f'{heading}: {text}' for heading, text in card.items() if heading not in _SHOWN]
        self.words.setToolTip('\n'.join(rest))
        if trained.path is not None:
            self._recent.add(trained.path)

    def show_status(self, status: Status) -> None:
        """Enable the buttons that can be used now."""
        idle = status.run.idle
        self.save.setEnabled(status.has_model)
        self.export.setEnabled(idle and status.has_model)
        self.load.setEnabled(idle)
        self.recent.setEnabled(idle)

    def fill_menu(self) -> None:
        """List the recent models."""
        self.menu.clear()
        last = default_file()
        named = {last: _LAST} if last.is_file() else {}
        named |= {path: path.name for path in self._recent.paths()}
        for path, name in named.items():
            action = self.menu.addAction(name)
            action.setToolTip(str(path))
            action.triggered.connect(lambda _=False, path=path: self.open(path))
        self.menu.setToolTipsVisible(True)
        if not named:
            self.menu.addAction('None yet').setEnabled(False)

    def _load(self) -> None:
        path = ask_open(self, 'Load model', self._folder(), _MODELS)
        if path is not None:
            self.open(path)

    def open(self, path: Path) -> None:
        """Load a model."""
        self.requested.emit()
        self._controller.load(path)

    def _save(self) -> None:
        suggested = self._path or self._folder() / f'model{SUFFIX}'
        path = ask_save(self, 'Save model', suggested, _MODELS)
        if path is not None:
            self.requested.emit()
            self._controller.save(path)

    def _export(self) -> None:
        name = self._path.stem if self._path is not None else 'model'
        path = ask_save(self, 'Export model', self._folder() / f'{name}.zip', _PACKAGES)
        if path is not None:
            self.requested.emit()
            self._controller.export(path)

    def _folder(self) -> Path:
        """Folder of the last model."""
        recent = self._recent.paths()
        return (self._path or (recent[0] if recent else Path.home() / 'model')).parent


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
