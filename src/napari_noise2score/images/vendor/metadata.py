"""Sizes and channels, as a reader of bioio states them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from napari_noise2score.images.acquisition import Acquisition, ChannelInfo, Spacing
from napari_noise2score.images.tiff import ome

T = TypeVar('T')

_UNIT = 'µm'
"""Of sizes of pixels, where a reader does not name another unit."""


def stated(reader: Any, number: int) -> Acquisition:
    """What a reader states of a scene that it is set to; what it cannot read is left out.

    Parameters
    ----------
    reader : bioio_base.reader.Reader
        The reader.
    number : int
        Number of the scene.
    """
    described = _asked(lambda: _ome(reader, number)) or Acquisition()
    sizes = _asked(lambda: reader.physical_pixel_sizes)
    units = _asked(lambda: reader.dimension_properties)
    spacing = dict(described.spacing)
    for axis in 'XYZ':
        unit = getattr(getattr(units, axis, None), 'unit', None)
        step = Spacing.of(getattr(sizes, axis, None), _UNIT if unit is None else str(unit))
        if step is not None:
            spacing[axis] = step
    interval = _asked(lambda: reader.time_interval)
    if isinstance(interval, timedelta):
        step = Spacing.of(interval.total_seconds(), 's')
        spacing |= {} if step is None else {'T': step}
    names = _asked(lambda: [str(name) for name in reader.channel_names or ()]) or []
    return Acquisition(spacing, _channels(names, described.channels))


def _channels(names: list[str], described: tuple[ChannelInfo, ...]) -> tuple[ChannelInfo, ...]:
    """Channels with the names of the reader, and the colours and wavelengths of its OME-XML."""
    if len(described) == len(names):
        return tuple(
            replace(channel, name=channel.name or name)
            for channel, name in zip(described, names, strict=True)
        )
    if names:
        return tuple(ChannelInfo(name) for name in names)
    return described


def _ome(reader: Any, number: int) -> Acquisition | None:
    """What the OME-XML states that a reader makes; None if its images are not the scenes."""
    described = reader.ome_metadata
    if len(described.images) != len(reader.scenes):
        return None
    return ome.stated(described.to_xml(), number)


def _asked(ask: Callable[[], T]) -> T | None:
    """The answer of a reader; None if it fails: metadata must not cost the image."""
    with suppress(Exception):
        return ask()
    return None
