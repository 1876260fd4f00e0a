"""The images of a file: their names, and those that an OME-TIFF contains beside each other."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from pathlib import Path

from tifffile import TiffFile, TiffPageSeries

from napari_noise2score.images.tiff.guard import captured_log, readable
from napari_noise2score.images.tiff.reading import ELSEWHERE, opened
from napari_noise2score.images.tiff.series import images_of

_IMAGE = re.compile(r'<(?:\w+:)?Image\b')
_SETS = 'ome', 'mmstack'
"""Kinds of images that may be in several files, as tifffile names them."""
_FILE = re.compile(r'\bFileName="([^"<>]*)"')


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


def own_scenes(path: str | os.PathLike[str]) -> tuple[int, ...] | None:
    """Numbers of the images of an OME-TIFF that begin in this file; None for a single image in a
    single file.

    The others are in other files of its set. In a TIFF of another kind several images are often a
    preview or a label, so they do not count.

    Raises
    ------
    InputError
        If the file is missing, damaged or not a TIFF.
    """
    path = Path(path)
    with readable(path), captured_log(), ExitStack() as stack:
        file = stack.enter_context(TiffFile(path))
        xml = file.pages.first.description
        single, there = len(_IMAGE.findall(xml)) < 2, _first_of_set(xml, path)
        if single and there is None and not ELSEWHERE.search(xml):
            return None
        if single and there is not None:  # without opening all files of the set
            return (0,) if there.name == path.name else ()
        _, candidates, _ = opened(path, stack)
        images = images_of(candidates, path)
        if any(image.kind not in _SETS for image in images):
            return None
        return tuple(n for n, image in enumerate(images) if _begins_in(image, path))


def _first_of_set(xml: str, path: Path) -> Path | None:
    """The first file of a set of files that is there; None if only this file is."""
    named = dict.fromkeys(name for name in _FILE.findall(xml) if name)
    there = [path.with_name(name) for name in named if path.with_name(name).exists()]
    return there[0] if [one.name for one in there] not in ([], [path.name]) else None


def _begins_in(image: TiffPageSeries, path: Path) -> bool:
    """Whether the first page of an image that is there is in this file."""
    first = next((page for page in image.pages if page is not None), image.keyframe)
    file = str(first.parent.filehandle.path)
    return os.path.realpath(file) == os.path.realpath(path)
