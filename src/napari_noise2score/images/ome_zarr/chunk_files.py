"""Files of the chunks of an array: which are stored, and whether they stay as they are.

By the rules of Zarr, a chunk without a file has the fill value everywhere, and many programs store
no chunk that contains nothing else. So a missing file is not an error, but the user is told. It is
an error in two cases: no chunk at all is stored; or the image is a result of this program, which
stores every chunk. A file that disappears after the image was opened is an error as well.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.images.ome_zarr.location import Location
from napari_noise2score.images.unchanged import Unchanged, removed

_COUNTED = 20_000
"""Most chunks of an array that are looked for before it is read."""

Span = tuple[int, int]
"""Start and end of the places along an axis."""


class ChunkFiles:
    """Files of the chunks, or of the shards, of an array.

    Parameters
    ----------
    array : zarr.Array
        The array.
    location : Location
        Of its image.
    dataset : str
        Name of the array in its image.
    """

    def __init__(self, array: Any, location: Location, dataset: str) -> None:
        self._location, self._dataset = location, dataset
        self._sides = tuple(int(side) for side in array.shards or array.chunks)
        self._key, self._fill_value = array.metadata.encode_chunk_key, array.fill_value
        steps = zip(array.shape, self._sides, strict=True)
        self._count = math.prod(-(-side // step) for side, step in steps)
        counted = self._count <= _COUNTED
        self._names = _names(location.child(dataset)) if counted else None
        self._unchanged = Unchanged(location) if counted else None

    def notes(self, *, complete: bool) -> tuple[str, ...]:
        """A note on chunks that are not stored, which Zarr reads as the fill value.

        Parameters
        ----------
        complete : bool
            Whether the image states that all of its chunks are stored.

        Raises
        ------
        InputError
            If not one is stored, or one is missing in a ``complete`` image.
        """
        if self._names is None:
            return ()
        count = self._count
        names = (name.rpartition('/')[2] for name in self._names)
        missing = count - sum(not name.startswith('.') and name != 'zarr.json' for name in names)
        if missing <= 0:
            return ()
        if missing == count:
            raise InputError(
                f'{self._location}: none of the {count} chunks of its array {self._dataset!r} is '
                'stored; the store is incomplete'
            )
        words = f'{missing} of the {count} chunks of its array {self._dataset!r} are not stored'
        if complete:
            raise InputError(
                f'{self._location}: {words}; a result of this program has all chunks, so the '
                'store is incomplete'
            )
        return (f'{words}; their pixels are read as {self._fill_value}',)

    @contextmanager
    def unchanged(self, spans: Sequence[Span]) -> Iterator[None]:
        """Read chunks; at a URL nothing is checked.

        Parameters
        ----------
        spans : sequence of (int, int)
            The places that are read.

        Raises
        ------
        InputError
            If the file of one of the chunks is changed or removed meanwhile.
        """
        if self._location.remote:
            yield
            return
        folder = Path(self._location.where, self._dataset)
        touched = (
            range(start // side, -(-stop // side))
            for (start, stop), side in zip(spans, self._sides, strict=True)
        )
        names = [self._key(chunk) for chunk in product(*touched)]
        files = {folder / name: name for name in names}
        # of very many chunks the states are not kept from one reading to the next
        unchanged = self._unchanged or Unchanged(self._location)
        with unchanged.during(files):
            yield
            stored = (file for file, name in files.items() if name in (self._names or ()))
            if not all(file.exists() for file in stored):
                raise removed(self._location)


def _names(location: Location) -> frozenset[str] | None:
    """Names of all files below a location, relative to it; None where they cannot be listed."""
    if not location.remote:
        return frozenset(
            Path(top, name).relative_to(location.where).as_posix()
            for top, _, names in os.walk(location.where)
            for name in names
        )
    if location.where.lower().startswith(('http:', 'https:')):
        return None
    system, path = location.filesystem()
    try:
        return frozenset(system.find(path))
    except Exception:  # noqa: BLE001 (some may read and not list; see `guard.readable`)
        return None
