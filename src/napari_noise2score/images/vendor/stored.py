"""Values that a reader of bioio reads plane by plane, when they are indexed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.indexing import IndexedArray, slice_of
from napari_noise2score.images.vendor.guard import readable


class DelayedArray(IndexedArray):
    """An array of dask whose parts are computed in this thread, one after the other.

    Parameters
    ----------
    array : dask array
        The values.
    path : Path
        The file, for messages.
    """

    def __init__(self, array: Any, path: Path) -> None:
        super().__init__(array.shape, np.dtype(array.dtype).newbyteorder('='))
        self._array, self._path = array, path

    def values_at(self, wanted: Sequence[range]) -> NDArray[Any]:
        """Values at these places along every axis.

        Raises
        ------
        InputError
            If the file is damaged there.
        """
        index = tuple(slice_of(places) for places in wanted)
        with readable(self._path):
            part = self._array[index]
            if hasattr(part, 'compute'):
                # Some libraries below a reader cannot be used by several threads.
                part = part.compute(scheduler='synchronous')
            return np.asarray(part, self.dtype)
