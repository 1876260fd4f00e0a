"""Chunks that are checked before they are decoded.

The Blosc of numcodecs trusts the header of a chunk: with a damaged length it reads beyond the end
of the memory, which ends the process. The other codecs raise an error.
"""

from __future__ import annotations

import importlib
import math
import struct
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from napari_noise2score.images.ome_zarr.location import load_zarr

_HEADER = struct.Struct('<4B3I')
"""Of Blosc: versions, flags, size of an item; bytes of the values, of a block, of the chunk."""
_LARGER = 2
"""Times by which values may be larger than those of a chunk, after filters, if there are any."""


def checked(array: Any) -> Any:
    """The same array, whose chunks are checked before Blosc decodes them."""
    metadata = array.metadata
    if metadata.zarr_format == 2:
        compressor = metadata.compressor
        if getattr(compressor, 'codec_id', None) != 'blosc':
            return array
        codec = _checked_compressor(_config(compressor), _most(array.chunks, array.dtype))
        changed = replace(metadata, compressor=codec)
    else:
        codecs = tuple(_checked_codec(codec) for codec in metadata.codecs)
        if all(one is other for one, other in zip(codecs, metadata.codecs, strict=True)):
            return array
        changed = replace(metadata, codecs=codecs)
    zarr = load_zarr()
    return zarr.Array(zarr.AsyncArray(changed, array.store_path))


def _most(shape: Sequence[int], dtype: Any) -> int:
    """Bytes that the values of a chunk may have."""
    return math.prod([_LARGER, *shape, np.dtype(dtype).itemsize])


def _config(compressor: Any) -> dict[str, Any]:
    given = compressor.get_config()
    return {key: value for key, value in given.items() if key not in ('id', 'most')}


def _checked_codec(codec: Any) -> Any:
    """A codec of Zarr 3, checked; that of shards with the codecs of the chunks in them."""
    codecs = load_zarr().codecs
    if isinstance(codec, codecs.ShardingCodec):
        inner = tuple(_checked_codec(one) for one in codec.codecs)
        same = all(one is other for one, other in zip(inner, codec.codecs, strict=True))
        return codec if same else replace(codec, codecs=inner)
    return _checked_blosc(codec.to_dict()) if type(codec) is codecs.BloscCodec else codec


def _checked_compressor(config: dict[str, Any], most: int) -> Any:
    """The Blosc of numcodecs with this configuration, for values of so many bytes."""
    codec = _numcodecs_blosc().from_config(config)
    codec.most = most
    return codec


def _checked_blosc(metadata: dict[str, Any]) -> Any:
    """The Blosc of Zarr 3 with these metadata."""
    return _zarr_blosc().from_dict(metadata)


def check_blosc(chunk: Any, most: int) -> None:
    """Raise `ValueError` if the header of a Blosc chunk is damaged.

    Parameters
    ----------
    chunk : bytes-like
        The chunk.
    most : int
        Bytes that its values may have.
    """
    data = memoryview(chunk).cast('B')
    if len(data) < _HEADER.size:
        raise ValueError(f'a chunk of Blosc has {len(data)} bytes, fewer than its header')
    *_, values, block, size = _HEADER.unpack_from(data)
    if size != len(data):
        raise ValueError(f'a chunk of Blosc has {len(data)} bytes and states {size}')
    if values > most:
        raise ValueError(f'a chunk of Blosc states {values} bytes of values, more than {most}')
    if values and not 0 < block <= values:
        raise ValueError(f'a chunk of Blosc states blocks of {block} of {values} bytes')


@cache
def _numcodecs_blosc() -> Any:
    """The codec of arrays of Zarr 2."""
    base: Any = importlib.import_module('numcodecs.blosc').Blosc

    class CheckedBlosc(base):  # type: ignore[misc]
        most: int

        def decode(self, buf: Any, out: Any = None) -> Any:
            check_blosc(buf, self.most)
            return super().decode(buf, out)

        def __reduce__(self) -> Any:
            return _checked_compressor, (_config(self), self.most)

    return CheckedBlosc


@cache
def _zarr_blosc() -> Any:
    """The codec of arrays of Zarr 3."""
    base: Any = load_zarr().codecs.BloscCodec

    class CheckedBlosc(base):  # type: ignore[misc]
        def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
            self._check(chunk_bytes, chunk_spec)
            return super()._decode_sync(chunk_bytes, chunk_spec)

        async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
            self._check(chunk_bytes, chunk_spec)
            return await super()._decode_single(chunk_bytes, chunk_spec)

        def _check(self, chunk_bytes: Any, chunk_spec: Any) -> None:
            dtype = chunk_spec.dtype.to_native_dtype()
            check_blosc(chunk_bytes.as_numpy_array(), _most(chunk_spec.shape, dtype))

        def __reduce__(self) -> Any:
            return _checked_blosc, (self.to_dict(),)

    return CheckedBlosc
