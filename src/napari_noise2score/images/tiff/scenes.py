"""The images of a file: their names, and those that an OME-TIFF contains beside each other."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from tifffile import TiffFile, TiffPageSeries

from napari_noise2score.images.tiff.guard import captured_log, readable
from napari_noise2score.images.tiff.reading import ELSEWHERE, opened
from napari_noise2score.images.tiff.series import images_of

_IMAGE = re.compile(r'<(?:\w+:)?Image\b')
_SETS = 'ome', 'mmstack'
"""Kinds of images that may be in several files, as tifffile names them."""
_PART = re.compile(r'<(?:\w+:)?UUID\s+FileName="([^"<>]*)"\s*>\s*([^<>\s]*)\s*<')
_SELF = re.compile(r'<(?:\w+:)?OME\b[^<>]*\bUUID="([^"<>]*)"')


def tiff_scenes(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Names of the images of a file; the position of a name is the number of its image.

    Raises
    ------
    InputError
        If the file is missing, damaged or not a TIFF.
    """
    path = Path(path)
    with readable(path), captured_log(), ExitStack() as stack:
        _, candidates, _ = opened(path, stack)
        return tuple(str(series.name) for series in images_of(candidates, path))


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where an image of an OME-TIFF begins, which may be in several files.

    Attributes
    ----------
    file : Path
        The file with its first plane.
    here : bool
        Whether the file that was asked has any of its planes.
    """

    file: Path
    here: bool


def beginnings(path: str | os.PathLike[str]) -> tuple[Beginning, ...] | None:
    """The file in which each image of an OME-TIFF begins, which may be another one of its set;
    None for a single image in a single file.

    In a TIFF of another kind several images are often a preview or a label, so they do not count.

    Raises
    ------
    InputError
        If the file is missing, damaged or not a TIFF.
    """
    path = Path(path)
    with readable(path), captured_log(), ExitStack() as stack:
        file = stack.enter_context(TiffFile(path))
        xml = file.pages.first.description
        parts = _parts_of_set(xml, path)
        if len(_IMAGE.findall(xml)) < 2 and not ELSEWHERE.search(xml):
            if set(parts) <= {path}:
                return None
            if path in parts:  # without opening all files of the set
                return (Beginning(parts[0], here=True),)
        _, candidates, _ = opened(path, stack)
        images = images_of(candidates, path)
        if any(image.kind not in _SETS for image in images):
            return None
        return tuple(_beginning(image, path) for image in images)


def _parts_of_set(xml: str, path: Path) -> list[Path]:
    """The files of a set that are there, in order; the file itself by its UUID, as it may have got
    another name.
    """
    own = _SELF.search(xml)
    parts = []
    for name, uuid in _PART.findall(xml):
        is_own = own is not None and uuid == own[1]
        parts.append(path if is_own else path.parent / unescape(name))
    return [one for one in dict.fromkeys(parts) if one == path or one.is_file()]


def _beginning(image: TiffPageSeries, path: Path) -> Beginning:
    """The file of the first page of an image that is there; the path itself if it is that."""
    pages = [page for page in image.pages if page is not None] or [image.keyframe]
    files = dict.fromkeys(str(page.parent.filehandle.path) for page in pages)
    own = [os.path.realpath(file) == os.path.realpath(path) for file in files]
    return Beginning(path if own[0] else Path(next(iter(files))), any(own))
