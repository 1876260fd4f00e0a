"""An image by its file, so that another process can open it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_noise2score.images.formats import ImageFile, image_name, read_image
from napari_noise2score.images.ome_zarr.location import url_of
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.tiff.reading import IN_MEMORY
from napari_noise2score.memory import available

_SHARE = 4
"""Part of the free memory, one in so many, that an image may take."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A file, and what is read of it.

    Attributes
    ----------
    path : Path
        Absolute path or URL, the same on all machines.
    axes : str or None
        A letter for each axis, instead of those that the file states.
    scene : str or None
        Number or name of the image in a file with several ones; None if the path says which.
    region : str
        Part of the image, such as ``T0:10``; empty for all of it.
    """

    path: Path
    axes: str | None = None
    scene: str | None = None
    region: str = ''

    @classmethod
    def of(cls, path: Path, axes: str | None, scene: str | None, region: str) -> StoredImage:
        """The image of a file; a path becomes absolute."""
        return cls(path if url_of(path) else path.absolute(), axes, scene, region)

    def open(self) -> tuple[ImageFile, ImageSource]:
        """The file, and the part of its image that is read.

        Raises
        ------
        InputError
            If the file cannot be read, or the axes or the region do not fit.
        """
        share = min(IN_MEMORY, available() // _SHARE)
        file = read_image(self.path, self.axes, self.scene, in_memory=share)
        source = ImageSource(file.data, file.axes, image_name(self.path))
        return file, source.part(Region.parse(self.region))
