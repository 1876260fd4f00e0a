"""Values of a plane in temporary files, one for each of its blocks."""

from __future__ import annotations

import shutil
import tempfile
import weakref
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.images.blocks import Window

Array = NDArray[np.float64]

_CHECKSUM = 4
"""Bytes of the checksum at the end of a file."""


class BlockFiles:
    """Values of a plane, float64, block by block.

    Parameters
    ----------
    blocks : sequence of Window
        Blocks that cover the plane.
    folder : Path, optional
        Where the files are, so that a later run finds them; a temporary folder if not given, which
        is removed with this object.
    """

    def __init__(self, blocks: list[Window], folder: Path | None = None) -> None:
        self.blocks = blocks
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix='noise2score-'))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def known(self, number: int) -> Array | None:
        """Values of a block, (Y, X); None if there are none, or they are damaged."""
        try:
            data = self._path(number).read_bytes()
        except FileNotFoundError:
            return None
        values, shape = data[:-_CHECKSUM], self.blocks[number].shape
        whole = len(values) == 8 * shape[0] * shape[1]
        if not whole or zlib.crc32(values) != int.from_bytes(data[-_CHECKSUM:], 'little'):
            return None
        return np.frombuffer(values, np.float64).reshape(shape)

    def write(self, number: int, values: Array) -> None:
        """Store the values of a block, (Y, X).

        Raises
        ------
        InputError
            If they cannot be written; the disk may be full.
        """
        data = np.ascontiguousarray(values, np.float64).tobytes()
        path = self._path(number)
        part = path.with_suffix('.part')
        try:
            part.write_bytes(data + zlib.crc32(data).to_bytes(_CHECKSUM, 'little'))
            part.replace(path)
        except OSError as error:
            raise InputError(
                f'{self._folder}: values of a large plane cannot be written ({error.strerror}); '
                'they need 8 bytes for each of its pixels'
            ) from error

    def window(self, window: Window) -> Array:
        """Values of a window of the plane, (Y, X); all of its blocks were written."""
        found = np.empty(window.shape)
        for number, block in enumerate(self.blocks):
            part = block.common(window)
            if part is not None:
                values = self.known(number)
                if values is None:
                    raise InputError(
                        f'{self._path(number)}: is missing or damaged, although it was written '
                        'by this call; leave these files alone while it runs'
                    )
                found[part.within(window)] = values[part.within(block)]
        return found

    def remove(self) -> None:
        """Remove the files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self._folder / f'{number}.values'
