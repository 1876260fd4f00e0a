"""List of recent model files in the configuration folder of the user; without Qt."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from platformdirs import user_config_path

from napari_noise2score.files import written_whole

MOST = 8
"""Maximum number of files in the list."""

_FILE = 'recent-models.json'

log = logging.getLogger(__name__)


def default_file() -> Path:
    """Path of the list, in the folder of the user for settings."""
    return Path(user_config_path('napari-noise2score', appauthor=False)) / _FILE


class Recent:
    """Model files, the most recent one first. Read and write errors are logged and ignored.

    Parameters
    ----------
    file : Path, optional
        Path of the list; `default_file` if not given.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or default_file()

    def paths(self) -> list[Path]:
        """The files in the list that exist."""
        try:
            names = json.loads(self._file.read_text(encoding='utf-8'))
        except (OSError, ValueError):
            return []
        listed = names if isinstance(names, list) else []
        paths = [Path(name) for name in listed if isinstance(name, str)]
        return [path for path in paths if path.is_file()]

    def add(self, path: Path) -> None:
        """Put a file at the front."""
        path = path.absolute()
        recent = [path, *(other for other in self.paths() if other != path)][:MOST]
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(self._file) as part:
                part.write_text(json.dumps([str(one) for one in recent]), encoding='utf-8')
        except OSError:
            log.debug('the list of recent models could not be written', exc_info=True)
