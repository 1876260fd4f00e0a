"""What a training starts from: the weights that ship with the package, a model file, or nothing.

Nothing is ever downloaded. How the shipped weights were made, what they saw and where they fail
is told in docs/warm-start.md; ``napari-noise2score pretrain`` makes them again, or better ones.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from napari_noise2score.errors import CheckpointError
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.settings import StartFrom

VERSION = 1
"""Of the shipped weights; another number with every change of them."""
CONTEXT_VERSION = 2
"""Of those of the network with context."""

_FOLDER = Path(__file__).parent
FILE = _FOLDER / f'warm-{VERSION}.safetensors'
SHA256 = '60f8ab6e5b0743a64c4eacecbf5b8b7fe7bff0dae234f7e921d7b2bab38b3b18'
CONTEXT_FILE = _FOLDER / f'warm-{CONTEXT_VERSION}.safetensors'
CONTEXT_SHA256 = 'ff4ad92e031d31af1bc4016985e83609537a87abbdfabe93655166b2406e8676'


def starting_model(init: str, *, context: bool = False) -> ScoreModel | None:
    """The model that a training begins with; None for random weights.

    Parameters
    ----------
    init : str
        ``'warm'``, ``'scratch'``, or the path of a model file.
    context : bool
        Which of the two shipped networks ``'warm'`` is: the one that sees what is beside a plane?

    Raises
    ------
    CheckpointError
        If the file is missing or damaged.
    """
    if init == StartFrom.SCRATCH:
        return None
    if init == StartFrom.UNSAVED and not Path(init).is_file():
        raise CheckpointError(
            'the training began with a model that was not saved, so its weights are not here'
        )
    if init != StartFrom.WARM:
        return ScoreModel.load(init)
    return warm_start_with_context() if context else warm_start()


@cache
def warm_start(file: Path = FILE) -> ScoreModel:
    """The weights that ship with the package; not to be changed by who gets them.

    Raises
    ------
    CheckpointError
        If the installed file is not the one that was released.
    """
    return _released(file, SHA256)


@cache
def warm_start_with_context(file: Path = CONTEXT_FILE) -> ScoreModel:
    """The weights of the network that sees what is beside a plane; as `warm_start`."""
    return _released(file, CONTEXT_SHA256)


def _released(file: Path, expected: str) -> ScoreModel:
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(
            f'{file}: the weights of the warm start are not installed; install '
            'napari-noise2score again, or train from scratch (init scratch, --init scratch)'
        ) from error
    if found != expected:
        raise CheckpointError(
            f'{file}: damaged weights of the warm start (SHA-256 {found[:12]}..., not '
            f'{expected[:12]}...); install napari-noise2score again, or train from scratch (init '
            'scratch, --init scratch)'
        )
    return ScoreModel.load(file)
