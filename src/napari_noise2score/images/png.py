"""PNG: grey levels of 8 or 16 bits, or colours; a single plane without sizes."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError, one_line
from napari_noise2score.images.acquisition import NOTHING_STATED, Acquisition
from napari_noise2score.images.axes import check_axes
from napari_noise2score.images.foreign import not_of_format
from napari_noise2score.images.unchanged import Unchanged

SUFFIX = '.png'
_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
"""Samples of a pixel by the type of colours."""
_DENSEST = 1100
"""Maximum number of bytes that one byte of the compression becomes."""
_FRAME = 12
"""Bytes of a part of the file besides its data: length, kind and checksum."""


@dataclass(frozen=True, slots=True, eq=False)
class PngImage:
    """An image of a PNG file.

    Attributes
    ----------
    data : array
        Grey levels (Y, X), or colours (Y, X, S), in uint8 or uint16.
    axes : str
        ``'YX'`` or ``'YXS'``, unless others were given.
    acquisition : Acquisition
        Empty: the format has no sizes of microscopes.
    notes : tuple of str
        What is left out.
    """

    data: NDArray[Any]
    axes: str
    acquisition: Acquisition = NOTHING_STATED
    notes: tuple[str, ...] = ()


def read_png(path: str | os.PathLike[str], axes: str | None = None) -> PngImage:
    """Read an image from a PNG file.

    Parameters
    ----------
    path : path
        The file.
    axes : str, optional
        A letter for each axis, instead of ``'YX'`` for grey levels and ``'YXS'`` for colours.

    Raises
    ------
    InputError
        If the file is missing, damaged or not a PNG, or the axes do not fit.
    """
    path = Path(path)
    try:
        with Unchanged(path).during([path]):
            content = path.read_bytes()
    except OSError as error:
        raise InputError(f'{path}: {error.strerror}; a PNG image is needed') from error
    notes = _checked(content, path)
    try:
        data = np.asarray(imagecodecs.png_decode(content))
    except (imagecodecs.PngError, ValueError, MemoryError) as error:
        text = one_line(error) or type(error).__name__
        raise InputError(f'{path}: not a readable PNG; it is damaged ({text})') from error
    try:
        chosen = check_axes(axes or 'YXS'[: data.ndim], data.shape)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    return PngImage(data, chosen, notes=notes)


def _checked(content: bytes, path: Path) -> tuple[str, ...]:
    """Notes on a file, whose first part is checked before memory is allocated.

    Raises
    ------
    InputError
        If that part is no PNG, or declares more pixels than can be in the file.
    """
    if not content.startswith(_SIGNATURE):
        raise not_of_format(path, 'PNG')
    try:
        columns, rows, bits, kind = struct.unpack('>2I2B', content[16:26])
    except struct.error as error:
        raise InputError(f'{path}: not a readable PNG; it is cut short') from error
    size = rows * columns * _SAMPLES.get(kind, 4) * bits // 8
    if content[12:16] != b'IHDR' or size > _DENSEST * len(content):
        raise InputError(
            f'{path}: not a readable PNG; it is damaged: {rows} x {columns} pixels are declared, '
            f'but the file has {len(content)} bytes'
        )
    _check_parts(content, path)
    notes = []
    if b'acTL' in content.partition(b'IDAT')[0]:
        notes.append('it is an animation; only its first image is read')
    if bits < 8 and kind == 0:
        notes.append(f'its {2**bits} grey levels of {bits} bits are read as 0 to 255')
    return tuple(notes)


def _check_parts(content: bytes, path: Path) -> None:
    """Raise if a part without which there is no image has another checksum than it states.

    The decoder would only print a warning, and give wrong grey levels.
    """
    at = len(_SIGNATURE)
    while at + _FRAME <= len(content):
        length, kind = struct.unpack_from('>I4s', content, at)
        end = at + 8 + length
        stated = content[end : end + 4]
        is_needed = kind[:1].isupper()
        if is_needed and stated != zlib.crc32(content[at + 4 : end]).to_bytes(4, 'big'):
            raise InputError(
                f'{path}: not a readable PNG; it is damaged: its part '
                f'{kind.decode("latin-1")!r} has another checksum than it states'
            )
        if kind == b'IEND':
            return
        at = end + 4
