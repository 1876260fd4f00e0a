"""What a result states of how it was made: enough to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RECIPE = 'recipe'
"""Key of the recipe in what a TIFF states."""

_KEYS = (
    'source',
    'shape',
    'axes',
    'crc32',
    'region',
    'dtype',
    'correction',
    'risk',
    'settings',
    'seed',
    'views',
    'model',
    'versions',
    'learn_from',
    'learned_context',
)
_OF_CHANNELS = ('place', 'noise', 'sigma_a')
_OF_TRAINING = ('steps_done', 'delivered_step', 'start', 'device')


def recipe(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a report that says how a result was made, without the measurements."""
    found = {key: record[key] for key in _KEYS if key in record}
    channels = [
        {key: channel[key] for key in _OF_CHANNELS if key in channel}
        for channel in record.get('channels', [])
    ]
    training = record.get('training') or {}
    trained = {key: training[key] for key in _OF_TRAINING if key in training}
    images = len(record.get('trained_on') or [])
    return {**found, 'training': trained, 'channels': channels, 'images': images}
