"""Input arrays of NumPy, dask, zarr and xarray; the clean image has the same kind.

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
"""Names of xarray dimensions that are accepted in addition to single letters of the axes."""


@dataclass(frozen=True, slots=True)
class ArrayKind:
    """An array for the pipeline, and the conversion of the clean image to the same kind.

    Attributes
    ----------
    data : array-like
        With ``shape``, ``dtype`` and slicing.
    axes : str or None
        One letter for each axis, if the array has names for its axes.
    lazy : bool
        Whether values are computed or read when they are indexed; the clean image is then lazy
        too.
    wrap : callable
        Converts a clean array-like to an array of this kind.
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
            If the object is of xarray, but not a DataArray.
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
        result = image.copy(data=inner.wrap(clean))
        result.encoding = {}  # how the noisy values were stored: rounded, in other chunks
        return result

    return ArrayKind(inner.data, axes, inner.lazy, wrap)


def _letter(name: str) -> str:
    """The letter of a dimension; empty if its name is not known."""
    letter = _DIMENSIONS.get(name.upper(), name.upper())
    return letter if len(letter) == 1 and letter in KNOWN else ''


def _as_dask(clean: Any) -> Any:
    """A dask array with one chunk for each plane, because planes are computed as a whole."""
    from dask import array

    chunks = tuple(
        side if letter in 'YX' else 1 for side, letter in zip(clean.shape, clean.axes, strict=True)
    )
    from_array: Callable[..., Any] = array.from_array
    return from_array(clean, chunks=chunks, name=False, asarray=False)
