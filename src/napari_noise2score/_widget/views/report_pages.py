"""Pages of reports: where they are written, and how they are shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QWidget

from napari_noise2score._widget.views.file_dialogs import ask_folder, ask_save


def ask_pages(parent: QWidget, names: Sequence[str]) -> list[Path]:
    """Let the user name the page of one layer, or a folder for those of several.

    Parameters
    ----------
    parent : QWidget
        Parent of the dialog.
    names : sequence of str
        Names of the layers.

    Returns
    -------
    list of Path
        A page for each layer; empty if the dialog is cancelled.
    """
    stems = [re.sub(r'[^-\w.]+', '_', name).strip('_') or 'report' for name in names]
    if len(stems) == 1:
        proposed = Path.home() / f'{stems[0]}.html'
        page = ask_save(parent, 'Write the report', proposed, 'Page (*.html)')
        return [] if page is None else [page]
    folder = ask_folder(parent, 'Folder for the reports', Path.home()) if stems else None
    if folder is None:
        return []
    taken: set[str] = set()  # in lower case, as some file systems take them
    pages = []
    for stem in stems:
        own = (stem if number == 1 else f'{stem}-{number}' for number in count(1))
        free = next(name for name in own if name.lower() not in taken)
        taken.add(free.lower())
        pages.append(folder / f'{free}.html')
    return pages


def show_page(page: Path) -> None:
    """Open a page in the browser."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))
