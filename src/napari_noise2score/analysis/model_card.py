"""Description of a trained model in words, for the panel, the export and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_noise2score.analysis.training_gain import gain_words
from napari_noise2score.errors import InputError
from napari_noise2score.noise.families import family_from_dict
from napari_noise2score.settings import StartFrom

if TYPE_CHECKING:
    from napari_noise2score.score.model import ScoreModel

_STARTS = {'warm': 'the pretrained weights', 'scratch': 'random weights'}
_UNKNOWN = 'not recorded'
_DIGITS = 12
_MOST_NOISES = 3


def card_of(model: ScoreModel) -> dict[str, str]:
    """Training data, training and gain of a model: plain text by its heading.

    The text is ``'not recorded'`` if the file does not contain the value.

    Parameters
    ----------
    model : ScoreModel
        A trained model, also from a file of an older version.
    """
    training = model.training
    if 'pretraining' in training:
        steps = training['pretraining'].get('steps_done', '?')
        images, duration = (
            'synthetic images of many kinds, no microscope images',
            f'{steps} steps (pretraining)',
        )
    else:
        images, duration = _images_words(model.data), _training_words(training)
    card = {'Trained on': images, 'Noise': _noise_words(model.data), 'Training': duration}
    gain = _gain_words(training)
    if gain is not None:
        card['Gain'] = gain
    card['Made'] = _made_words(model.data)
    card['Versions'] = _versions_words(model.data)
    network = model.network.settings
    card['Network'] = (
        f'{network.channels} channels, {network.levels} levels, {network.blocks} blocks a level; '
        f'loss {model.loss}'
    )
    card['Weights'] = f'SHA-256 {model.digest[:_DIGITS]}'
    return card


def _images(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    images = data.get('images')
    listed = images if isinstance(images, list) else []
    return [image for image in listed if isinstance(image, dict)]


def _images_words(data: Mapping[str, Any]) -> str:
    words = []
    for image in _images(data):
        shape = ' \N{MULTIPLICATION SIGN} '.join(str(side) for side in image.get('shape', []))
        words.append(f'{image.get("name", "?")} ({image.get("axes", "?")}, {shape})')
    return '; '.join(words) or _UNKNOWN


def _noise_words(data: Mapping[str, Any]) -> str:
    words: dict[str, None] = {}
    for image in _images(data):
        for record in image.get('noise') or []:
            try:
                words[str(family_from_dict(record))] = None
            except (InputError, TypeError, ValueError):
                words[_UNKNOWN] = None
    shown = list(words)[:_MOST_NOISES]
    more = [f'{len(words) - len(shown)} more'] if len(words) > len(shown) else []
    return '; '.join([*shown, *more]) or _UNKNOWN


def _training_words(training: Mapping[str, Any]) -> str:
    if 'steps_done' not in training:
        return _UNKNOWN
    steps = training['steps_done']
    parts = [f'{steps} step' if steps == 1 else f'{steps} steps']
    if training.get('seconds') is not None:
        parts.append(f'{training["seconds"]:g} s at most')
    init = str(training.get('init', 'scratch'))
    start = _STARTS.get(init)
    if start is None:
        digest = str((training.get('start') or {}).get('sha256', ''))[:_DIGITS]
        name = 'another model' if init == StartFrom.UNSAVED else Path(init).name
        start = f'{name} (SHA-256 {digest})' if digest else name
    return f'{", ".join(parts)}, from {start}'


def _gain_words(training: Mapping[str, Any]) -> str | None:
    try:
        return gain_words(dict(training))
    except (AttributeError, KeyError, TypeError):  # a file from another version
        return None


def _made_words(data: Mapping[str, Any]) -> str:
    try:
        return f'{datetime.fromisoformat(str(data["made"])):%Y-%m-%d %H:%M} UTC'
    except (KeyError, ValueError):
        return _UNKNOWN


def _versions_words(data: Mapping[str, Any]) -> str:
    versions = data.get('versions')
    known = versions if isinstance(versions, dict) else {}
    names = ('napari-noise2score', 'torch')
    return ', '.join(f'{name} {known[name]}' for name in names if name in known) or _UNKNOWN
