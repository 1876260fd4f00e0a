"""TIFF and OME-TIFF in and out."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.files import written_whole
from napari_noise2score.images.axes import KNOWN, check_axes, guess_axes

SUFFIXES = ('.tif', '.tiff')


@dataclass(frozen=True, slots=True, eq=False)
class TiffImage:
    """An image read from a file.

    Attributes
    ----------
    data : array
        Grey levels, in the dtype of the file.
    axes : str
        One letter of ``TCZYXS`` for each axis.
    resolution : dict
        What to give to `write_tiff` so that the pixel size is kept.
    """

    data: NDArray[Any]
    axes: str
    resolution: dict[str, Any] = field(default_factory=dict)


def read_tiff(path: str | os.PathLike[str], axes: str | None = None) -> TiffImage:
    """Read an image, with the axes of the file unless ``axes`` are given.

    Raises
    ------
    InputError
        If the file is missing or no TIFF, or says nothing of its axes and none are given.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f'{path}: no such file; a TIFF or OME-TIFF image is needed')
    try:
        with tifffile.TiffFile(path) as file:
            if not file.series:
                raise InputError(f'{path}: holds no image; a TIFF or OME-TIFF image is needed')
            series = file.series[0]
            data, stated = series.asarray(), series.axes
            resolution = _resolution(file)
    except (tifffile.TiffFileError, OSError, ValueError, KeyError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f'{path}: no readable TIFF ({error})') from error
    if axes is None:
        if not set(stated) <= set(KNOWN) or not {'Y', 'X'} <= set(stated):
            raise InputError(
                f'{path}: shape {data.shape}, the file does not say what its axes are '
                f'({stated}); give them with --axes, such as {guess_axes(data.shape)}'
            )
        axes = stated
    try:
        return TiffImage(data, check_axes(axes, data.shape), resolution)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error


def write_tiff(
    path: str | os.PathLike[str],
    data: NDArray[Any],
    axes: str,
    resolution: dict[str, Any] | None = None,
) -> None:
    """Write an image with its axes; an existing file stays whole until the new one is complete.

    OME-TIFF when the name ends in ``.ome.tif(f)``, else TIFF with the axes in its description.
    """
    path = Path(path)
    kept = dict(resolution or {})
    physical = kept.pop('ome', {})
    ome = path.name.lower().endswith(('.ome.tif', '.ome.tiff'))
    metadata = {'axes': axes, **(physical if ome else {})}
    with written_whole(path) as part:
        tifffile.imwrite(
            part,
            np.ascontiguousarray(data),
            ome=ome,
            photometric='rgb' if axes.endswith('S') and data.shape[-1] in (3, 4) else 'minisblack',
            metadata=metadata,
            bigtiff=data.nbytes > 2**31,
            **kept,
        )


def _resolution(file: tifffile.TiffFile) -> dict[str, Any]:
    """Pixel size as the file states it."""
    kept: dict[str, Any] = {}
    tags = file.pages.first.tags
    if 'XResolution' in tags and 'YResolution' in tags:
        values = [tags[name].value for name in ('XResolution', 'YResolution')]
        if all(v[1] and v[0] for v in values):
            kept['resolution'] = tuple(v[0] / v[1] for v in values)
            if 'ResolutionUnit' in tags:
                kept['resolutionunit'] = int(tags['ResolutionUnit'].value)
    if file.is_ome and file.ome_metadata:
        pixels = tifffile.xml2dict(file.ome_metadata).get('OME', {}).get('Image', {})
        pixels = pixels[0] if isinstance(pixels, list) else pixels
        pixels = pixels.get('Pixels', {})
        kept['ome'] = {
            key: value
            for key, value in pixels.items()
            if key.startswith('PhysicalSize') or key in ('TimeIncrement', 'TimeIncrementUnit')
        }
    return kept
