"""Random training patches from planes that are read when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_CACHE_BYTES = 1 << 29


class Planes(Protocol):
    """Planes of one channel in the unit-noise coordinate, read one by one."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, Y, X): planes, rows, columns."""
        ...

    def plane(self, index: int) -> NDArray[np.float32]:
        """Plane ``index``, (Y, X) float32, noise standard deviations."""
        ...


class PatchSampler:
    """Draws patches, each pixel of every image as likely as any other, turned and mirrored.

    Parameters
    ----------
    images : sequence of Planes
        What to draw from.
    size : int
        Height and width of a patch, pixels. Smaller planes are mirrored up to it.
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    """

    def __init__(self, images: Sequence[Planes], size: int, generator: torch.Generator) -> None:
        self._images = images
        self._size = size
        self._generator = generator
        self._weights = torch.tensor([float(np.prod(image.shape)) for image in images])
        self._cache: OrderedDict[tuple[int, int], Tensor] = OrderedDict()

    def draw(self, count: int) -> tuple[Tensor, Tensor]:
        """``count`` patches.

        Returns
        -------
        patches : (count, 1, size, size) float32
            In the unit-noise coordinate.
        image : (count,) int64
            Which image each one comes from.
        """
        chosen = torch.multinomial(self._weights, count, True, generator=self._generator)
        return torch.stack([self._patch(int(image)) for image in chosen])[:, None], chosen

    def _patch(self, image: int) -> Tensor:
        plane = self._plane(image, self._whole(self._images[image].shape[0]))
        top, left = (self._whole(side - self._size + 1) for side in plane.shape)
        patch = plane[top : top + self._size, left : left + self._size]
        turn = self._whole(8)
        patch = torch.rot90(patch, turn % 4)
        return patch.flip(1) if turn >= 4 else patch

    def _whole(self, stop: int) -> int:
        return int(torch.randint(stop, (), generator=self._generator))

    def _plane(self, image: int, index: int) -> Tensor:
        key = image, index
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        values = self._images[image].plane(index)
        missing = [max(0, self._size - side) for side in values.shape]
        if any(missing):
            values = np.pad(values, [(0, gap) for gap in missing], mode='symmetric')
        plane = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        self._cache[key] = plane
        while len(self._cache) > 1 and self._bytes() > _CACHE_BYTES:
            self._cache.popitem(last=False)
        return plane

    def _bytes(self) -> int:
        return sum(plane.nbytes for plane in self._cache.values())
