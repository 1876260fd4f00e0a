"""What the other frames or slices smoothed in a result, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_noise2score.images.axes import place_words, plane_words
from napari_noise2score.noise.digits import percent

_PLACES = {'steady': 'where nothing changes', 'unsteady': 'where it does'}


def smoothing_words(report: Mapping[str, Any]) -> list[str]:
    """One sentence for each channel that was cleaned with the help of other planes.

    Parameters
    ----------
    report : mapping
        Report of a result.
    """
    channels = report['channels']
    sentences = []
    for channel in channels:
        context = channel.get('context') or {}
        if not context.get('response'):
            continue
        where = f'{place_words(channel["place"])}: ' if len(channels) > 1 else ''
        sentences.append(where + _sentence(context['response'], *plane_words(context['axis'])))
    return sentences


def _sentence(response: Mapping[str, Any], one: str, many: str) -> str:
    parts = [
        f'{words}, {percent(found["own"])} of a weak event in a single {one} are kept in it, and '
        f'{percent(2 * sum(found["beside"]))} appear in the {many} beside it'
        for name, words in _PLACES.items()
        if (found := response.get(name)) is not None
    ]
    text = '; '.join(parts)
    return f'The other {many} were used: {text}.'
