"""Trainings of the panel on disk, to be continued after a crash. No Qt in here.

Each run has a folder of its own: what it is of in a small JSON file, and beside it the states of
its trainings. A run that ends in any way but a crash removes its folder.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from platformdirs import user_data_path

from napari_noise2score.errors import InputError
from napari_noise2score.files import write_json
from napari_noise2score.images.source import ImageSource
from napari_noise2score.score.model_header import header_of
from napari_noise2score.settings import DenoiseSettings
from napari_noise2score.settings.tree import from_dict

if TYPE_CHECKING:
    from napari_noise2score.score.training_files import TrainingFolder

_RECORD = 'run.json'
_STATES = 'states'
_CLOCK = 30.0
"""Seconds by which two readings of the time at which a process began may differ."""

log = logging.getLogger(__name__)


def default_folder() -> Path:
    """Where runs are stored: the folder that the system has for data of programs."""
    return Path(user_data_path('napari-noise2score', appauthor=False)) / 'interrupted'


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer of a run: what is read of it, and the CRC-32 of that.

    ``whole`` is the shape of all of the layer. ``region`` is the part that is denoised, and
    ``training_parts`` are the parts to train on, as text.
    """

    name: str
    axes: str
    whole: tuple[int, ...]
    region: str
    training_parts: tuple[str, ...]
    crc32: int

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StoredLayer:
        """From the fields by name, with lists instead of tuples."""
        lists = {name: tuple(values[name]) for name in ('whole', 'training_parts')}
        return cls(**{**values, **lists})


@dataclass(frozen=True, slots=True, eq=False)
class StoredRun:
    """A run of the panel on disk.

    Attributes
    ----------
    path : Path
        Its folder.
    layers : tuple of StoredLayer
        The layers, in their order.
    settings : DenoiseSettings
        All settings.
    """

    path: Path
    layers: tuple[StoredLayer, ...]
    settings: DenoiseSettings

    @classmethod
    def begin(
        cls,
        sources: Sequence[ImageSource],
        training_parts: Sequence[Sequence[ImageSource]],
        settings: DenoiseSettings,
    ) -> StoredRun:
        """A new run, whose record is written.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        layers = tuple(
            StoredLayer(
                source.name,
                source.axes,
                tuple(getattr(source.data, 'whole', source.shape)),
                str(source.region),
                tuple(str(lesson.region) for lesson in taught),
                source.checksum(),
            )
            for source, taught in zip(sources, training_parts or [()] * len(sources), strict=True)
        )
        run = cls(default_folder() / secrets.token_hex(6), layers, settings)
        run.claim()
        return run

    def claim(self) -> None:
        """Note that it is this process that works on it.

        Raises
        ------
        OSError
            If that cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        process = psutil.Process()
        record = {
            'machine': platform.node(),
            'process': [process.pid, process.create_time()],
            'layers': [asdict(layer) for layer in self.layers],
            'settings': self.settings.to_dict(),
        }
        write_json(self.path / _RECORD, record)

    def trainings(self, *, resume: bool) -> TrainingFolder:
        """The folder with the states of its trainings."""
        from napari_noise2score.score.training_files import TrainingFolder

        every = self.settings.training.save_every
        return TrainingFolder(self.path / _STATES, every, resume=resume)

    @property
    def latest(self) -> tuple[int, float]:
        """Steps of its last training, and the age of that state in seconds."""
        files = sorted((self.path / _STATES).glob('*.safetensors'), key=os.path.getmtime)
        header = header_of(files[-1]) or {}
        return int(header.get('step', 0)), max(0.0, time.time() - files[-1].stat().st_mtime)

    def remove(self) -> None:
        """Remove it from the disk."""
        _remove(self.path)


def interrupted_runs() -> list[StoredRun]:
    """Runs whose process died, the last one first. Those without a state are removed."""
    found = []
    try:
        folders = [path for path in default_folder().iterdir() if path.is_dir()]
    except OSError:
        return []
    for folder in folders:
        run, lives = _read(folder)
        if lives:
            continue
        if run is None or not any((folder / _STATES).glob('*.safetensors')):
            _remove(folder)
        else:
            found.append(run)
    return sorted(found, key=lambda run: run.latest[1])


def _read(folder: Path) -> tuple[StoredRun | None, bool]:
    """The run in a folder, if it can be read, and whether its process still lives.

    That of another machine, with which the folder is shared, may live.
    """
    try:
        record: dict[str, Any] = json.loads((folder / _RECORD).read_text(encoding='utf-8'))
        layers = tuple(StoredLayer.from_dict(one) for one in record['layers'])
        number, began = record['process']
        here = record['machine'] == platform.node()
        lives = not here or _lives(int(number), float(began))
        return StoredRun(folder, layers, from_dict(DenoiseSettings, record['settings'])), lives
    except (OSError, ValueError, TypeError, KeyError, OverflowError, InputError):
        log.debug('%s cannot be read', folder, exc_info=True)
        return None, False


def _lives(number: int, began: float) -> bool:
    """Whether a process runs: number and start are the same, as numbers are used again."""
    try:
        process = psutil.Process(number)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return not ended and abs(process.create_time() - began) < _CLOCK
    except psutil.Error:
        return False


def _remove(folder: Path) -> None:
    """Remove a folder with all that this module writes into it."""
    states = folder / _STATES
    try:
        for place in (states, folder):
            if place.is_dir():
                for file in place.iterdir():
                    if file.is_file():
                        file.unlink()
                place.rmdir()
    except OSError:
        log.debug('%s could not be removed', folder, exc_info=True)
