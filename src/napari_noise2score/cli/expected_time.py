"""About how long images take, from a small part of one that is denoised now."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_noise2score.images.blocks import Window
from napari_noise2score.images.region import Region
from napari_noise2score.settings import DenoiseSettings, StartFrom

if TYPE_CHECKING:
    from napari_noise2score.images.source import ImageSource
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.score.network.parts import Network

_SIDE = 256
"""Rows and columns of the part that is denoised."""
_BESIDE = 4
"""Planes of it that the network sees beside each other."""


@dataclass(frozen=True, slots=True)
class ExpectedTime:
    """How long images take without a training.

    Attributes
    ----------
    once : float
        Seconds of an image of any size: its noise, and the trials of the model.
    pixel : float
        Seconds of a pixel.
    measured : int
        Number of pixels from which this is known.
    """

    once: float
    pixel: float
    measured: int

    @classmethod
    def of(
        cls, source: ImageSource, settings: DenoiseSettings, model: ScoreModel | None
    ) -> ExpectedTime:
        """Denoise a part in the middle of an image.

        Parameters
        ----------
        source : ImageSource
            The image.
        settings : DenoiseSettings
            All settings.
        model : ScoreModel or None
            The model that is applied; the initial one of a training if None.

        Raises
        ------
        InputError, TrainingError
            If the part cannot be denoised.
        """
        from napari_noise2score.pipeline.run import denoise_steps, single
        from napari_noise2score.progress import finish
        from napari_noise2score.score.pretraining.weights import starting_model, warm_start

        init = settings.training.init
        start = StartFrom.WARM if init == StartFrom.SCRATCH else init
        model = model or starting_model(start) or warm_start()
        settings = replace(settings, orientations=settings.views(source.size))
        axis = settings.context.axis_of(source.axes, source.shape)
        part = source.part(_middle(source, axis))
        begin = time.perf_counter()
        result = finish(single(denoise_steps([part], settings, model=model, on_demand=True)))
        between = time.perf_counter()
        np.asarray(result.image)
        once, all_pixels = between - begin, time.perf_counter() - between
        if any(channel.costly for channel in result.score_map.prepared.channels):
            all_pixels += once  # offsets of rows are found in each plane
        more = _read_pixels(source, model.network) / _read_pixels(part, model.network)
        return cls(once, more * all_pixels / part.size, part.size)

    @property
    def seconds(self) -> float:
        """Seconds in which this was measured, about."""
        return self.once + self.pixel * self.measured

    def of_all(self, count: int, pixels: int) -> float:
        """Seconds of ``count`` images with so many pixels together."""
        return self.once * count + self.pixel * pixels


def _read_pixels(source: ImageSource, network: Network) -> float:
    """Pixels that the tiles of a plane read, with their margins, for each pixel of the plane."""
    from napari_noise2score.score.predict import plane_tiles

    shape = source.channels()[0].shape
    read = (Window(rows.read, columns.read) for rows, columns in plane_tiles(shape, network))
    return sum(math.prod(window.shape) for window in read) / math.prod(shape[1:])


def _middle(source: ImageSource, axis: str | None) -> Region:
    """A part in the middle of the image: few rows and columns, and one plane of each channel.

    Of an ``axis`` whose planes the network sees beside each other there are a few.
    """
    ranges: dict[str, tuple[int, int]] = {}
    for letter, length in zip(source.axes, source.shape, strict=True):
        if letter in 'CS':
            continue
        size = _SIDE if letter in 'YX' else _BESIDE if letter == axis else 1
        start = max(0, (length - size) // 2)
        ranges[letter] = start, min(length, start + size)
    return Region(ranges)
