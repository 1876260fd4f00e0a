"""OME-TIFF: sizes and channels from and into OME-XML.

The planes of an image are ordered along T, Z and C in any order, and each may hold samples S of a
pixel. Whole numbers have 8, 16 or 32 bits, real ones 32 or 64.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from napari_noise2score.images.acquisition import Acquisition, ChannelInfo, Colour, Spacing

SUFFIXES = ('.ome.tif', '.ome.tiff')
DTYPES = (
    *('int8', 'int16', 'int32', 'uint8', 'uint16', 'uint32'),
    *('float32', 'float64', 'bool', 'complex64', 'complex128'),
)
FURTHER = 'PRAEH'
"""Axes besides T, Z and C that have a word in OME-XML."""
_UNWRITTEN = {'cm': 'µm', 'in': 'µm'}
"""Units of resolution tags, which readers of OME-TIFF do not expect."""


def stated(xml: str, number: int) -> Acquisition:
    """What OME-XML tells of image ``number``, counted from 0.

    Raises
    ------
    ParseError
        If it is no XML.
    """
    root = ET.fromstring(xml)
    images = [found for image in _all(root, 'Image') for found in _all(image, 'Pixels')]
    if not images:
        return Acquisition()
    pixels = images[number if number < len(images) else 0]
    channels = tuple(_channel(element.attrib) for element in _all(pixels, 'Channel'))
    known = any(channel != ChannelInfo() for channel in channels)
    return Acquisition(_spacing(pixels.attrib), channels if known else ())


def rescued(xml: str) -> tuple[Acquisition, str, dict[str, int]]:
    """What can still be read of damaged OME-XML.

    Returns
    -------
    (Acquisition, str, dict)
        Sizes; axes of the planes, the last one runs fastest, empty if that cannot be read; and
        the length of each axis.
    """
    opening = re.search(r'<(?:\w+:)?Pixels\b([^<>]*)', xml)
    text = opening[1] if opening else ''
    attributes = dict(re.findall(r'(\w+)="([^"<>]*)"', text))
    order = attributes.get('DimensionOrder', '')
    sizes = {
        axis: int(size)
        for axis in 'TCZ'
        if (size := attributes.get(f'Size{axis}', '')).isdecimal() and len(size) < 9
    }
    whole = sorted(order) == sorted('XYZCT') and len(sizes) == 3
    return Acquisition(_spacing(attributes)), order[:1:-1] if whole else '', sizes


def from_words(said: Mapping[str, Any]) -> Acquisition:
    """Sizes and channels that stand in a mapping with the names of OME-XML attributes."""
    channels = said.get('Channel', ())
    if isinstance(channels, Mapping):  # a list for each name, as tifffile takes it too
        names = channels.get('Name', ())
        names = [names] if isinstance(names, str) else names
        channels = [{'Name': name} for name in names]
    infos = tuple(_channel(channel) for channel in channels if isinstance(channel, Mapping))
    return Acquisition(_spacing(said), infos)


def _all(element: ET.Element, tag: str) -> list[ET.Element]:
    """Children of a name, whatever the version of the schema."""
    return [child for child in element if child.tag.rpartition('}')[2] == tag]


def _spacing(attributes: Mapping[str, Any]) -> dict[str, Spacing]:
    found = {
        axis: Spacing.of(
            attributes.get(f'PhysicalSize{axis}'), attributes.get(f'PhysicalSize{axis}Unit', 'µm')
        )
        for axis in 'XYZ'
    }
    found['T'] = Spacing.of(
        attributes.get('TimeIncrement'), attributes.get('TimeIncrementUnit', 's')
    )
    return {axis: step for axis, step in found.items() if step is not None}


def _channel(attributes: Mapping[str, Any]) -> ChannelInfo:
    waves = []
    for kind in ('Emission', 'Excitation'):
        unit = attributes.get(f'{kind}WavelengthUnit', 'nm')
        waves.append(Spacing.of(attributes.get(f'{kind}Wavelength'), unit))
    return ChannelInfo(str(attributes.get('Name', '')), _colour(attributes.get('Color')), *waves)


def _colour(text: Any) -> Colour | None:
    """From a signed whole number of 32 bits: red, green, blue, opacity."""
    try:
        value = int(text) & 0xFFFFFFFF
    except (TypeError, ValueError):
        return None
    return value >> 24, (value >> 16) & 0xFF, (value >> 8) & 0xFF


def described(acquisition: Acquisition, axes: str, shape: Sequence[int]) -> dict[str, Any]:
    """What tifffile is to write into the OME-XML of an image."""
    said: dict[str, Any] = {'axes': axes}
    for axis in 'XYZ':
        step = acquisition.spacing.get(axis)
        if step is not None:
            said |= _length(f'PhysicalSize{axis}', step)
    step = acquisition.spacing.get('T')
    if step is not None:
        said |= {'TimeIncrement': step.size, 'TimeIncrementUnit': step.unit or 's'}
    channels = acquisition.named(dict(zip(axes, shape, strict=True)).get('C', 1))
    if channels:
        said['Channel'] = [_attributes(channel) for channel in channels]
    return said


def _length(name: str, step: Spacing) -> dict[str, Any]:
    unit = _UNWRITTEN.get(step.unit, step.unit)
    size = step.within(unit)
    return {name: size, f'{name}Unit': unit or 'pixel'}


def _attributes(channel: ChannelInfo) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if channel.name:
        said['Name'] = channel.name
    if channel.colour is not None:
        red, green, blue = channel.colour
        value = red << 24 | green << 16 | blue << 8 | 0xFF
        said['Color'] = value - (1 << 32) if value >= 1 << 31 else value
    for kind, wave in (('Emission', channel.emission), ('Excitation', channel.excitation)):
        if wave is not None:
            said |= _length(f'{kind}Wavelength', wave)
    return said
