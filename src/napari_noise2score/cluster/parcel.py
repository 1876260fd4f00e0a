"""Objects of the pipeline as bytes, without the pixels of their image.

The image itself is left out, because the receiver opens its file.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

from napari_noise2score.images.blank_places import BlankPlaces
from napari_noise2score.images.source import ImageSource
from napari_noise2score.score.network.parts import Network

_IMAGE = 'image'


def packed(value: object, image: ImageSource) -> bytes:
    """A value as bytes; ``image`` is replaced by a mark.

    Raises
    ------
    TypeError
        If the value contains another image.
    """
    stream = io.BytesIO()
    _Packer(stream, image).dump(value)
    return stream.getvalue()


def unpacked(parcel: bytes, image: ImageSource) -> Any:
    """The value of a parcel, with ``image`` in the place of the mark."""
    return _Unpacker(io.BytesIO(parcel), image).load()


class _Packer(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, image: ImageSource) -> None:
        super().__init__(stream, pickle.HIGHEST_PROTOCOL)
        self._image = image

    def persistent_id(self, value: object) -> str | None:
        if value is self._image:
            return _IMAGE
        if isinstance(value, ImageSource):
            raise TypeError(
                f'image {value.name!r} would be sent with its pixels; only '
                f'{self._image.name!r} itself is accepted'
            )
        return None

    def reducer_override(self, value: object) -> Any:
        """Blank places are found again: those of many planes are large. Networks go to the CPU:
        a worker may have no GPU.
        """
        if isinstance(value, Network):
            value.to('cpu')
        return (BlankPlaces, ()) if isinstance(value, BlankPlaces) else NotImplemented


class _Unpacker(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, image: ImageSource) -> None:
        super().__init__(stream)
        self._image = image

    def persistent_load(self, mark: str) -> ImageSource:
        if mark != _IMAGE:
            raise pickle.UnpicklingError(f'mark {mark!r} is unknown; {_IMAGE!r} is accepted')
        return self._image
