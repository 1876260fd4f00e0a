"""Dialogs in which the user chooses a file or a folder."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget


def ask_open(parent: QWidget, title: str, folder: Path, kinds: str) -> Path | None:
    """Let the user choose a file; None if the dialog is cancelled."""
    name, _ = QFileDialog.getOpenFileName(parent, title, str(folder), kinds)
    return Path(name) if name else None


def ask_folder(parent: QWidget, title: str, folder: Path) -> Path | None:
    """Let the user choose a folder; None if the dialog is cancelled."""
    name = QFileDialog.getExistingDirectory(parent, title, str(folder))
    return Path(name) if name else None


def ask_save(parent: QWidget, title: str, suggested: Path, kinds: str) -> Path | None:
    """Let the user name a file, with the suffix of ``suggested``; None if the dialog is cancelled.

    The dialog asks before an existing file is replaced.
    """
    dialog = QFileDialog(parent, title, str(suggested.parent), kinds)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix(suggested.suffix.removeprefix('.'))
    dialog.selectFile(suggested.name)
    chosen = dialog.selectedFiles() if dialog.exec() else []
    dialog.deleteLater()
    return Path(chosen[0]) if chosen else None
