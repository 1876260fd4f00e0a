"""What a network sees of the tiles of planes: the tile itself, and others beside it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noise2score.images.blocks import Window
from napari_noise2score.noise.fill import filled
from napari_noise2score.score.context import mirrored, with_context
from napari_noise2score.score.network.parts import Network
from napari_noise2score.score.planes import NoisyPlanes

_MIRRORED = 5
"""Distance from the box of a tile up to which filled values depend on the image, in radii of the
network: those that it sees are mirrored at an edge that is nearer than sqrt(2) radii."""


Plane = NDArray[np.float32]


class TileInputs:
    """Reads the tiles of planes; the last plane is kept.

    Parameters
    ----------
    planes : NoisyPlanes
        The channel. If the box is a part of its planes, it needs a method ``part``.
    network : Network
        The network that sees them.
    box : Window
        Box of all tiles. It may reach beyond the planes, which are mirrored there.
    """

    def __init__(self, planes: NoisyPlanes, network: Network, box: Window) -> None:
        self._planes, self._box = planes, box
        self._context, self._radius = network.settings.context, network.receptive_radius
        whole = Window.whole(planes.shape)
        self._here = box.common(whole) or whole
        beside: Any = planes
        self._beside = beside.part(self._here) if self._context and self._here != whole else planes
        self._read = lru_cache(maxsize=1)(self._read_plane)

    def image_in(self, index: int, window: Window) -> bool:
        """Whether a window of a plane has any image."""
        return bool(self._read(index)[1][window.within(self._box)].any())

    def of(self, index: int, seen: Window) -> tuple[Tensor, ...]:
        """The inputs of a tile of a plane, which sees a window of it.

        Its slab (1, P, Y, X); and the places with an image (1, P, Y, X), if they are not all.
        """
        own = seen.within(self._box)
        values, mask = (part[own] for part in self._read(index))
        slab = (
            with_context(values, self._context_of(index, seen)) if self._context else values[None]
        )
        there = np.broadcast_to(mask, slab.shape)
        return tuple(torch.tensor(a)[None] for a in ((slab,) if mask.all() else (slab, there)))

    def _context_of(self, index: int, seen: Window) -> Plane | None:
        inside = seen.common(self._here)
        assert inside is not None  # a tile has pixels of the plane
        context = self._beside.context(index)
        if context is None:
            return None
        return mirrored(context[:, *inside.within(self._here)], seen.shape)

    def _read_plane(self, number: int) -> tuple[Plane, Plane]:
        """The box of a plane, filled and padded, and its mask: 0 where there is no image."""
        values, there = _filled(self._planes, number, self._box, self._radius)
        gaps = [(0, full - side) for full, side in zip(self._box.shape, values.shape, strict=True)]
        padded, mask = (np.pad(a, gaps, mode='symmetric') for a in (values, there))
        return padded, mask


def _filled(
    planes: NoisyPlanes, number: int, box: Window, radius: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A box of a plane, filled where it is blank, and its mask: 0 where there is no image, else 1.

    The filled values are mirrored over some distance. So that those that the network sees are the
    same as in the whole plane, more of it is read where there are blank places.
    """
    whole = Window.whole(planes.shape)
    inside = box.common(whole)
    if inside is None or inside == whole:
        plane = planes.plane(number).astype(np.float32, copy=False)
        return filled(plane), np.isfinite(plane).astype(np.float32)
    divisible: Any = planes  # planes of which a part is predicted can be divided
    plane = divisible.part(inside).plane(number)
    there = np.isfinite(plane).astype(np.float32)
    if there.all():
        return plane, there
    near = inside.wider(_MIRRORED * radius, planes.shape)
    return filled(divisible.part(near).plane(number))[inside.within(near)], there
