"""What the attributes of an OME-Zarr group state: axes, sizes, channels, and what is passed on.

Version 0.4 has them at the top, version 0.5 under ``ome``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.images.acquisition import Acquisition, ChannelInfo, Colour, Spacing
from napari_noise2score.images.axes import FURTHER, KNOWN, complete_axes
from napari_noise2score.images.region import Region

RECORD = 'noise2score'
"""The attribute that holds the report of a result."""
WAVES = ('emissionWave', 'excitationWave')
"""Entries of a channel under ``omero`` with wavelengths in nm, as OMERO names them."""
_READ = ('0.4', '0.5')
_OWN = frozenset(
    {
        *('version', 'multiscales', 'omero', 'labels', 'image-label'),
        *('plate', 'well', 'series', 'bioformats2raw.layout'),
    }
)
"""Attributes of OME-Zarr. They describe the group that they stand in, and its other groups."""
_OF_LEVELS = frozenset(
    {'version', 'name', 'axes', 'datasets', 'coordinateTransformations', 'type', 'metadata'}
)
"""What a multiscale states of its axes and levels."""


def record_of(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The report in the attributes of a result on the local disk; None if there is none."""
    try:
        text = Path(path, 'zarr.json').read_text(encoding='utf-8')
        found = json.loads(text)['attributes'][RECORD]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class Inherited:
    """What an OME-Zarr image states besides sizes and channels, and hands on to a result.

    Parameters
    ----------
    attributes : mapping
        Attributes of its group that are none of OME-Zarr.
    ome : mapping
        Entries beside ``multiscales`` under ``ome`` that are not known here.
    multiscale : mapping
        Entries of its multiscale that are not known here.
    omero : mapping
        How it is displayed, with a list of ``channels``.
    name : str
        Of the image.
    origin : mapping of str to float
        Where the first pixel lies, by axis letter, in the units of the spacing.
    array : mapping
        Attributes of its array in full resolution.
    xml : str
        OME-XML of the image, as bioformats2raw writes it beside images; empty if there is none.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    ome: Mapping[str, Any] = field(default_factory=dict)
    multiscale: Mapping[str, Any] = field(default_factory=dict)
    omero: Mapping[str, Any] = field(default_factory=dict)
    name: str = ''
    origin: Mapping[str, float] = field(default_factory=dict)
    array: Mapping[str, Any] = field(default_factory=dict)
    xml: str = ''

    def part(self, region: Region, spacing: Mapping[str, Spacing]) -> Inherited:
        """Of a region: another origin, of the channels some may be left, and no OME-XML."""
        origin = dict(self.origin)
        for letter, (start, _) in region.ranges.items():
            if letter in 'TZYX' and start and letter in spacing:
                origin[letter] = origin.get(letter, 0.0) + start * spacing[letter].size
        omero = dict(self.omero)
        channels = omero.get('channels')
        if 'C' in region.ranges and isinstance(channels, list):
            omero['channels'] = channels[slice(*region.ranges['C'])]
        return replace(self, origin=origin, omero=omero, xml='' if region.ranges else self.xml)


NOTHING_INHERITED = Inherited()
"""Of an image that is no OME-Zarr."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What the metadata of an image state.

    Attributes
    ----------
    dataset : str
        Path of the array in full resolution.
    axes : str
        One letter for each axis of that array.
    acquisition : Acquisition
        Sizes and channels.
    inherited : Inherited
        What else there is.
    notes : tuple of str
        What is missing or not understood.
    """

    dataset: str
    axes: str
    acquisition: Acquisition
    inherited: Inherited
    notes: tuple[str, ...] = ()


def ome_part(attributes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The attributes that OME-Zarr defines, of either version, and the others.

    Raises
    ------
    InputError
        If they are of a version that is not read.
    """
    inner = attributes.get('ome')
    if isinstance(inner, Mapping):
        ome = dict(inner)
        others = {key: value for key, value in attributes.items() if key != 'ome'}
    else:
        ome = {key: value for key, value in attributes.items() if key in _OWN}
        others = {key: value for key, value in attributes.items() if key not in _OWN}
    for stated in (ome, *multiscales_of(ome)):
        version = stated.get('version')
        if version is not None and not str(version).startswith(_READ):
            raise InputError(
                f'it is OME-Zarr of version {version}; versions {" and ".join(_READ)} are accepted'
            )
    return ome, others


