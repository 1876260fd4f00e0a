"""Maps of the pixels of a camera that an image shows."""

from __future__ import annotations

from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.pixels.maps import PixelMaps


def maps_for(
    maps: PixelMaps | None, image: ImageSource
) -> tuple[PixelMaps | None, tuple[str, ...]]:
    """The maps of the pixels that an image shows.

    Parameters
    ----------
    maps : PixelMaps or None
        Maps of the whole camera.
    image : ImageSource
        The image, or a region of one.

    Returns
    -------
    PixelMaps or None, tuple of str
        Maps of the image; None with an explanation if the whole image has another size.
    """
    if maps is None:
        return None, ()
    whole = image.frame
    if whole == maps.shape:
        return maps.part(*image.rows_and_columns), ()
    rows, columns = maps.shape
    return None, (
        f'The dark frames have {rows} x {columns} pixels and the image {whole[0]} x {whole[1]}, '
        'so offset and read noise of each pixel are not known and single numbers are used for '
        'all pixels; use dark frames of the same part of the sensor.',
    )
