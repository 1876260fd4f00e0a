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
        others = {*_FILE.findall(xml)} - {path.name}
        if len(_IMAGE.findall(xml)) < 2 and not others and not ELSEWHERE.search(xml):
            return None
        _, candidates, _ = opened(path, stack)
        images = images_of(candidates, path)
        if any(image.kind != 'ome' for image in images):
            return None
        return tuple(n for n, image in enumerate(images) if _begins_in(image, path))


def _begins_in(image: TiffPageSeries, path: Path) -> bool:
    """Whether the first page of an image that is there is in this file."""
    first = next((page for page in image.pages if page is not None), image.keyframe)
    file = str(first.parent.filehandle.path)
    return os.path.realpath(file) == os.path.realpath(path)
