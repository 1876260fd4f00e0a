"""ImageJ hyperstacks: sizes and channels, read from and written to their description.

A hyperstack has the axes TZCYXS in this order, of 8 or 16 bit integers or float32; colours are 8
bit. X, Y and Z have one unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.acquisition import (
    Acquisition,
    ChannelInfo,
    Colour,
    Spacing,
    unit_symbol,
)
from napari_noise2score.images.tiff.tags import Resolution

ORDER = 'TZCYXS'
DTYPES = ('uint8', 'uint16', 'int16', 'float32')
COLOURS = (3, 4)
_MOST_COMPOSITE = 7
_WORDS = {'µm': 'micron', 'in': 'inch', 'Å': 'angstrom', 's': 'sec', 'µs': 'usec', '': 'pixel'}
"""Names of units as ImageJ writes them; a description is ASCII."""
_PLACE = re.compile(r'^(?:[czt]:\d+/\d+\s*)+-\s*')
"""Prefix that Bio-Formats writes before the name of a plane."""


def stated(
    metadata: Mapping[str, Any], resolution: Resolution, counts: Mapping[str, int]
) -> Acquisition:
    """Metadata from a description and the resolution tags.

    Parameters
    ----------
    metadata : mapping
        The description, as tifffile reads it, with `Labels` and `LUTs`.
    resolution : Resolution
        Pixels per unit along X and Y.
    counts : mapping of str to int
        Lengths of the existing axes among T, Z and C.
    """
    unit = unit_symbol(metadata.get('unit', ''))
    units = {'X': unit, 'Y': unit, 'Z': unit}
    for axis in 'YZ':
        units[axis] = unit_symbol(metadata.get(f'{axis.lower()}unit', '')) or unit
    spacing: dict[str, Spacing] = {}
    for axis in 'XY':
        step = resolution.spacing(axis, units[axis])
        if step is not None:
            spacing[axis] = step
    depth = Spacing.of(metadata.get('spacing'), units['Z'] or resolution.unit)
    if depth is not None and (depth.unit or depth.size != 1):
        spacing['Z'] = depth
    rate = Spacing.of(metadata.get('fps'))
    interval = Spacing.of(metadata.get('finterval') or (1 / rate.size if rate else None))
    if interval is not None:
        spacing['T'] = Spacing(interval.size, unit_symbol(metadata.get('tunit', 's')))
    return Acquisition(spacing, _channels(metadata, counts))


def _channels(metadata: Mapping[str, Any], counts: Mapping[str, int]) -> tuple[ChannelInfo, ...]:
    count, planes = counts.get('C', 1), math.prod(counts.values())
    labels = metadata.get('Labels', ())
    labels = [labels] if isinstance(labels, str) else list(labels)
    names = [''] * count
    if len(labels) == planes:
        texts = [_PLACE.sub('', str(label).partition('\n')[0].strip()) for label in labels]
        for place in range(count):
            own = set(texts[place::count])
            names[place] = own.pop() if len(own) == 1 else ''
    tables = metadata.get('LUTs', ())
    tables = list(tables) if isinstance(tables, Sequence) else [tables]
    colours = [_colour(table) for table in tables] if len(tables) == count else [None] * count
    return tuple(map(ChannelInfo, names, colours)) if any(names) or any(colours) else ()


def _colour(table: Any) -> Colour | None:
    """The colour of the largest value in a table that begins with black."""
    values = np.asarray(table)
    if values.shape != (3, 256) or values[:, 0].any() or not values[:, -1].any():
        return None
    red, green, blue = (int(value) for value in values[:, -1])
    return red, green, blue


def described(
    acquisition: Acquisition, axes: str, shape: Sequence[int]
) -> tuple[dict[str, Any], Resolution]:
    """Metadata for the description, as tifffile expects it, and the resolution tags.

    Parameters
    ----------
    acquisition : Acquisition
        Sizes and channels.
    axes : str
        Axes in the order of a hyperstack.
    shape : sequence of int
        Length of each axis.
    """
    spacing = acquisition.spacing
    first = next((spacing[axis] for axis in 'XYZ' if axis in spacing), Spacing(1))
    unit = first.unit
    metadata: dict[str, Any] = {'axes': axes}
    if unit:
        metadata['unit'] = _word(unit)
    for axis in 'YZ':
        step = spacing.get(axis)
        if step is not None and step.within(unit) is None:
            metadata[f'{axis.lower()}unit'] = _word(step.unit)
    if 'Z' in spacing:
        metadata['spacing'] = _size(spacing['Z'], unit)
    if 'T' in spacing:
        step = spacing['T']
        seconds = step.within('s')
        metadata['finterval'] = step.size if seconds is None else seconds
        if seconds is None:
            metadata['tunit'] = _word(step.unit)
    sizes = {axis: _size(spacing[axis], unit) for axis in 'XY' if axis in spacing}
    metadata |= _labels(acquisition, axes, shape)
    return metadata, Resolution(sizes, unit)


def _size(step: Spacing, unit: str) -> float:
    converted = step.within(unit)
    return step.size if converted is None else converted


def _word(unit: str) -> str:
    """The name of a unit in ASCII."""
    return _WORDS.get(unit, unit).encode('ascii', 'backslashreplace').decode()


def _labels(acquisition: Acquisition, axes: str, shape: Sequence[int]) -> dict[str, Any]:
    """A label for every plane, and the colours of the channels."""
    lengths = dict(zip(axes, shape, strict=True))
    count = lengths.get('C', 1)
    channels = acquisition.named(count)
    metadata: dict[str, Any] = {}
    if any(channel.name for channel in channels):
        planes = math.prod(lengths.get(axis, 1) for axis in 'TZ')
        metadata['Labels'] = [channel.name for channel in channels] * planes
    colours = [channel.colour for channel in channels if channel.colour is not None]
    if channels and len(colours) == count:
        metadata['LUTs'] = [_table(colour) for colour in colours]
        if 1 < count <= _MOST_COMPOSITE:
            metadata['mode'] = 'composite'
    return metadata


def _table(colour: Colour) -> NDArray[np.uint8]:
    ramp = np.arange(256)[None] * np.array(colour)[:, None] / 255
    return np.asarray(np.rint(ramp), np.uint8)
