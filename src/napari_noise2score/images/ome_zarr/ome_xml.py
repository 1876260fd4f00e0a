"""OME-XML beside the images of a store, as bioformats2raw writes it.

The file is ``OME/METADATA.ome.xml`` in the root of the store; it describes all of its images.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import DTypeLike

from napari_noise2score.images.acquisition import Acquisition, ChannelInfo
from napari_noise2score.images.ome_zarr.location import Location
from napari_noise2score.images.tiff import ome

FOLDER, FILE = 'OME', 'METADATA.ome.xml'
_LARGEST = 1 << 26
"""Size of the largest file that is read, bytes."""
_TYPES = {'float32': 'float', 'float64': 'double', 'bool': 'bit'}
"""Names of data types in OME-XML, where they are others than in NumPy."""


def read_xml(store: Location) -> str:
    """The OME-XML of a store; empty if there is none that can be read."""
    try:
        if store.remote:
            system, path = store.child(FOLDER).child(FILE).filesystem()
            data = system.cat_file(path, end=_LARGEST)
        else:
            file = os.path.join(store.where, FOLDER, FILE)  # noqa: PTH118
            with open(file, 'rb') as stream:  # noqa: PTH123
                data = stream.read(_LARGEST)
        return str(data.decode('utf-8'))
    except Exception:  # noqa: BLE001 (servers raise classes of their own, see `guard.readable`)
        return ''


def only_image(xml: str, number: int) -> str:
    """OME-XML without the other images; empty if it is damaged or has no such image."""
    try:
        root = ET.fromstring(xml)
    except ET.ParseError:
        return ''
    images = _all(root, 'Image')
    if number >= len(images):
        return ''
    for image in (*images[:number], *images[number + 1 :]):
        root.remove(image)
    return _text(root)


def completed(acquisition: Acquisition, xml: str) -> Acquisition:
    """Sizes and channels, with those of OME-XML where the attributes state nothing."""
    if not xml:
        return acquisition
    known = ome.stated(xml, 0)
    channels = acquisition.channels or known.channels
    if len(channels) == len(known.channels):
        channels = tuple(_joined(*pair) for pair in zip(channels, known.channels, strict=True))
    return Acquisition({**known.spacing, **acquisition.spacing}, channels)


def _joined(channel: ChannelInfo, known: ChannelInfo) -> ChannelInfo:
    return ChannelInfo(
        channel.name or known.name,
        channel.colour or known.colour,
        channel.emission or known.emission,
        channel.excitation or known.excitation,
    )


def for_result(xml: str, axes: str, shape: Sequence[int], dtype: DTypeLike) -> str:
    """OME-XML of a single image with the data type of a result; empty if the sizes differ."""
    try:
        root = ET.fromstring(xml)
    except ET.ParseError:
        return ''
    sizes = dict(zip(axes, shape, strict=True))
    for image in _all(root, 'Image'):
        for pixels in _all(image, 'Pixels'):
            stated = {axis: pixels.get(f'Size{axis}', '1') for axis in 'TCZYX'}
            if stated != {axis: str(sizes.get(axis, 1)) for axis in 'TCZYX'}:
                return ''
            name = np.dtype(dtype).name
            pixels.set('Type', _TYPES.get(name, name))
            pixels.attrib.pop('SignificantBits', None)
    return _text(root)


def write_xml(store: Location, xml: str) -> None:
    """Write OME-XML into a store."""
    place, data = store.child(FOLDER).child(FILE), xml.encode('utf-8')
    if store.remote:
        system, path = place.filesystem()
        system.pipe_file(path, data)
        return
    os.makedirs(os.path.join(store.where, FOLDER), exist_ok=True)  # noqa: PTH103, PTH118
    with open(place.where, 'wb') as stream:  # noqa: PTH123
        stream.write(data)


def _all(element: ET.Element, tag: str) -> list[ET.Element]:
    """Child elements with this tag, for any version of the schema."""
    return [child for child in element if child.tag.rpartition('}')[2] == tag]


def _text(root: ET.Element) -> str:
    """The document, with the namespace of its root as the default one."""
    text = ET.tostring(root, encoding='unicode')
    if root.tag.startswith('{'):
        text = text.replace('<ns0:', '<').replace('</ns0:', '</').replace('xmlns:ns0', 'xmlns', 1)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'
