"""Planes of a camera with noisy pixels as they would be if all pixels were alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.pixels.even_noise import brought_to_usual
from napari_noise2score.noise.pixels.maps import PixelMaps

Array = NDArray[np.float64]


class EvenPlanes:
    """Planes with the noise of the median pixel everywhere; their clean values are found once.

    Parameters
    ----------
    maps : PixelMaps
        Those of the pixels of the planes.
    family : NoiseFamily
        The noise of the median pixel.
    clean : callable
        What a plane is without noise, (Y, X), by its number.
    draw : int
        Which of the draws of the noise; the same one is always the same.
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
        """Plane ``index``, (Y, X) grey levels with the offset map taken off, with even noise."""
        clean = self._clean(index).astype(np.float64)
        return even_noise(
            values, clean, self._maps, self._family, (index, self._draw), self._place
        )

    def drawn(self, number: int) -> EvenPlanes:
        """The same with another draw."""
        return EvenPlanes(self._maps, self._family, self._clean, number, self._place)

    def part(self, rows: slice, columns: slice) -> EvenPlanes:
        """Those of a part of every plane; the part of the whole."""
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

    The draw depends on the ``seed`` and the pixel alone.
    """
    usual = np.asarray(family.variance(clean), np.float64)
    dark = float(family.parameters()['read_noise']) ** 2
    excess = maps.excess(dark**0.5)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(clean.shape, dtype=np.float32)
    return brought_to_usual(
        values, clean[place], np.maximum(usual, 1e-3 * dark)[place], excess[place], noise[place]
    )
