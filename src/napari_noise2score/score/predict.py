"""The score of whole images, tile by tile, in bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noise2score.images.blocks import Window
from napari_noise2score.images.storage import allocate
from napari_noise2score.noise.fill import filled
from napari_noise2score.score.denoiser import Denoiser
from napari_noise2score.score.device import choose_device, free_memory, out_of_memory
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network import channels_last
from napari_noise2score.score.orientation import turned, turned_back
from napari_noise2score.score.perturbation import noise_source, slab_noise
from napari_noise2score.score.precision import Precision
from napari_noise2score.score.sampler import NoisyPlanes
from napari_noise2score.score.slabs import central_plane, read_slab
from napari_noise2score.score.threads import quickest_threads
from napari_noise2score.score.tiling import Span, round_up, tiles

TILE = 512
"""Height and width of the result of a tile, pixels."""

_LEAST_TILE = 64
"""Smallest tile after halving because of lack of memory; below it the CPU is used."""

_MIRRORED = 5
"""Distance from the box of a tile up to which filled values depend on the image, in radii of the
network: those that it sees are mirrored at an edge that is nearer than sqrt(2) radii."""

Tile: TypeAlias = tuple[Span, Span]
"""Rows and columns of a tile."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PredictProgress:
    """Number of finished tiles, and of all tiles."""

    done: int
    total: int

    @property
    def fraction(self) -> float:
        """Share of the work that is done, 0 to 1."""
        return self.done / self.total


