"""Random training patches from planes that are read when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.level_table import VarianceCurve
from napari_noise2score.score.orientation import ORIENTATIONS, turned

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


class NoisyPlanes(Planes, Protocol):
    """Planes and what is known of their noise: what a training needs of a channel."""

    @property
    def curve(self) -> VarianceCurve:
        """Noise variance by clean level, in the unit-noise coordinate."""
        ...

    @property
    def correlation(self) -> Correlation:
        """Correlation of the noise between pixels."""
        ...

    @property
    def recorruptible(self) -> bool:
        """Whether the noise is near enough to Gaussian here for a recorrupted risk."""
        ...

    @property
    def pairs(self) -> Sequence[tuple[int, int]]:
        """Planes that show one scene with independent noise; empty if none are known to."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class HeldPlanes:
    """Planes (N, Y, X) float32 in memory, with the noise of a channel; no two of one scene."""

    array: NDArray[np.float32]
    curve: VarianceCurve
    correlation: Correlation
    recorruptible: bool
    pairs: tuple[tuple[int, int], ...] = ()

    @classmethod
    def like(cls, channel: NoisyPlanes, array: NDArray[np.floating]) -> HeldPlanes:
        """These planes, with the noise of ``channel``."""
        values = array.astype(np.float32, copy=False)
        return cls(values, channel.curve, channel.correlation, channel.recorruptible)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, Y, X)."""
        count, rows, columns = self.array.shape
        return count, rows, columns

    def plane(self, index: int) -> NDArray[np.float32]:
        """Plane ``index``, (Y, X) float32."""
        plane: NDArray[np.float32] = self.array[index]
        return plane


class Patches(NamedTuple):
    """A batch: ``values`` (B, 1, Y, X) float32 in the unit-noise coordinate, the ``image`` (B,)
    and the ``orientation`` (B,) of each, int64.
    """

    values: Tensor
    image: Tensor
    orientation: Tensor


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

    def draw(self, count: int) -> Patches:
        """``count`` patches, turned and mirrored at random."""
        chosen = self.images(count)
        ways = torch.randint(ORIENTATIONS, (count,), generator=self._generator)
        drawn = []
        for image, way in zip(chosen, ways, strict=True):
            plane = self._whole(self._images[int(image)].shape[0])
            (patch,) = self.cut(int(image), [plane])
            drawn.append(turned(patch, int(way)))
        return Patches(torch.stack(drawn)[:, None], chosen, ways)

    def images(self, count: int) -> Tensor:
        """Numbers of ``count`` images, (count,) int64, each pixel as likely as any other."""
        return torch.multinomial(self._weights, count, True, generator=self._generator)

    def cut(self, image: int, planes: Sequence[int]) -> list[Tensor]:
        """One random place, (size, size), upright, in each of several planes of an image."""
        whole = [self._plane(image, index) for index in planes]
        top, left = (self._whole(side - self._size + 1) for side in whole[0].shape)
        return [plane[top : top + self._size, left : left + self._size] for plane in whole]

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
