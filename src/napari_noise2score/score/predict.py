"""The score of whole images, tile by tile, in bounded memory."""

from __future__ import annotations

import copy
import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noise2score.images.storage import allocate
from napari_noise2score.noise.fill import filled
from napari_noise2score.score.denoiser import Denoiser
from napari_noise2score.score.device import choose_devices, free_memory, out_of_memory
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network import channels_last
from napari_noise2score.score.orientation import turned, turned_back
from napari_noise2score.score.perturbation import noise_source, slab_noise
from napari_noise2score.score.precision import Precision
from napari_noise2score.score.sampler import NoisyPlanes
from napari_noise2score.score.sharing import shared
from napari_noise2score.score.slabs import central_plane, read_slab
from napari_noise2score.score.threads import quickest_threads
from napari_noise2score.score.tiling import Span, round_up, tiles

TILE = 512
"""Height and width of the result of a tile, pixels."""

_LEAST_TILE = 64
"""Smallest tile after halving because of lack of memory; below it the CPU is used."""

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
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``. Several devices, such as
        ``'cuda:0,cuda:1'``, share the tiles; the result is the same, on CPUs bit for bit.
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

    Yields
    ------
    PredictProgress
        After every tile.

    Returns
    -------
    (N, Y, X) float32
        ``D`` of these planes, in the unit-noise coordinate; NaN where there is no image.

    Raises
    ------
    InputError
        If the network needs adjacent planes and the channel has none.
    """
    devices = choose_devices(device)
    reduced = False if exact else None
    views = [(first_view + number) % 8 for number in range(orientations)]
    together = model.network.settings.planes
    only = range(planes.shape[0]) if only is None else only
    count, (height, width) = len(only), planes.shape[1:]
    multiple = model.network.size_multiple
    size = round_up(height, multiple), round_up(width, multiple)
    result = allocate((count, height, width), np.float32)

    @lru_cache(maxsize=together)
    def read(number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A plane, filled and padded, and its mask: 0 where there is no image, else 1."""
        plane = planes.plane(number).astype(np.float32, copy=False)
        gaps = [(0, full - side) for full, side in zip(size, plane.shape, strict=True)]
        there = np.isfinite(plane).astype(np.float32)
        values, there = (np.pad(a, gaps, mode='symmetric') for a in (filled(plane), there))
        return values, there

    def tiles_of(place: int, cuts: Sequence[tuple[Span, Span]]) -> Iterator[_Tile]:
        """The tiles of a plane of the result; without pixels where there is no image."""
        index = only[place]
        if not read(index)[1][:height, :width].any():
            yield _Tile(place, index, len(cuts) - 1)
            return
        numbers = planes.slab(index, together)
        whole = torch.from_numpy(read_slab(numbers, lambda n: read(n)[0]))[None]
        there = torch.from_numpy(read_slab(numbers, lambda n: read(n)[1]))[None]
        everywhere = bool((there != 0).all())  # NaN too: planes beyond the end of a stack
        for number, (rows, columns) in enumerate(cuts):
            at = np.s_[:, :, rows.read, columns.read]
            inputs = (whole[at],) if everywhere else (whole[at], there[at])
            yield _Tile(place, index, number, inputs)

    done = 0
    while done < count:
        cuts = list(tiles(size, tile, model.network.receptive_radius, multiple))
        jobs = (one for place in range(done, count) for one in tiles_of(place, cuts))
        averages = [
            _ViewAverage(
                each.denoiser([planes], where, precision or Precision(where, reduced=reduced)),
                planes,
                views,
                sigma_a,
            )
            for each, where in _copies(model, devices[: (count - done) * len(cuts)])
        ]
        try:
            with closing(shared(jobs, [partial(_clean, one) for one in averages])) as finished:
                for job, clean in finished:
                    _put(result[job.place], job, clean, cuts[job.number])
                    done = job.place + (job.number + 1 == len(cuts))
                    parts = job.place * len(cuts) + job.number + 1
                    yield PredictProgress(parts, count * len(cuts))
        except RuntimeError as error:
            on_cpu = devices[0].type == 'cpu'
            if not out_of_memory(error) or (on_cpu and tile <= _LEAST_TILE):
                raise
            if tile > _LEAST_TILE:
                tile = max(_LEAST_TILE, tile // 2)
            else:
                devices, precision = (torch.device('cpu'),), None
            where = ', '.join(map(str, devices))
            log.warning('out of memory; going on with tiles of %d pixels on %s', tile, where)
            del averages
            free_memory()
    return result


def _put(
    plane: NDArray[np.float32], tile: _Tile, clean: Tensor | None, cut: tuple[Span, Span]
) -> None:
    """Put a computed tile into its plane of the result; NaN where there is no image."""
    if clean is None:
        plane[...] = np.nan
        return
    rows, columns = cut
    part = plane[rows.keep, columns.keep]
    inner = np.s_[rows.inner, columns.inner]
    height, width = part.shape
    part[...] = clean[0, 0][inner].numpy()[:height, :width]
    for there in tile.inputs[1:]:
        part[central_plane(there)[0, 0][inner].numpy()[:height, :width] == 0] = np.nan


def _copies(
    model: ScoreModel, devices: Sequence[torch.device]
) -> Iterator[tuple[ScoreModel, torch.device]]:
    """A model for each device; the first is the model itself."""
    for number, device in enumerate(devices):
        yield replace(model, network=copy.deepcopy(model.network)) if number else model, device


@dataclass(frozen=True, slots=True, eq=False)
class _Tile:
    """A part of a plane that is computed at once.

    Attributes
    ----------
    place : int
        Number of the plane in the result.
    index : int
        Number of the plane in the channel.
    number : int
        Number of the tile in the plane.
    inputs : tuple of Tensor
        Its slab (1, P, Y, X); and the places with an image (1, P, Y, X), if they are not all.
        Empty for a whole plane without an image.
    """

    place: int
    index: int
    number: int
    inputs: tuple[Tensor, ...] = ()


def _clean(average: _ViewAverage, tile: _Tile) -> Tensor | None:
    """Clean level of a tile (1, 1, Y, X) on the CPU; None where there is no image."""
    if not tile.inputs:
        return None
    average.begin(tile.index, tile.number)
    return average.clean(*tile.inputs)


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
        self._generator.manual_seed((tile << 32) + plane)

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
