"""Input and output files: where each goes, checked before any work is done."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_noise2score.errors import InputError

if TYPE_CHECKING:
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.images.tiff import TiffImage


def is_folder(options: argparse.Namespace) -> bool:
    """Whether results go into a folder."""
    return len(options.images) > 1 or options.output.is_dir()


def targets(inputs: Sequence[Path], output: Path) -> list[Path]:
    """Where each clean image goes."""
    from napari_noise2score.images.tiff import SUFFIXES

    if len(inputs) == 1 and not output.is_dir():
        if output.suffix.lower() not in SUFFIXES:
            raise InputError(f'{output}: images are written as {" or ".join(SUFFIXES)}')
        return [output]
    if output.is_file() or output.suffix.lower() in SUFFIXES:
        raise InputError(f'{output}: is one file; {len(inputs)} images need a folder')
    names = [path.name for path in inputs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f'{twice[0]}: two inputs have this name and would overwrite each other')
    return [output / name for name in names]


def check_writable(
    path: Path | None, inputs: Sequence[Path], *, make_folder: bool = False
) -> None:
    """Raise before any work is done if a file could not be written at the end of it."""
    if path is None:
        return
    parent = path.parent
    if not parent.is_dir() and not parent.parent.is_dir():
        raise InputError(f'{path}: there is no folder {parent}')
    if not parent.is_dir() and make_folder:
        parent.mkdir()
    if path.is_dir():
        raise InputError(f'{path}: is a folder; a file name is needed')
    for source in inputs:
        if path.exists() and source.exists() and path.samefile(source):
            raise InputError(f'{path}: is an input too; give another output')


def read(
    paths: Sequence[Path], axes: str | None, region: str = '', series: int | None = None
) -> list[tuple[TiffImage, ImageSource]]:
    """The images, or a region of them, in the order of their paths.

    What is to be said of a file goes to standard error, before the work.
    """
    from napari_noise2score.images.region import Region
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.images.tiff import read_tiff

    wanted = Region.parse(region)
    images = [read_tiff(path, axes, series) for path in paths]
    for path, image in zip(paths, images, strict=True):
        for note in image.notes:
            print(f'napari-noise2score: {path.name}: {note}', file=sys.stderr)
    return [
        (image, ImageSource(image.data, image.axes, path.name).part(wanted))
        for path, image in zip(paths, images, strict=True)
    ]


def parts(sources: Sequence[ImageSource], region: str) -> list[ImageSource]:
    """The same region of all images; none if no region is named."""
    from napari_noise2score.images.region import Region

    return [source.part(Region.parse(region)) for source in sources] if region else []
