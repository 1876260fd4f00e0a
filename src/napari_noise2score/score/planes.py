"""The planes that trainings and predictions read: of any source, with the noise of their channel.

`pipeline.prepared` makes them of images; `PlanesInMemory` are some that were chosen or made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.blocks import Window
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.level_table import VarianceCurve
from napari_noise2score.noise.pairs import PlanePair
from napari_noise2score.score.context import ERROR, context_in


class ReadPlanes(Protocol):
    """Planes (N, Y, X) that are read one by one."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, Y, X)."""
        ...

    @property
    def costly(self) -> bool:
        """Whether a plane is denoised when it is first read."""
        ...

    def plane(self, index: int) -> NDArray[np.float32]:
        """Plane ``index``, (Y, X); NaN where there is no image."""
        ...


class Planes(ReadPlanes, Protocol):
    """Planes of one channel in the unit-noise coordinate, read one by one."""

    def context(self, index: int) -> NDArray[np.float32] | None:
        """What a network with context sees beside a plane, (`context.PLANES`, Y, X).

        None if there is nothing. It is not to be changed.
        """
        ...

    def patch_context(
        self, index: int, window: Window, without: int | None = None
    ) -> NDArray[np.float32] | None:
        """The same for a window, of which nothing else is read; ``without`` one of the others."""
        ...

    def beside(self, index: int) -> tuple[int | None, int | None]:
        """Numbers of the planes before and after a plane in its context, None where there is
        none.
        """
        ...


class NoisyPlanes(Planes, Protocol):
    """Planes and the properties of their noise: the input of a training."""

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
        """Whether the noise is nearly Gaussian in the coordinate, as a recorrupted risk
        requires.
        """
        ...

    @property
    def pairs(self) -> Sequence[PlanePair]:
        """Planes that show one scene with independent noise; empty if none are known to."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PlanesInMemory:
    """Planes in memory, with the noise of a channel; no two of one scene.

    Plane n is the central one of slab n of the ``array`` (N, P, Y, X) float32: it is alone, or in
    the middle of its context.
    """

    array: NDArray[np.float32]
    curve: VarianceCurve
    correlation: Correlation
    recorruptible: bool
    pairs: tuple[PlanePair, ...] = ()

    @classmethod
    def like(cls, channel: NoisyPlanes, array: NDArray[np.floating]) -> PlanesInMemory:
        """These slabs (N, P, Y, X), with the noise of ``channel``."""
        values = array.astype(np.float32, copy=False)
        return cls(values, channel.curve, channel.correlation, channel.recorruptible)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, Y, X)."""
        count, _, rows, columns = self.array.shape
        return count, rows, columns

    @property
    def costly(self) -> bool:
        """Whether a plane is denoised when it is read: no."""
        return False

    def plane(self, index: int) -> NDArray[np.float32]:
        """Plane ``index``, (Y, X) float32."""
        plane: NDArray[np.float32] = self.array[index, self.array.shape[1] // 2]
        return plane

    def context(self, index: int) -> NDArray[np.float32] | None:
        """The context of a plane: the other planes of its slab, if there are any."""
        context = context_in(self.array[index]) if self.array.shape[1] > 1 else None
        if context is not None and np.isnan(context[ERROR]).all():
            return None
        return context

    def patch_context(
        self, index: int, window: Window, without: int | None = None
    ) -> NDArray[np.float32] | None:
        """The same for a window; no other plane is known by a number, so all of them are seen."""
        context = self.context(index)
        return None if context is None else context[:, *window]

    def beside(self, index: int) -> tuple[None, None]:
        """No other plane is known by a number."""
        return None, None

    @property
    def alone(self) -> PlanesInMemory:
        """The central planes by themselves."""
        half = self.array.shape[1] // 2
        return replace(self, array=self.array[:, half : half + 1])
