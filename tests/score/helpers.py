"""Small noisy images in the unit-noise coordinate, for training in seconds."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.images.blocks import Window
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.level_table import VarianceCurve
from napari_noise2score.noise.pairs import PlanePair

FLAT = VarianceCurve(-50.0, 50.0, np.ones(8))


class ArrayPlanes:
    """Planes over an array (N, Y, X), by default of white noise of variance one."""

    recorruptible = True
    costly = False

    def __init__(
        self,
        array: NDArray[np.floating],
        curve: VarianceCurve = FLAT,
        correlation: Correlation | None = None,
        pairs: Sequence[PlanePair | tuple[int, int]] = (),
    ) -> None:
        self.array = np.asarray(array, np.float32)
        self.curve = curve
        self.correlation = correlation or Correlation.white()
        self.pairs = tuple(p if isinstance(p, PlanePair) else PlanePair(*p) for p in pairs)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.array.shape

    def plane(self, index: int) -> NDArray[np.float32]:
        return self.array[index]

    def context(self, index: int) -> None:
        """There is none."""

    def beside(self, index: int) -> tuple[None, None]:
        return None, None

    def patch_context(self, index: int, window: Window, without: int | None = None) -> None:
        """There is none."""


def smooth_image(count: int = 2, size: int = 96, seed: int = 0) -> NDArray[np.float64]:
    """Clean (N, Y, X), contrast of several noise standard deviations."""
    rng = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(rng.normal(size=(count, size, size)), (0, 5, 5))
    return 10 + 3 * blobs / blobs.std()


def noisy_planes(count: int = 2, size: int = 96, seed: int = 0) -> ArrayPlanes:
    clean = smooth_image(count, size, seed)
    return ArrayPlanes(clean + np.random.default_rng(seed + 1).normal(size=clean.shape))