def predict_clean(
    model: ScoreModel,
    planes: NoisyPlanes,
    *,
    device: str = 'auto',
    tile: int = TILE,
    orientations: int = 8,
    first_view: int = 0,
    sigma_a: float = 0.0,
    exact: bool = False,
    precision: Precision | None = None,
    only: range | None = None,
    window: Window | None = None,
) -> Generator[PredictProgress, None, NDArray[np.float32]]:
    """Clean level ``D`` of every plane of a channel; its score is ``(D - t) / v(D)``.

    Parameters
    ----------
    model : ScoreModel
        Trained on images like this one.
    planes : NoisyPlanes
        The channel, (N, Y, X), in its unit-noise coordinate, NaN where there is no image; any
        size. The number of planes in memory is that of the input planes of the network.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    tile : int
        Height and width of the result of a tile, pixels; the required memory is proportional to
        its square. It is halved if there is not enough memory, down to 64; then the CPU is used.
    orientations : int
        1 to 8 rotated and mirrored views that are averaged; the time is proportional to it.
    first_view : int
        Number of the first of these views.
    sigma_a : float
        Perturbation at inference, noise standard deviations: new noise is added to each of the
        views. The result is more blurred, but may be better if the score at 0 is not accurate.
    exact : bool
        Compute in float32 even if bfloat16 is faster.
    precision : Precision, optional
        Precision on that device; by default it follows ``exact``. A tile that is not
        finite in bfloat16 is computed again in float32.
    only : range, optional
        Consecutive planes to predict, instead of all; they are the same as among all.
    window : Window, optional
        Rows and columns to predict, instead of all; they are the same as in the whole plane. Only
        the tiles that overlap the window are computed, and only their surroundings are read; for
        that, ``planes`` need a method ``part``.

    Yields
    ------
    PredictProgress
        After every tile.

    Returns
    -------
    (N, Y, X) float32
        ``D`` of these planes, or of the window of them, in the unit-noise coordinate; NaN where
        there is no image.

    Raises
    ------
    InputError
        If the network needs adjacent planes and the channel has none.
    """
    where = choose_device(device)
    precision = precision or Precision(where, reduced=False if exact else None)
    views = [(first_view + number) % 8 for number in range(orientations)]
    averaged = _ViewAverage(model.denoiser([planes], where, precision), planes, views, sigma_a)
    together = model.network.settings.planes
    only = range(planes.shape[0]) if only is None else only
    count, (height, width) = len(only), planes.shape[1:]
    radius, multiple = model.network.receptive_radius, model.network.size_multiple
    size = round_up(height, multiple), round_up(width, multiple)
    wanted = window or Window.whole(planes.shape)
    result = allocate((count, *wanted.shape), np.float32)

    every = list(tiles(size, tile, radius, multiple))
    cuts, box = _near(every, wanted)

    @lru_cache(maxsize=together)
    def read(number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The box of a plane, filled and padded, and its mask: 0 where there is no image."""
        values, there = _filled(planes, number, box, radius)
        gaps = [(0, full - side) for full, side in zip(box.shape, values.shape, strict=True)]
        padded, mask = (np.pad(a, gaps, mode='symmetric') for a in (values, there))
        return padded, mask

    done = 0
    while done < count:
        index = only[done]
        blank = read(index)[1][wanted.within(box)] == 0
        if blank.all():
            result[done] = np.nan
            yield PredictProgress((done + 1) * len(cuts), count * len(cuts))
            done += 1
            continue
        numbers = planes.slab(index, together)
        slab = torch.from_numpy(read_slab(numbers, lambda n: read(n)[0]))[None]
        there = torch.from_numpy(read_slab(numbers, lambda n: read(n)[1]))[None]
        try:
            for number, (rows, columns) in enumerate(cuts, 1):
                averaged.begin(index, every.index((rows, columns)))
                seen = np.s_[:, :, *Window(rows.read, columns.read).within(box)]
                everywhere = bool((there[seen] != 0).all())  # NaN too: beyond the end of a stack
                inputs = (slab[seen],) if everywhere else (slab[seen], there[seen])
                clean = averaged.clean(*inputs)[0, 0].numpy()
                kept = Window(rows.keep, columns.keep).common(wanted)
                assert kept is not None  # only such tiles are near
                own = clean[kept.within(Window(rows.read, columns.read))]
                result[(done, *kept.within(wanted))] = own
                yield PredictProgress(done * len(cuts) + number, count * len(cuts))
        except RuntimeError as error:
            if not out_of_memory(error) or (where.type == 'cpu' and tile <= _LEAST_TILE):
                raise
            if tile > _LEAST_TILE:
                tile = max(_LEAST_TILE, tile // 2)
                every = list(tiles(size, tile, radius, multiple))
                cuts, box = _near(every, wanted)
                read.cache_clear()
            else:
                where = torch.device('cpu')
                precision = Precision(where, reduced=False if exact else None)
                denoiser = model.denoiser([planes], where, precision)
                averaged = _ViewAverage(denoiser, planes, views, sigma_a)
            log.warning('out of memory; going on with tiles of %d pixels on %s', tile, where)
            free_memory()
            continue
        result[done][blank] = np.nan
        done += 1
    return result


def _near(every: Sequence[Tile], wanted: Window) -> tuple[list[Tile], Window]:
    """The tiles that overlap a window, and the box of all that they read."""
    cuts = [
        (rows, columns)
        for rows, columns in every
        if Window(rows.keep, columns.keep).common(wanted) is not None
    ]
    sides = (
        slice(min(at.read_start for at in axis), max(at.read_stop for at in axis))
        for axis in zip(*cuts, strict=True)
    )
    return cuts, Window(*sides)


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
    divisible: Any = planes
    plane = divisible.part(inside).plane(number)
    there = np.isfinite(plane).astype(np.float32)
    if there.all():
        return plane, there
    near = inside.wider(_MIRRORED * radius, planes.shape)
    return filled(divisible.part(near).plane(number))[inside.within(near)], there


class _ViewAverage:
    """A denoiser of one channel, averaged over rotated and mirrored views of its planes."""

    def __init__(
        self, denoiser: Denoiser, channel: NoisyPlanes, views: Sequence[int], sigma_a: float
    ) -> None:
        self._denoiser, self._views, self._sigma_a = denoiser, views, sigma_a
        self._precision = denoiser.precision or Precision(denoiser.device)
        channels_last(denoiser.network)
        self._source = noise_source(channel.correlation)
        self._generator = torch.Generator()

    def begin(self, plane: int, tile: int) -> None:
        """A tile of a plane is next; its perturbation does not depend on those before it."""
        self._generator.manual_seed(plane + (tile << 32))

    @torch.no_grad()
    def clean(self, slab: Tensor, there: Tensor | None = None) -> Tensor:
        """Clean level of the central plane of a slab (1, P, Y, X), (1, 1, Y, X) on the CPU.

        ``there``, of its shape, is 0 where there is no image; by default it is 1 everywhere.
        """
        z = slab.to(self._denoiser.device)
        there = None if there is None else there.to(z.device)
        random = self._generator.get_state()

        def mean_of_views() -> Tensor:
            self._generator.set_state(random)
            return self._mean_of_views(z, there)

        output = self._precision.finite(self._denoiser.network, central_plane(z), mean_of_views)
        return self._denoiser.clean(output, z).cpu()

    def _mean_of_views(self, z: Tensor, there: Tensor | None) -> Tensor:
        total = torch.zeros_like(central_plane(z))
        sigma_a = z.new_full((1, 1, 1, 1), self._sigma_a)
        image = torch.zeros(1, dtype=torch.long, device=z.device)
        _, planes, *size = z.shape
        for view in self._views:
            input_ = z
            if self._sigma_a > 0:
                u = slab_noise(self._source, planes, (size[0], size[1]), self._generator)
                input_ = z + self._sigma_a * u.to(z.device)
            input_, orientation = turned(input_, view), torch.full_like(image, view)
            where = None if there is None else turned(there, view)
            with quickest_threads(z.device, size[0] * size[1]):
                output = self._denoiser.output(input_, sigma_a, image, orientation, where)
            total += turned_back(output, view)
        return total / len(self._views)
