"""Whether the model of a call is trained already: what a model file states of its training.

The file states for each image what a result states of its input, and checksums of the settings and
of the weights that the training started from.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_noise2score.cli.origin import Origins
from napari_noise2score.errors import InputError
from napari_noise2score.settings import DenoiseSettings

if TYPE_CHECKING:
    from napari_noise2score.score.model import ScoreModel

_REPLACES = '--overwrite replaces it, or give another name'


class TrainedBefore:
    """What the model of a call would be trained on and with, and whether that was done before.

    Parameters
    ----------
    options : Namespace
        The options.
    settings : DenoiseSettings
        The settings.
    files : sequence of Path
        The images.
    start : ScoreModel or None
        The weights that the training starts from; None for random ones.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        settings: DenoiseSettings,
        files: Sequence[Path],
        start: ScoreModel | None,
    ) -> None:
        origins = Origins(options, settings, start, trains=True)
        self._crc32 = origins.crc32
        self._origins = {file: origins.of(file) for file in files}

    def is_done(self, model: Path) -> bool:
        """Whether the model file exists and was trained on the same images in the same way.

        Raises
        ------
        InputError
            If it exists and was not.
        """
        if not os.path.lexists(model):
            return False
        stated = _stated(model)
        if stated is None:
            raise InputError(
                f'{model}: exists already, and does not state that train made it; {_REPLACES}'
            )
        if len(stated) != len(self._origins):
            numbers = f'{len(stated)} images, not on {len(self._origins)}'
            raise InputError(f'{model}: exists already, trained on {numbers}; {_REPLACES}')
        for (file, origin), one in zip(self._origins.items(), stated, strict=True):
            crc32 = partial(self._crc32, file)
            differences = origin.differences(one, crc32, model='from other weights')
            if differences:
                words = ' and '.join(differences)
                raise InputError(
                    f'{model}: exists already, trained {words} ({file.name}); {_REPLACES}'
                )
        return True

    def record(self, numbers: Collection[int]) -> list[dict[str, Any]]:
        """What the model file states; ``numbers`` are the images that it was trained on."""
        return [
            origin.record(self._crc32(file) if number in numbers else '')
            for number, (file, origin) in enumerate(self._origins.items())
        ]


def _stated(model: Path) -> list[dict[str, Any]] | None:
    """What a model file states of its training; None if it states nothing."""
    from napari_noise2score.images.formats import ORIGIN
    from napari_noise2score.score.model_header import header_of

    try:
        found = json.loads((header_of(model) or {})['settings'])['data'][ORIGIN]
    except (KeyError, TypeError, ValueError):
        return None
    known = isinstance(found, list) and all(isinstance(one, dict) for one in found)
    return found if known else None
