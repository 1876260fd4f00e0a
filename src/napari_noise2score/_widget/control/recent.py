"""The model files that were used last, kept in the user's configuration folder. No Qt in here."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from platformdirs import user_config_path

from napari_noise2score.files import written_whole

MOST = 8
"""Files that are kept."""

_FILE = 'recent-models.json'

log = logging.getLogger(__name__)


def default_file() -> Path:
    """Where the list is kept: the folder that the system has for settings."""
    return Path(user_config_path('napari-noise2score', appauthor=False)) / _FILE


class Recent:
    """Model files, the last one first. What cannot be read or written costs the list, no more.

    Parameters
    ----------
    file : Path, optional
        Where the list is kept; `default_file` if not given.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or default_file()

    def paths(self) -> list[Path]:
        """The files that are still there."""
        try:
            names = json.loads(self._file.read_text(encoding='utf-8'))
        except (OSError, ValueError):
            return []
        found = names if isinstance(names, list) else []
        paths = [Path(name) for name in found if isinstance(name, str)]
        return [path for path in paths if path.is_file()]

    def add(self, path: Path) -> None:
        """Put a file at the front."""
        path = path.absolute()
        kept = [path, *(other for other in self.paths() if other != path)][:MOST]
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(self._file) as part:
                part.write_text(json.dumps([str(one) for one in kept]), encoding='utf-8')
        except OSError:
            log.debug('the list of recent models could not be written', exc_info=True)