def multiscales_of(ome: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The images that a group states, each with its levels; what is no mapping is left out."""
    found = ome.get('multiscales')
    images = found if isinstance(found, list) else []
    return [dict(image) for image in images if isinstance(image, Mapping)]


def stated(
    multiscale: Mapping[str, Any],
    ome: Mapping[str, Any],
    others: Mapping[str, Any],
    axes: str | None = None,
) -> Stated:
    """What is stated of an image.

    Parameters
    ----------
    multiscale : mapping
        The image, one entry of ``multiscales``.
    ome, others : mapping
        All attributes of its group, as `ome_part` separates them.
    axes : str, optional
        Letters that the user gives instead of those of the file.

    Raises
    ------
    InputError
        If it names no axes or no array.
    """
    dataset = _dataset(multiscale)
    entries = multiscale.get('axes')
    if not isinstance(entries, list) or not all(isinstance(one, Mapping) for one in entries):
        raise InputError(
            f'its axes are {entries!r}; a list of axes with a name and a type is needed, as in '
            f'OME-Zarr {" and ".join(_READ)}'
        )
    letters, notes = _letters(entries)
    steps, origin, more = _placed(multiscale, dataset, letters)
    spacing = {
        letter: step
        for letter, size, entry in zip(letters, steps, entries, strict=True)
        if letter in 'TZYX' and (step := _spacing(size, entry.get('unit'))) is not None
    }
    omero = ome.get('omero')
    omero = dict(omero) if isinstance(omero, Mapping) else {}
    inherited = Inherited(
        {key: value for key, value in others.items() if key != RECORD},
        {key: value for key, value in ome.items() if key not in _OWN},
        {key: value for key, value in multiscale.items() if key not in _OF_LEVELS},
        omero,
        str(multiscale.get('name') or ''),
        {a: o for a, o in zip(letters, origin, strict=True) if o and a in 'TZYX'},
    )
    acquisition = Acquisition(spacing, _channels(omero))
    if axes is not None and axes.upper() != letters:
        inherited = replace(inherited, origin={})
    return Stated(str(dataset['path']), letters, acquisition, inherited, (*notes, *more))


def _dataset(multiscale: Mapping[str, Any]) -> Mapping[str, Any]:
    """The array in full resolution: the first one."""
    datasets = multiscale.get('datasets')
    first = datasets[0] if isinstance(datasets, list) and datasets else None
    if not isinstance(first, Mapping) or not isinstance(first.get('path'), str):
        raise InputError(
            "its metadata name no array; 'datasets' with a 'path' are needed, the full resolution "
            'first'
        )
    return first


def _letters(entries: Sequence[Mapping[str, Any]]) -> tuple[str, tuple[str, ...]]:
    """A letter for each axis, by its type, else by its name; and notes on those not known."""
    found = []
    for entry in entries:
        kind, name = str(entry.get('type') or ''), str(entry.get('name') or '')
        letter = {'time': 'T', 'channel': 'C'}.get(kind, name.upper())
        found.append(letter if len(letter) == 1 and letter in KNOWN else '?')
    spatial = [i for i, entry in enumerate(entries) if entry.get('type') == 'space']
    if any(found[i] not in 'ZYX' for i in spatial) and len(spatial) <= len('ZYX'):
        for place, letter in zip(spatial[::-1], 'XYZ', strict=False):
            found[place] = letter
    free = [letter for letter in FURTHER if letter not in found]
    notes = []
    for place, letter in enumerate(found):
        if letter == '?' and free:
            found[place] = free.pop(0)
            notes.append(
                f'its axis {entries[place].get("name")!r} is of no known kind and is read as '
                f'{found[place]}; name the axes with --axes if it is another'
            )
    return complete_axes(''.join(found)), tuple(notes)


def _placed(
    multiscale: Mapping[str, Any], dataset: Mapping[str, Any], letters: str
) -> tuple[list[float], list[float], tuple[str, ...]]:
    """Steps and origin along each axis in full resolution, and a note if they are not stated."""
    steps, origin = [1.0] * len(letters), [0.0] * len(letters)
    scaled, wrong = False, False
    for owner in (dataset, multiscale):
        listed = owner.get('coordinateTransformations')
        for one in listed if isinstance(listed, list) else []:
            kind = one.get('type') if isinstance(one, Mapping) else None
            values = _numbers(one.get(kind), len(letters)) if kind else None
            if kind == 'scale' and values and all(values):
                scaled = True
                steps = [step * by for step, by in zip(steps, values, strict=True)]
                origin = [at * by for at, by in zip(origin, values, strict=True)]
            elif kind == 'translation' and values:
                origin = [at + by for at, by in zip(origin, values, strict=True)]
            elif kind != 'identity':
                wrong = True
    if wrong:
        return steps, origin, ('some of its coordinate transformations are not understood',)
    return steps, origin, () if scaled else ('its metadata state no pixel size',)


def _numbers(values: Any, count: int) -> list[float] | None:
    if not isinstance(values, list) or len(values) != count:
        return None
    numbers = [one for one in values if isinstance(one, int | float)]
    return [float(one) for one in numbers] if len(numbers) == count else None


def _spacing(size: float, unit: Any) -> Spacing | None:
    """A step along an axis; 1 without a unit stands for a size that is not known."""
    return Spacing.of(size, unit) if unit or size != 1 else None


def _channels(omero: Mapping[str, Any]) -> tuple[ChannelInfo, ...]:
    infos = tuple(
        ChannelInfo(
            str(one.get('label') or ''),
            colour_of(one.get('color')),
            *(Spacing.of(one.get(wave), 'nm') for wave in WAVES),
        )
        for one in displayed(omero)
    )
    return infos if any(info != ChannelInfo() for info in infos) else ()


def displayed(omero: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """How each channel is displayed; nothing of one where that is not understood."""
    listed = omero.get('channels')
    channels = listed if isinstance(listed, list) else []
    return [one if isinstance(one, Mapping) else {} for one in channels]


def colour_of(text: Any) -> Colour | None:
    """From six hexadecimal digits."""
    digits = text.lstrip('#') if isinstance(text, str) else ''
    try:
        red, green, blue = bytes.fromhex(digits[:6])
    except ValueError:
        return None
    return red, green, blue
