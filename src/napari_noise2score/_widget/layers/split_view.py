"""Split view: one image left of a column and another one right of it, without copies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score._widget.layers.overlay import whole_index


class SplitView:
    """Two images of the same shape: the first is shown left of a column, the second right of it.

    Parameters
    ----------
    left, right : array-like
        Arrays of the same shape, with ``shape``, ``dtype`` and slicing.
    axis : int
        The axis of the columns.
    """

    def __init__(self, left: Any, right: Any, axis: int) -> None:
        if tuple(left.shape) != tuple(right.shape):
            raise ValueError(f'shapes {left.shape} and {right.shape} differ')
        self._left, self._right, self._axis = left, right, axis
        self.shape = tuple(right.shape)
        self.ndim = len(self.shape)
        self.dtype = np.result_type(left.dtype, right.dtype)
        self.columns = self.shape[axis]
        self.column = self.columns // 2
        """First column of the right image."""

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Visible values; integers and slices are accepted."""
        given = whole_index(index, self.ndim)
        columns = np.arange(self.shape[self._axis])[given[self._axis]]
        left, right = (np.asarray(side[given]) for side in (self._left, self._right))
        after = sum(isinstance(at, slice) for at in given[self._axis + 1 :])
        shown = (columns < self.column).reshape(np.shape(columns) + (1,) * after)
        return np.where(shown, left, right).astype(self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype)
