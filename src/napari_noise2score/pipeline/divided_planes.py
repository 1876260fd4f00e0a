"""A channel of large planes as one of small planes: what is drawn from it is read in parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.blocks import Window, is_large, overlapping
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.level_table import VarianceCurve
from napari_noise2score.noise.pairs import PlanePair
from napari_noise2score.pipeline.prepared import PreparedChannel
from napari_noise2score.score.planes import NoisyPlanes

_SIDE = 2048
"""Rows and columns of a part at most, as a plane of a usual camera."""


def divided(channel: PreparedChannel) -> NoisyPlanes:
    """The channel, or the parts of its planes if these are large.

    Parts depend on the shape of the planes alone, never on the memory, and so does a training.
    Planes that are denoised when they are read stay whole.
    """
    return DividedPlanes(channel) if is_large(channel.shape) and not channel.costly else channel


class DividedPlanes:
    """Parts (N, Y, X) of the planes of a channel, those of one plane after the other.

    Parameters
    ----------
    channel : PreparedChannel
        The channel.
    """

    costly = False

    def __init__(self, channel: PreparedChannel) -> None:
        self._channel = channel
        self._windows = overlapping(channel.shape, _SIDE)
        self._pairs = tuple(
            self._of_part(pair, number, window)
            for pair in channel.pairs
            for number, window in enumerate(self._windows)
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, Y, X)."""
        return self._channel.shape[0] * len(self._windows), *self._windows[0].shape

    def plane(self, index: int) -> NDArray[np.float32]:
        """Part ``index`` in the unit-noise coordinate, (Y, X); NaN where it is blank."""
        plane, number = divmod(index, len(self._windows))
        return self._channel.part(self._windows[number]).plane(plane)

    def context(self, index: int) -> NDArray[np.float32] | None:
        """What the network sees beside part ``index``."""
        plane, number = divmod(index, len(self._windows))
        return self._channel.part(self._windows[number]).context(plane)

    def patch_context(
        self, index: int, window: Window, without: int | None = None
    ) -> NDArray[np.float32] | None:
        """What the network sees beside a window of part ``index``, one of the other planes left
        out, which has the number ``without`` among the parts.
        """
        plane, number = divmod(index, len(self._windows))
        other = None if without is None else without // len(self._windows)
        inside = window.inside(self._windows[number])
        return self._channel.patch_context(plane, inside, other)

    def beside(self, index: int) -> tuple[int | None, int | None]:
        """Numbers of the same part of the planes before and after; see `Planes.beside`."""
        plane, number = divmod(index, len(self._windows))
        before, after = (
            None if other is None else other * len(self._windows) + number
            for other in self._channel.beside(plane)
        )
        return before, after

    @property
    def curve(self) -> VarianceCurve:
        """Noise variance by clean level, in the unit-noise coordinate."""
        return self._channel.curve

    @property
    def correlation(self) -> Correlation:
        """Correlation of the noise between pixels."""
        return self._channel.correlation

    @property
    def recorruptible(self) -> bool:
        """Whether the noise is nearly Gaussian in the coordinate."""
        return self._channel.recorruptible

    @property
    def pairs(self) -> tuple[PlanePair, ...]:
        """Parts of planes that show one scene with independent noise."""
        return self._pairs

    def _of_part(self, pair: PlanePair, number: int, window: Window) -> PlanePair:
        first, second = (n * len(self._windows) + number for n in (pair.first, pair.second))
        still = pair.still
        if still is not None:
            row, column = still.corner
            corner = row - window.rows.start, column - window.columns.start
            still = replace(still, corner=corner)
        return replace(pair, first=first, second=second, still=still)
