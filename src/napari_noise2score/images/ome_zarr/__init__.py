"""OME-Zarr in and out: versions 0.4 and 0.5 are read, 0.5 is written, local and by URL."""

from __future__ import annotations

from napari_noise2score.images.ome_zarr.layout import check_writable_as, layout_for
from napari_noise2score.images.ome_zarr.location import (
    inside_words,
    inside_zarr,
    is_ome_zarr,
    is_zarr_folder,
    named,
    root_of,
    url_of,
)
from napari_noise2score.images.ome_zarr.metadata import Inherited, record_of
from napari_noise2score.images.ome_zarr.places import obstacle, try_to_write
from napari_noise2score.images.ome_zarr.plates import fields_of
from napari_noise2score.images.ome_zarr.reader import OmeZarrImage, read_ome_zarr, series_of
from napari_noise2score.images.ome_zarr.writer import (
    reading,
    write_ome_zarr,
    write_steps,
)

__all__ = [
    'Inherited',
    'OmeZarrImage',
    'check_writable_as',
    'fields_of',
    'inside_words',
    'inside_zarr',
    'is_ome_zarr',
    'is_zarr_folder',
    'layout_for',
    'named',
    'obstacle',
    'read_ome_zarr',
    'reading',
    'record_of',
    'root_of',
    'series_of',
    'try_to_write',
    'url_of',
    'write_ome_zarr',
    'write_steps',
]
