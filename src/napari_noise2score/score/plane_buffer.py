"""Planes that patches are drawn from: all of an image that fits in memory, else a few that change.

A plane that is read costs time: its chunks are decoded and its values converted; if its rows or
pixels have offsets of their own, it is denoised several times. So each is used for many patches.
The planes of a large image are a shelf: a few at first, so that a training begins soon, then more
at random, until there is no room and the oldest makes place.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from napari_noise2score.memory import LIMIT
from napari_noise2score.noise.fill import filled
from napari_noise2score.noise.pairs import PlanePair
from napari_noise2score.score.planes import ReadPlanes

CACHE_BYTES = 1 << 29
"""Size of a buffer, bytes."""
_PART_OF_FREE = 2
"""Part of the free memory, one in so many, that a buffer may take."""
_REUSE = 16
"""Least number of patches between two planes that are read, if not all fit in memory."""
_COVERED = 0.25
"""The same for large planes: the number of patches with this share of the pixels of a plane."""
_COSTLY = 80
"""Factor of this number for planes that are denoised when they are read. It limits that work to
about a fifth of the training."""
_FIRST = 8
"""Number of planes at the beginning."""
_SOON = 1 << 22
"""Number of pixels at the beginning, if planes are denoised when they are read."""


class PlaneBuffer:
    """Planes of images, filled where they are blank; the least recently used ones go first.

    Parameters
    ----------
    images : sequence of ReadPlanes
        The images.
    in_memory : int
        Size, bytes. Which planes are chosen depends on it, and not on the memory that is free:
        with less, fewer are held, and planes are read again.
    """

    def __init__(self, images: Sequence[ReadPlanes], in_memory: int = CACHE_BYTES) -> None:
        self._images, self.in_memory = images, in_memory
        self._most = min(in_memory, LIMIT.spare() // _PART_OF_FREE)
        self._planes: OrderedDict[tuple[int, int, int], Tensor] = OrderedDict()
        self._blank: dict[tuple[int, int, int], Tensor] = {}
        self._bytes = 0

    def plane(self, image: int, index: int, size: int) -> Tensor:
        """A plane (Y, X); a smaller one is mirrored up to ``size``."""
        key = image, index, size
        if key in self._planes:
            self._planes.move_to_end(key)
            return self._planes[key]
        values = self._images[image].plane(index)
        missing = [max(0, size - side) for side in values.shape]
        if any(missing):
            values = np.pad(values, [(0, gap) for gap in missing], mode='symmetric')
        blank = np.isnan(values)
        plane = torch.from_numpy(np.ascontiguousarray(filled(values), dtype=np.float32))
        self._planes[key] = plane
        self._bytes += plane.nbytes
        if blank.any():
            self._blank[key] = torch.from_numpy(blank)
        while len(self._planes) > 1 and self._bytes > self._most:
            self._remove(next(iter(self._planes)))
        return plane

    def blank(self, image: int, index: int, size: int) -> Tensor | None:
        """Blank places of a plane, (Y, X) bool; None if there are none."""
        self.plane(image, index, size)
        return self._blank.get((image, index, size))

    def forget(self, image: int, index: int) -> None:
        """Remove a plane."""
        for key in [key for key in self._planes if key[:2] == (image, index)]:
            self._remove(key)

    def _remove(self, key: tuple[int, int, int]) -> None:
        self._bytes -= self._planes.pop(key).nbytes
        self._blank.pop(key, None)


class PlaneChoice:
    """Chooses planes, and pairs of planes, at random.

    Of an image that fits in memory, each has the same probability. Of a larger one, only those of
    its shelf are chosen.

    Parameters
    ----------
    images : sequence of ReadPlanes
        The images.
    pairs : callable
        Gives the pairs of planes of an image by its number.
    buffer : PlaneBuffer
        The planes that were read.
    patch : int
        Height and width of a patch, pixels.
    planes : int
        Number of planes of a patch, its context included.
    whole : callable
        Returns a random whole number below another one.

    Attributes
    ----------
    drawn : int
        Number of choices from shelves.
    shelves, pair_shelves : dict of int to list of int
        Numbers of the planes, and of the pairs, on the shelf of each image.
    """

    def __init__(
        self,
        images: Sequence[ReadPlanes],
        pairs: Callable[[int], Sequence[PlanePair]],
        buffer: PlaneBuffer,
        patch: int,
        planes: int,
        whole: Callable[[int], int],
    ) -> None:
        self._images, self._pairs, self._buffer = images, pairs, buffer
        self._patch, self._planes, self._whole = patch, planes, whole
        self._pixels = sum(math.prod(image.shape) for image in images)
        self.drawn = 0
        self.shelves: dict[int, list[int]] = {}
        self.pair_shelves: dict[int, list[int]] = {}

    def plane(self, image: int) -> int:
        """A random plane of an image."""
        count = self._images[image].shape[0]
        if self._fits(image, count):
            return self._whole(count)
        if self._images[image].costly and self._pairs(image):
            pair = self.pair(image)
            return pair.second if self._whole(2) else pair.first
        first = min(self._first(image), self._room(image))
        self.shelves.setdefault(image, _spread(first, count))
        return self._from(self.shelves, image, count, self._room(image), self._forget_plane)

    def pair(self, image: int) -> PlanePair:
        """A random pair of planes of an image that has pairs."""
        pairs = self._pairs(image)
        different = len({plane for pair in pairs for plane in (pair.first, pair.second)})
        if self._fits(image, different):
            return pairs[self._whole(len(pairs))]
        room = max(1, self._room(image) // 2)
        first = max(1, min(self._first(image) // 2, room))
        self.pair_shelves.setdefault(image, _spread(first, len(pairs)))
        number = self._from(self.pair_shelves, image, len(pairs), room, self._forget_pair)
        return pairs[number]

    def replace(self, image: int, plane: int) -> None:
        """Another plane instead of one on the shelf that is of no use."""
        shelf = self.shelves.get(image, [])
        if plane in shelf:
            shelf[shelf.index(plane)] = self._whole(self._images[image].shape[0])

    def _from(
        self,
        shelves: dict[int, list[int]],
        image: int,
        count: int,
        room: int,
        forget: Callable[[int, int], None],
    ) -> int:
        shelf = shelves[image]
        self.drawn += 1
        if self.drawn % self._reuse(image) == 0:
            shelf.append(self._whole(count))
        if len(shelf) > room:
            forget(image, shelf.pop(0))
        return shelf[self._whole(len(shelf))]

    def _fits(self, image: int, count: int) -> bool:
        """Whether so many planes of an image are all used: they fit, and are soon ready."""
        pixels = count * self._plane_pixels(image)
        soon = not self._images[image].costly or pixels <= _SOON
        return soon and self._room(image, at_least=0) >= count

    def _room(self, image: int, at_least: int = 1) -> int:
        """Number of planes of an image that fit in the buffer beside the other images."""
        count = self._images[image].shape[0]
        share = self._buffer.in_memory / self._pixels
        return max(at_least, int(share / 4 * count) // self._planes)

    def _first(self, image: int) -> int:
        if not self._images[image].costly:
            return _FIRST
        return max(1, min(_FIRST, _SOON // self._plane_pixels(image)))

    def _reuse(self, image: int) -> int:
        """Number of patches between two planes that are read."""
        covering = _COVERED * self._plane_pixels(image) / self._patch**2
        return max(_REUSE, int(covering * (_COSTLY if self._images[image].costly else 1)))

    def _plane_pixels(self, image: int) -> int:
        return math.prod(self._images[image].shape[1:])

    def _forget_plane(self, image: int, plane: int) -> None:
        if plane not in self.shelves[image]:
            self._buffer.forget(image, plane)

    def _forget_pair(self, image: int, number: int) -> None:
        """The planes of a pair may be those of others: the buffer lets them go by itself."""


def _spread(some: int, count: int) -> list[int]:
    """Some numbers below ``count``, evenly spaced; the same for all that draw from an image."""
    some = min(some, count)
    return [int((number + 0.5) * count / some) for number in range(some)]
