"""Reading and writing of TIFF: ImageJ hyperstacks, OME-TIFF, plain TIFF, files of microscopes."""

from __future__ import annotations

from napari_noise2score.images.tiff.reading import TiffImage, read_tiff
from napari_noise2score.images.tiff.record import record_of
from napari_noise2score.images.tiff.scenes import Beginning, beginnings, tiff_scenes
from napari_noise2score.images.tiff.writing import (
    SUFFIXES,
    check_writable_as,
    write_steps,
    write_tiff,
)

__all__ = [
    'SUFFIXES',
    'Beginning',
    'TiffImage',
    'beginnings',
    'check_writable_as',
    'read_tiff',
    'record_of',
    'tiff_scenes',
    'write_steps',
    'write_tiff',
]
