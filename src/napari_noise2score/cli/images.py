"""The images of files, each opened when its turn comes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from napari_noise2score.cli.console import note
from napari_noise2score.errors import InputError
from napari_noise2score.images.region import Region
from napari_noise2score.memory import LIMIT

if TYPE_CHECKING:
    from napari_noise2score.images.acquisition import Acquisition
    from napari_noise2score.images.formats import ImageFile
    from napari_noise2score.images.ome_zarr import Inherited
    from napari_noise2score.images.source import ImageSource

T = TypeVar('T')

_SHARE = 4
"""Part of the free memory, one in so many, that images may take."""


class Images:
    """The images of files, or of a region of each; one is open at a time.

    Parameters
    ----------
    files : sequence of Path
        The files.
    options : Namespace
        Axes, scene and region, where the command has such options.
    together : bool
        Whether all are held at once: then those that are large for that stay in their files.

    Attributes
    ----------
    before : callable
        Is called with the number of an image of ``sources`` when its turn comes; an error that it
        raises is that of the image.
    """

    def __init__(
        self, files: Sequence[Path], options: argparse.Namespace, together: bool = False
    ) -> None:
        self.files = list(files)
        self._options, self._together = options, together
        self._count = len(self.files) if together else 1
        self._region = Region.parse(getattr(options, 'region', ''))
        self._learn_from = Region.parse(getattr(options, 'learn_from', ''))
        self._open: tuple[Path, Opened] | None = None
        self.before: Callable[[int], None] = lambda number: None

    def __len__(self) -> int:
        return len(self.files)

    def only(self, files: Sequence[Path]) -> Images:
        """The images of some of the files."""
        return Images(files, self._options, self._together)

    def at(self, number: int) -> Opened:
        """The image of a file.

        Raises
        ------
        InputError
            If the file cannot be read, or the axes or the region do not fit.
        """
        path = self.files[number]
        if self._open is None or self._open[0] != path:
            self._open = None  # what was open goes before the next comes
            self._open = path, self._read(path)
        return self._open[1]

    def _read(self, path: Path) -> Opened:
        from napari_noise2score.images.formats import image_name, read_image
        from napari_noise2score.images.source import ImageSource
        from napari_noise2score.images.tiff.reading import IN_MEMORY

        share = min(IN_MEMORY, LIMIT.spare() // (_SHARE * self._count))
        axes, scene = self._options.axes, scene_within(path, self._options)
        image = read_image(path, axes, scene, in_memory=share)
        source = ImageSource(image.data, image.axes, image_name(path)).part(self._region)
        return Opened(image, source)

    @property
    def sources(self) -> Sequence[ImageSource]:
        """The images, opened as they are asked for."""

        def source(number: int) -> ImageSource:
            self.before(number)
            return self.at(number).source

        return _Each(len(self), source)

    @property
    def learned_from(self) -> Sequence[ImageSource]:
        """The part of each image to learn from, opened when asked for; its notes are printed."""

        def part(number: int) -> ImageSource:
            opened = self.at(number)
            opened.tell()
            return opened.source.part(self._learn_from)

        return _Each(len(self), part)

    @property
    def training_parts(self) -> Sequence[Sequence[ImageSource]]:
        """The part of each image to learn from, if there is one; opened as the images are."""
        if not self._learn_from.ranges:
            return ()
        return _Each(len(self), lambda number: [self.at(number).source.part(self._learn_from)])


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """An image, and the file that it is from."""

    file: ImageFile
    source: ImageSource

    @property
    def acquisition(self) -> Acquisition:
        """What the file states of sizes and channels, of the region."""
        return self.file.acquisition.part(self.source.region)

    @property
    def inherited(self) -> Inherited:
        """What else the file hands on to a result, of the region."""
        from napari_noise2score.images.formats import inherited_of

        spacing = self.file.acquisition.spacing
        return inherited_of(self.file).part(self.source.region, spacing)

    def tell(self, *more: str) -> None:
        """Say what is to be said of the file, before the work."""
        for text in (*self.file.notes, *more):
            note(f'{self.source.name}: {text}')


def scene_within(path: Path, options: argparse.Namespace) -> str | None:
    """The scene that is still to be chosen in an input; None where its path says which.

    That is only so for an OME-Zarr whose metadata list several images of one group.
    """
    from napari_noise2score.images.formats import is_zarr
    from napari_noise2score.images.scenes import ALL

    left = path in options.images and is_zarr(path) and options.scene != ALL
    return options.scene if left else None


def checksum_of(path: Path, options: argparse.Namespace) -> str:
    """Checksum of the grey levels of an image; empty if it cannot be read."""
    try:
        return f'{Images([path], options).at(0).source.checksum():08x}'
    except InputError:
        return ''


class _Each(Sequence[T]):
    """A sequence whose items are made when they are asked for."""

    def __init__(self, count: int, make: Callable[[int], T]) -> None:
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> Any:
        places = range(self._count)[index]
        return self._make(places) if isinstance(places, int) else list(map(self._make, places))
