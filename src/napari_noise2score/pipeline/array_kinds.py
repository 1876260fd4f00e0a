"""Arrays of other libraries in, the same kind out: NumPy, dask, zarr, xarray.

None of these libraries is imported unless an array of it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_noise2score.errors import InputError
from napari_noise2score.images.axes import KNOWN

_DIMENSIONS = {'TIME': 'T', 'CHANNEL': 'C', 'DEPTH': 'Z', 'ROW': 'Y', 'COLUMN': 'X'}
"""Words for the dimensions of xarray, beside single letters of the axes."""


@dataclass(frozen=True, slots=True)
class ArrayKind:
    """An array as the pipeline reads it, and how a clean one becomes one of its kind.

    Attributes
    ----------
    data : array-like
        With ``shape``, ``dtype`` and slicing.
    axes : str or None
        One letter for each axis, where the array names them itself.
    lazy : bool
        Whether its values are computed or read when they are indexed; then the clean image is to
        be lazy too.
    wrap : callable
        Makes an array of the kind from a clean array-like.
    """

    data: Any
    axes: str | None
    lazy: bool
    wrap: Callable[[Any], Any]

    @classmethod
    def of(cls, image: Any) -> ArrayKind:
        """The kind of an array.

        Raises
        ------
        InputError
            If a dimension of an xarray is of no known name.
        """
        library = type(image).__module__.partition('.')[0]
        if library == 'xarray':
            return _xarray(image)
        if library == 'dask':
            return cls(image, None, True, _as_dask)
        if library == 'zarr':
            return cls(image, None, True, _itself)
        if not (hasattr(image, 'shape') and hasattr(image, 'dtype')):
            image = np.asarray(image)
        return cls(image, None, False, _itself)


def _itself(clean: Any) -> Any:
    return clean


def _xarray(image: Any) -> ArrayKind:
    """A DataArray: its dimensions are the axes; the result has its coordinates and attributes."""
    if not hasattr(image, 'dims') or not hasattr(image, 'variable'):
        raise InputError(
            f'a {type(image).__name__} of xarray is given; a DataArray is accepted, such as '
            "dataset['image']"
        )
    letters = [_letter(str(name)) for name in image.dims]
    axes = None if '' in letters else ''.join(letters)
    inner = ArrayKind.of(image.data)

    def wrap(clean: Any) -> Any:
        return image.copy(data=inner.wrap(clean))

    return ArrayKind(inner.data, axes, inner.lazy, wrap)


def _letter(name: str) -> str:
    """The letter of a dimension; empty if its name is not known."""
    found = _DIMENSIONS.get(name.upper(), name.upper())
    return found if len(found) == 1 and found in KNOWN else ''


def _as_dask(clean: Any) -> Any:
    """A dask array with a chunk for each plane, as planes are what is computed."""
    from dask import array

    chunks = tuple(
        side if letter in 'YX' else 1 for side, letter in zip(clean.shape, clean.axes, strict=True)
    )
    from_array: Callable[..., Any] = array.from_array
    return from_array(clean, chunks=chunks, name=False, asarray=False)
