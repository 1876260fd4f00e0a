"""An OME-Zarr that several processes write: one makes and finishes it, all write shards."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from napari_noise2score.errors import InputError
from napari_noise2score.files import folder_written_whole
from napari_noise2score.images.acquisition import NOTHING_STATED, Acquisition
from napari_noise2score.images.ome_zarr.layout import Layout
from napari_noise2score.images.ome_zarr.location import Location, url_of
from napari_noise2score.images.ome_zarr.metadata import NOTHING_INHERITED, Inherited
from napari_noise2score.images.ome_zarr.pyramid import Window
from napari_noise2score.images.ome_zarr.writer import Writer, writer
from napari_noise2score.images.unfinished import UnfinishedImage

_INCOMPLETE = '*.partial'
"""Files of zarr whose writing a process did not end."""


class SharedOmeZarr:
    """An array-like that is in an OME-Zarr already, which takes its name when it is finished.

    Parameters
    ----------
    path : path or URL
        Where the result goes. A local one is written beside this place.
    lies : Layout
        How the image lies there.
    shape : sequence of int
        Shape of the noisy image.
    unfinished : UnfinishedImage, optional
        Where the parts of a local image stay after an interruption; it has begun.

    Attributes
    ----------
    writer : Writer
        Writes shards; it can be sent to other processes.
    folder : Path or None
        Where the parts are until then; None at a URL.
    """

    def __init__(
        self,
        path: Path,
        lies: Layout,
        shape: Sequence[int],
        unfinished: UnfinishedImage | None = None,
    ) -> None:
        self.unfinished = unfinished
        self.shape, self.dtype, self.lies = tuple(shape), lies.dtype, lies
        self.size = math.prod(self.shape)
        self.folder: Path | None = None
        with ExitStack() as stack:
            if unfinished is not None:
                self.folder = unfinished.image.absolute()
                self.writer = stack.enter_context(writer(path, lies, unfinished))
            elif url_of(path) is not None:
                self.writer = stack.enter_context(writer(path, lies))
            else:
                self.folder = stack.enter_context(folder_written_whole(path)).absolute()
                self.writer = Writer(Location(str(self.folder)), lies, path.name)
            self._stack = stack.pop_all()

    def finish(
        self,
        acquisition: Acquisition = NOTHING_STATED,
        inherited: Inherited = NOTHING_INHERITED,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the metadata; the image then takes its name."""
        for file in [] if self.folder is None else self.folder.rglob(_INCOMPLETE):
            file.unlink()
        self.writer.finish(acquisition, inherited, record)
        self._stack.close()
        if self.unfinished is not None:
            self.unfinished.finish()

    def holds(self, number: int, window: Window) -> bool:
        """Whether part ``number`` is there from an earlier run, and whole."""
        if self.unfinished is None:
            return False
        values = self.unfinished.holds(number, partial(self.writer.read, window))
        if values is None:
            self.writer.forget(window)
            return False
        self.writer.include_values(window, values)
        return True

    def note(self, number: int, window: Window) -> None:
        """Another process has written part ``number``."""
        if self.unfinished is not None:
            self.unfinished.add(number, self.writer.read(window))

    def close(self) -> None:
        """Remove what was written, unless it is finished or can be continued."""
        with suppress(_UnfinishedError), self._stack.pop_all():
            raise _UnfinishedError


class _UnfinishedError(InputError):
    """Ends the contexts of a result that is not finished."""


def check_shared(folder: Path | None) -> None:
    """Whether a process sees the folder into which it is to write.

    Raises
    ------
    InputError
        If it does not: then it is on another disk.
    """
    if folder is not None and not folder.is_dir():
        raise InputError(
            f'{folder.parent}: this folder of the result is not the same on {platform.node()}; a '
            'disk that all machines share is needed'
        )
