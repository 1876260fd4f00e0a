"""Clean levels of the planes of a channel; each plane is predicted when it is read."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_noise2score.images.blocks import Window
from napari_noise2score.pipeline.blending import WithContext
from napari_noise2score.pipeline.context_levels import levels_of
from napari_noise2score.pipeline.prepared import PreparedChannel
from napari_noise2score.progress import finish
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress


@dataclass(frozen=True, slots=True, eq=False)
class LevelsOnDemand:
    """The clean levels (N, Y, X) of a channel, predicted plane by plane when they are read.

    A plane has the same values as in a prediction of all planes. The first predicted planes are
    kept, up to ``most`` bytes, for another correction.

    Attributes
    ----------
    model : ScoreModel
        The trained model.
    channel : PreparedChannel
        The channel.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    orientations : int
        Number of rotated and mirrored views that are averaged, 1 to 8.
    sigma_a : float
        Perturbation at inference, noise standard deviations.
    most : int
        Maximum size of the kept planes, bytes.
    beside : WithContext or None
        What the other planes say.
    """

    model: ScoreModel
    channel: PreparedChannel
    device: str
    orientations: int
    sigma_a: float
    most: int = 0
    beside: WithContext | None = None
    _kept: dict[int, NDArray[np.float32]] = field(default_factory=dict, init=False, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, Y, X)."""
        return self.channel.shape

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """Clean level of one plane, (Y, X)."""
        return finish(self.steps(index))

    def steps(self, index: int) -> Generator[PredictProgress, None, NDArray[np.float32]]:
        """Clean level of one plane, (Y, X), predicted tile by tile unless it is kept."""
        known = self._kept.get(index)
        if known is not None:
            return known
        level = yield from self.window_steps(index)
        if (len(self._kept) + 1) * level.nbytes <= self.most:
            self._kept[index] = level
        return level

    def window_steps(
        self, index: int, window: Window | None = None
    ) -> Generator[PredictProgress, None, NDArray[np.float32]]:
        """Clean level of a window of one plane, (Y, X), as in the whole plane; it is not kept.

        By default the window is the whole plane.
        """
        (predicted,) = yield from levels_of(
            self.model,
            self.channel,
            self.beside,
            device=self.device,
            orientations=self.orientations,
            sigma_a=self.sigma_a,
            only=range(index, index + 1),
            window=window,
        )
        return np.asarray(predicted)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        values = np.stack([self[index] for index in range(self.shape[0])])
        return values if dtype is None else values.astype(dtype, copy=False)
