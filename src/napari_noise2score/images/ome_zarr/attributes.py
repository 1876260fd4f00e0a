"""The attributes of an OME-Zarr group of version 0.5, as they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_noise2score.images.acquisition import Acquisition, ChannelInfo
from napari_noise2score.images.ome_zarr.metadata import (
    NOTHING_INHERITED,
    RECORD,
    WAVES,
    Inherited,
    colour_of,
    displayed,
)
from napari_noise2score.plain import plain

VERSION = '0.5'
_UNIT_WORDS = {
    'pm': 'picometer',
    'Å': 'angstrom',
    'nm': 'nanometer',
    'µm': 'micrometer',
    'mm': 'millimeter',
    'cm': 'centimeter',
    'm': 'meter',
    'in': 'inch',
    'ns': 'nanosecond',
    'µs': 'microsecond',
    'ms': 'millisecond',
    's': 'second',
    'min': 'minute',
    'h': 'hour',
    'd': 'day',
}
_RGB = (('Red', (255, 0, 0)), ('Green', (0, 255, 0)), ('Blue', (0, 0, 255)), ('Alpha', None))
_WHITE = 'FFFFFF'
_PALETTE = ('00FF00', 'FF00FF', '00FFFF', 'FFFF00', 'FF0000', '0000FF')
"""Colours of channels where others have one, or a name."""

Limits = tuple[float, float]
"""Least and greatest value of a channel."""


def described(
    axes: str,
    shapes: Sequence[Sequence[int]],
    acquisition: Acquisition,
    *,
    name: str,
    steps: Sequence[Sequence[float]],
    limits: Sequence[Limits] = (),
    inherited: Inherited = NOTHING_INHERITED,
    record: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Attributes of a group of version 0.5.

    Parameters
    ----------
    axes : str
        In the order of the arrays; colours ``S`` are written as channels.
    shapes : sequence of shapes
        Of the levels, full resolution first; their arrays are called 0, 1, ...
    acquisition : Acquisition
        Sizes and channels.
    name : str
        Of the image, if ``inherited`` has none.
    steps : sequence of sequences
        By how much a pixel of each level is larger than one in full resolution, along each axis.
    limits : sequence of (float, float)
        Least and greatest value of each channel, for displays.
    inherited : Inherited
        What the source hands on.
    record : mapping, optional
        The report of the result.
    """
    sizes = [_size(acquisition, letter) for letter in axes]
    origin = [float(inherited.origin.get(letter, 0.0)) for letter in axes]
    multiscale = {
        'name': inherited.name or name,
        'axes': [_axis(letter, acquisition) for letter in axes],
        'datasets': [
            {'path': str(level), 'coordinateTransformations': _transformations(sizes, origin, by)}
            for level, by in enumerate(steps)
        ],
        'type': 'mean',
        'metadata': {'description': 'Means over 2 x 2 pixels of the level before.'},
    }
    ome: dict[str, Any] = {
        **inherited.ome,
        'version': VERSION,
        'multiscales': [{**inherited.multiscale, **multiscale}],
    }
    place = next((axes.index(letter) for letter in 'CS' if letter in axes), None)
    count = 1 if place is None else shapes[0][place]
    omero = _omero(_infos(axes, acquisition, count), limits, inherited.omero)
    if omero:
        ome['omero'] = omero
    attributes: dict[str, Any] = {**inherited.attributes, 'ome': ome}
    if record is not None:
        attributes[RECORD] = record
    plainly: dict[str, Any] = plain(attributes)
    return plainly


def _size(acquisition: Acquisition, letter: str) -> float:
    step = acquisition.spacing.get(letter)
    return 1.0 if step is None else step.size


def _axis(letter: str, acquisition: Acquisition) -> dict[str, str]:
    if letter in 'CS':
        return {'name': 'c', 'type': 'channel'}
    found = {'name': letter.lower()}
    if letter not in 'TZYX':
        return found
    found['type'] = 'time' if letter == 'T' else 'space'
    step = acquisition.spacing.get(letter)
    if step is not None and step.unit:
        found['unit'] = _UNIT_WORDS.get(step.unit, step.unit)
    return found


def _transformations(
    sizes: Sequence[float], origin: Sequence[float], by: Sequence[float]
) -> list[dict[str, Any]]:
    """Of a level: a pixel is so many times larger, and its centre lies between those it is of."""
    scale = [_rounded(size * times) for size, times in zip(sizes, by, strict=True)]
    centre = [
        _rounded(at + size * (times - 1) / 2)
        for at, size, times in zip(origin, sizes, by, strict=True)
    ]
    found: list[dict[str, Any]] = [{'type': 'scale', 'scale': scale}]
    return found + ([{'type': 'translation', 'translation': centre}] if any(centre) else [])


def _rounded(number: float) -> float:
    """Without the last digits, which products of decimal fractions get wrong."""
    return float(f'{number:.12g}')


def _infos(axes: str, acquisition: Acquisition, count: int) -> tuple[ChannelInfo, ...]:
    if 'S' in axes and count in (3, 4):
        return tuple(ChannelInfo(word, colour) for word, colour in _RGB[:count])
    return acquisition.named(count)


def _omero(
    infos: Sequence[ChannelInfo], limits: Sequence[Limits], before: Mapping[str, Any]
) -> dict[str, Any]:
    """How channels are displayed: as the source says, else by their names, colours and values."""
    known = displayed(before)
    count = len(limits)
    if not count or (not infos and len(known) != count):
        return {}
    known = known if len(known) == count else [{} for _ in limits]
    infos = infos or [ChannelInfo()] * count
    channels = []
    for number, (channel, info, (least, most)) in enumerate(
        zip(known, infos, limits, strict=True)
    ):
        usual = _WHITE if count == 1 else _PALETTE[number % len(_PALETTE)]
        shown = colour_of(channel.get('color')) or info.colour
        drawn = {
            'active': True,
            **({'label': info.name} if info.name else {}),
            **_waves(info),
            **channel,
            'color': usual if shown is None else bytes(shown).hex().upper(),
            'window': {
                'min': least,
                'max': most,
                'start': least,
                'end': most,
                **_window(channel.get('window')),
            },
        }
        channels.append(drawn)
    return {**before, 'channels': channels}


def _waves(info: ChannelInfo) -> dict[str, float]:
    """Wavelengths in nm; those that are not lengths are left out."""
    waves = zip(WAVES, (info.emission, info.excitation), strict=True)
    lengths = {key: wave.within('nm') for key, wave in waves if wave is not None}
    return {key: size for key, size in lengths.items() if size is not None}


def _window(stated: Any) -> dict[str, Any]:
    """What is understood of a display range."""
    entries = stated.items() if isinstance(stated, Mapping) else ()
    return {key: value for key, value in entries if isinstance(value, int | float)}
