"""Where a result comes from, so that a later call finds what is done already.

A result states the size and the time of change of its input, a checksum of the grey levels, a
checksum of the settings, and one of the model. A TIFF states these in its tag Software, an
OME-Zarr in its attributes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_noise2score.cli.images import checksum_of, scene_within
from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr.location import named, url_of
from napari_noise2score.images.scenes import split_scene
from napari_noise2score.images.unchanged import state_of
from napari_noise2score.plain import json_line
from napari_noise2score.settings import DenoiseSettings

if TYPE_CHECKING:
    from napari_noise2score.score.model import ScoreModel

_READING = ('axes', 'region', 'learn_from')
_UNKNOWN = 'does not state that it is a result of this program'
_FOREIGN = 'is not a result of this program: an OME-Zarr of others is not overwritten'
_HERE_ONLY = ('device', 'save_every')
"""Settings of the training that do not change what is asked for."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a result is made from and with.

    Attributes
    ----------
    input_bytes, input_modified : int or None
        Size of the input, and when it was changed, ns since 1970; None at a URL.
    input_scene : str or None
        Which image of the input, if it has several.
    settings : str
        Checksum of the settings.
    model : str
        Checksum of the model that is applied, or that the training starts from.
    """

    input_bytes: int | None
    input_modified: int | None
    input_scene: str | None
    settings: str
    model: str

    @classmethod
    def of(cls, path: Path, settings: str, model: str, scene: str | None = None) -> Origin:
        """The origin of a result of a file, as the file is now.

        ``scene`` is for an input whose path does not say which of its images is meant.
        """
        file, inner = split_scene(path)
        return cls(*_state(file), inner or scene, settings, model)

    def check_input(self, path: Path) -> None:
        """Raise if the input was changed after this origin was made.

        An input that is gone is left to the reading, whose error says so.

        Raises
        ------
        InputError
            If its size or its time of change is another one.
        """
        now = _state(split_scene(path)[0])
        if None not in now and now != (self.input_bytes, self.input_modified):
            raise InputError(
                f'{named(path)}: was changed after the start of the command; an image is needed '
                'to which nothing is written'
            )

    def record(self, crc32: str) -> dict[str, Any]:
        """What a result states, with the checksum of the grey levels of its input."""
        return {
            'input_bytes': self.input_bytes,
            'input_modified': self.input_modified,
            'input_scene': self.input_scene,
            'input_crc32': crc32,
            'settings': self.settings,
            'model': self.model,
        }

    def differences(
        self,
        stated: dict[str, Any],
        crc32: Callable[[], str],
        *,
        model: str = 'with another model',
    ) -> list[str]:
        """What differs from what a result states, in words.

        Parameters
        ----------
        stated : dict
            What the result states, as `record` gave it.
        crc32 : callable
            Reads the input; returns its checksum.
        model : str
            Words for another model.
        """
        found = []
        same = None not in (self.input_bytes, self.input_modified) and (
            self.input_bytes == stated.get('input_bytes')
            and self.input_modified == stated.get('input_modified')
        )
        if self.input_scene != stated.get('input_scene'):
            found.append('from another image of the input')
        elif not same and stated.get('input_crc32') != crc32():
            found.append('from another state of the input')
        if self.settings != stated.get('settings'):
            found.append('with other settings')
        if self.model != stated.get('model'):
            found.append(model)
        return found


class Origins:
    """Of what results of a call are made: the same settings and weights, and an image each.

    Parameters
    ----------
    options : Namespace
        The options.
    settings : DenoiseSettings
        The settings.
    model : ScoreModel or None
        What is applied, or what the training starts from; None for random weights.
    trains : bool
        Whether the command trains.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        settings: DenoiseSettings,
        model: ScoreModel | None,
        *,
        trains: bool,
    ) -> None:
        self._options = options
        self._settings = _checksum(options, settings, trains=trains)
        self._weights = 'scratch' if model is None else model.digest[:16]

    def of(self, file: Path) -> Origin:
        """The origin of the result of an image."""
        scene = scene_within(file, self._options)
        return Origin.of(file, self._settings, self._weights, scene)

    def crc32(self, file: Path) -> str:
        """Checksum of the grey levels of an image; empty if it cannot be read."""
        return checksum_of(file, self._options)


def _checksum(options: argparse.Namespace, settings: DenoiseSettings, *, trains: bool) -> str:
    """Checksum of all that is asked for, but not of where it is computed."""
    values = settings.to_dict()
    training = values.pop('training')
    for name in _HERE_ONLY:
        training.pop(name, None)
    if not trains:
        values.pop('model_per')
    asked = {
        **values,
        'training': training if trains else None,
        'reading': {name: getattr(options, name, None) or None for name in _READING},
    }
    return hashlib.sha256(json_line(asked).encode()).hexdigest()[:16]


def is_done(targets: Sequence[Path], origin: Origin, crc32: Callable[[], str]) -> bool:
    """Whether all outputs of an image exist and have this origin; False if there are none.

    Raises
    ------
    InputError
        If one exists and has another origin.
    """
    from napari_noise2score.images.formats import is_zarr, origin_of
    from napari_noise2score.images.ome_zarr import record_of

    there = [path for path in targets if url_of(path) is None and os.path.lexists(path)]
    for path in there:
        stated = origin_of(path)
        if stated is None:
            foreign = is_zarr(path) and record_of(path) is None
            words = _FOREIGN if foreign else f'{_UNKNOWN}; --overwrite replaces it'
            raise InputError(f'{named(path)}: exists already, and {words}')
        different = origin.differences(stated, crc32)
        if different:
            words = f'made {" and ".join(different)}; --overwrite replaces it'
            raise InputError(f'{named(path)}: exists already, {words}')
    return len(there) == len(targets)


def _state(path: Path) -> tuple[int | None, int | None]:
    """Size and time of change of a file, or of all files of a store."""
    if url_of(path) is not None:
        return None, None
    try:
        if not path.is_dir():
            return state_of(path) or (None, None)
        files = [Path(top, name).stat() for top, _, names in os.walk(path) for name in names]
    except OSError:
        return None, None
    sizes = sum(one.st_size for one in files)
    return sizes, max((one.st_mtime_ns for one in files), default=0)
