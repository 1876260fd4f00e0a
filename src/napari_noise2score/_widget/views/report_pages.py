"""Pages of reports: where they are written, and how they are shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    files = [f'{stem}.html' for stem in stems]
    if len(files) == 1:
        page = ask_save(parent, 'Write the report', Path.home() / files[0], 'Page (*.html)')
        return [] if page is None else [page]
    folder = ask_folder(parent, 'Folder for the reports', Path.home()) if files else None
    if folder is None:
        return []
    taken: dict[str, int] = {}
    pages = []
    for file in files:
        count = taken[file] = taken.get(file, 0) + 1
        stem = file.removesuffix('.html')
        pages.append(folder / (file if count == 1 else f'{stem}-{count}.html'))
    return pages


def show_page(page: Path) -> None:
    """Open a page in the browser."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))
