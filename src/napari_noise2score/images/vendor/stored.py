"""Values that a reader of bioio reads plane by plane, when they are indexed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_noise2score.images.vendor.guard import readable


class DelayedArray:
    """An array of dask whose parts are computed in this thread, one after the other.

    Parameters
    ----------
    array : dask array
        The values.
    path : Path
        The file, for messages.
    """

    def __init__(self, array: Any, path: Path) -> None:
        self._array, self._path = array, path
        self.shape = tuple(int(side) for side in array.shape)
        self.dtype = np.dtype(array.dtype).newbyteorder('=')
        self.ndim, self.size = len(self.shape), math.prod(self.shape)
        self.nbytes = self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """A part of the array.

        Raises
        ------
        InputError
            If the file is damaged there.
        """
        with readable(self._path):
            part = self._array[index]
            if hasattr(part, 'compute'):
                # Some libraries below a reader cannot be used by several threads.
                part = part.compute(scheduler='synchronous')
            return np.asarray(part, self.dtype)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        values = self[...]
        return values if dtype is None else values.astype(dtype, copy=False)
