"""OME-TIFF: sizes and channels, read from and written to OME-XML.

The planes of an image are ordered along T, Z and C in any order, and each may contain samples S of
a pixel. Integers have 8, 16 or 32 bits, real numbers 32 or 64.
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
"""Axes other than T, Z and C that OME-XML can describe."""
_UNWRITTEN = {'cm': 'µm', 'in': 'µm'}
"""Replacement of units that readers of OME-TIFF do not expect."""


def stated(xml: str, number: int, name: str = '') -> Acquisition:
    """Metadata of image ``number``, counted from 0, from OME-XML.

    If that has another ``name``, those of the only image of this name: images of which the files
    are missing are not counted.

    Raises
    ------
    ParseError
        If it is not XML.
    """
    root = ET.fromstring(xml)
    images = [
        (image.get('Name', ''), pixels_element)
        for image in _all(root, 'Image')
        for pixels_element in _all(image, 'Pixels')
    ]
    if not images:
        return Acquisition()
    own, pixels = images[number if number < len(images) else 0]
    named = [other for known, other in images if name and known == name]
    if own != name and len(named) == 1:
        (pixels,) = named
    channels = tuple(_channel(element.attrib) for element in _all(pixels, 'Channel'))
    known = any(channel != ChannelInfo() for channel in channels)
    return Acquisition(_spacing(pixels.attrib), channels if known else ())


def rescued(xml: str) -> tuple[Acquisition, str, dict[str, int]]:
    """Metadata that can be read from damaged OME-XML.

    Returns
    -------
    (Acquisition, str, dict)
        Sizes; axes of the planes, of which the last one changes fastest, empty if they cannot be
        read; and the length of each axis.
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


def from_words(metadata: Mapping[str, Any]) -> Acquisition:
    """Sizes and channels from a mapping with the names of OME-XML attributes."""
    channels = metadata.get('Channel', ())
    if isinstance(channels, Mapping):  # a list for each name, which tifffile accepts too
        names = channels.get('Name', ())
        names = [names] if isinstance(names, str) else names
        channels = [{'Name': name} for name in names]
    infos = tuple(_channel(channel) for channel in channels if isinstance(channel, Mapping))
    return Acquisition(_spacing(metadata), infos)


def _all(element: ET.Element, tag: str) -> list[ET.Element]:
    """Child elements with this tag, for any version of the schema."""
    return [child for child in element if child.tag.rpartition('}')[2] == tag]


def _spacing(attributes: Mapping[str, Any]) -> dict[str, Spacing]:
    spacing = {
        axis: Spacing.of(
            attributes.get(f'PhysicalSize{axis}'), attributes.get(f'PhysicalSize{axis}Unit', 'µm')
        )
        for axis in 'XYZ'
    }
    spacing['T'] = Spacing.of(
        attributes.get('TimeIncrement'), attributes.get('TimeIncrementUnit', 's')
    )
    return {axis: step for axis, step in spacing.items() if step is not None}


def _channel(attributes: Mapping[str, Any]) -> ChannelInfo:
    waves = []
    for kind in ('Emission', 'Excitation'):
        unit = attributes.get(f'{kind}WavelengthUnit', 'nm')
        waves.append(Spacing.of(attributes.get(f'{kind}Wavelength'), unit))
    return ChannelInfo(str(attributes.get('Name', '')), _colour(attributes.get('Color')), *waves)


def _colour(text: Any) -> Colour | None:
    """Colour from a signed integer of 32 bits: red, green, blue, opacity."""
    try:
        value = int(text) & 0xFFFFFFFF
    except (TypeError, ValueError):
        return None
    return value >> 24, (value >> 16) & 0xFF, (value >> 8) & 0xFF


def described(acquisition: Acquisition, axes: str, shape: Sequence[int]) -> dict[str, Any]:
    """Metadata for the OME-XML of an image, as tifffile expects it."""
    metadata: dict[str, Any] = {'axes': axes}
    for axis in 'XYZ':
        step = acquisition.spacing.get(axis)
        if step is not None:
            metadata |= _length(f'PhysicalSize{axis}', step)
    step = acquisition.spacing.get('T')
    if step is not None:
        metadata |= {'TimeIncrement': step.size, 'TimeIncrementUnit': step.unit or 's'}
    channels = acquisition.named(dict(zip(axes, shape, strict=True)).get('C', 1))
    if channels:
        metadata['Channel'] = [_attributes(channel) for channel in channels]
    return metadata


def _length(name: str, step: Spacing) -> dict[str, Any]:
    unit = _UNWRITTEN.get(step.unit, step.unit)
    size = step.within(unit)
    return {name: size, f'{name}Unit': unit or 'pixel'}


def _attributes(channel: ChannelInfo) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if channel.name:
        attributes['Name'] = channel.name
    if channel.colour is not None:
        red, green, blue = channel.colour
        value = red << 24 | green << 16 | blue << 8 | 0xFF
        attributes['Color'] = value - (1 << 32) if value >= 1 << 31 else value
    for kind, wave in (('Emission', channel.emission), ('Excitation', channel.excitation)):
        if wave is not None:
            attributes |= _length(f'{kind}Wavelength', wave)
    return attributes
