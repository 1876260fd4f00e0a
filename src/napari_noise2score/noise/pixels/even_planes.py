"""Planes of a camera with noisy pixels, with the noise of the median pixel everywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.pixels.even_noise import with_reference_noise
from napari_noise2score.noise.pixels.maps import PixelMaps

Array = NDArray[np.float64]


class EvenPlanes:
    """Planes with the noise of the median pixel everywhere; clean values are computed once.

    Parameters
    ----------
    maps : PixelMaps
        Maps of the pixels of the planes.
    family : NoiseFamily
        The noise of the median pixel.
    clean : callable
        Gives the clean values of a plane, (Y, X), from its number.
    draw : int
        Number of the realisation of the noise; the same number always gives the same noise.
    """

    def __init__(
        self,
        maps: PixelMaps,
        family: NoiseFamily,
        clean: Callable[[int], NDArray[np.floating]],
        draw: int = 0,
        place: tuple[slice, slice] = np.s_[:, :],
    ) -> None:
        self._maps, self._family, self._clean = maps, family, clean
        self._draw, self._place = draw, place

    def of(self, index: int, values: Array) -> Array:
        """Plane ``index``, (Y, X) grey levels after subtraction of the offset map, with even
        noise.
        """
        clean = self._clean(index).astype(np.float64)
        return even_noise(
            values, clean, self._maps, self._family, (index, self._draw), self._place
        )

    def drawn(self, number: int) -> EvenPlanes:
        """The same planes with another realisation of the noise."""
        return EvenPlanes(self._maps, self._family, self._clean, number, self._place)

    def part(self, rows: slice, columns: slice) -> EvenPlanes:
        """A part of every plane; ``rows`` and ``columns`` refer to the whole plane."""
        return EvenPlanes(self._maps, self._family, self._clean, self._draw, (rows, columns))


def even_noise(
    values: Array,
    clean: Array,
    maps: PixelMaps,
    family: NoiseFamily,
    seed: tuple[int, ...],
    place: tuple[slice, slice] = np.s_[:, :],
) -> Array:
    """Values (Y, X) of a ``place`` of a plane with even noise, given the clean plane.

    The realisation depends only on the ``seed`` and the pixel.
    """
    reference = np.asarray(family.variance(clean), np.float64)
    dark = float(family.parameters()['read_noise']) ** 2
    excess = maps.excess(dark**0.5)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(clean.shape, dtype=np.float32)
    return with_reference_noise(
        values,
        clean[place],
        np.maximum(reference, 1e-3 * dark)[place],
        excess[place],
        noise[place],
    )
