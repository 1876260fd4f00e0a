"""The score of whole images, tile by tile, in bounded memory."""

from __future__ import annotations

import copy
import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noise2score.images.blocks import Window
from napari_noise2score.images.storage import allocate
from napari_noise2score.memory import keeping_freed
from napari_noise2score.score.device import choose_devices, free_memory, out_of_memory
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.parts import Network
from napari_noise2score.score.planes import NoisyPlanes
from napari_noise2score.score.precision import Precision
from napari_noise2score.score.sharing import shared
from napari_noise2score.score.slabs import central_plane
from napari_noise2score.score.tile_inputs import TileInputs
from napari_noise2score.score.tiling import Span, round_up, tiles
from napari_noise2score.score.view_average import ViewAverage
from napari_noise2score.settings import VIEWS

TILE = 512
"""Height and width of the result of a tile, pixels."""

_LEAST_TILE = 64
"""Smallest tile after halving because of lack of memory; below it the CPU is used."""

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
    orientations: int = VIEWS,
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
        size. They are read one by one.
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
        If there is no such device.
    """
    devices = choose_devices(device)
    reduced = False if exact else None
    views = [(first_view + number) % 8 for number in range(orientations)]
    only = range(planes.shape[0]) if only is None else only
    count = len(only)
    wanted = window or Window.whole(planes.shape)
    result = allocate((count, *wanted.shape), np.float32)

    cuts, box = _near(plane_tiles(planes.shape, model.network, tile), wanted)

    reader = TileInputs(planes, model.network, box)

    def tiles_of(place: int) -> Iterator[_Tile]:
        """The tiles of a plane of the result; without pixels where there is no image."""
        index = only[place]
        if not reader.image_in(index, wanted):
            yield _Tile(place, len(cuts) - 1, index, 0)
            return
        for order, (number, cut) in enumerate(cuts):
            yield _Tile(place, order, index, number, reader.of(index, _read(cut)))

    done = 0
    while done < count:
        jobs = (one for place in range(done, count) for one in tiles_of(place))
        averages: list[ViewAverage] = []
        try:
            for each, on in _copies(model, devices[: (count - done) * len(cuts)]):
                used = precision or Precision(on, reduced=reduced)
                denoiser = each.denoiser([planes], on, used)
                averages.append(ViewAverage(denoiser, planes, views, sigma_a))
            work = shared(jobs, [partial(_clean, one) for one in averages])
            with keeping_freed(), closing(work) as finished:
                for job, clean in finished:
                    _put(result[job.place], job, clean, cuts[job.order][1], wanted)
                    done = job.place + (job.order + 1 == len(cuts))
                    parts = job.place * len(cuts) + job.order + 1
                    yield PredictProgress(parts, count * len(cuts))
        except RuntimeError as error:
            on_cpu = devices[0].type == 'cpu'
            if not out_of_memory(error) or (on_cpu and tile <= _LEAST_TILE):
                raise
            if tile > _LEAST_TILE:
                tile = max(_LEAST_TILE, tile // 2)
                cuts, box = _near(plane_tiles(planes.shape, model.network, tile), wanted)
                reader = TileInputs(planes, model.network, box)
            else:
                devices, precision = (torch.device('cpu'),), None
            where = ', '.join(map(str, devices))
            log.warning('out of memory; going on with tiles of %d pixels on %s', tile, where)
            averages.clear()
            free_memory()
    return result


def plane_tiles(shape: Sequence[int], network: Network, tile: int = TILE) -> Iterator[Tile]:
    """The tiles of a plane (..., Y, X), row by row; its sides are rounded up for the network."""
    multiple = network.size_multiple
    rows, columns = (round_up(side, multiple) for side in shape[-2:])
    return tiles((rows, columns), tile, network.receptive_radius, multiple)


def _near(every: Iterable[Tile], wanted: Window) -> tuple[list[tuple[int, Tile]], Window]:
    """The tiles that overlap a window, with their numbers, and the box of all that they read."""
    cuts = [
        (number, (rows, columns))
        for number, (rows, columns) in enumerate(every)
        if Window(rows.keep, columns.keep).common(wanted) is not None
    ]
    sides = (
        slice(min(at.read_start for at in axis), max(at.read_stop for at in axis))
        for axis in zip(*(tile for _, tile in cuts), strict=True)
    )
    return cuts, Window(*sides)


def _read(tile: Tile) -> Window:
    """What a tile reads of its plane."""
    return Window(*(span.read for span in tile))


def _put(
    plane: NDArray[np.float32], job: _Tile, clean: Tensor | None, tile: Tile, wanted: Window
) -> None:
    """Put a computed tile into the window of its plane; NaN where there is no image."""
    if clean is None:
        plane[...] = np.nan
        return
    kept = Window(*(span.keep for span in tile)).common(wanted)
    assert kept is not None  # only such tiles are near
    own, part = kept.within(_read(tile)), plane[kept.within(wanted)]
    part[...] = clean[0, 0][own].numpy()
    for there in job.inputs[1:]:
        part[central_plane(there)[0, 0][own].numpy() == 0] = np.nan


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
    order : int
        Number of the tile among those of the result.
    index : int
        Number of the plane in the channel.
    number : int
        Number of the tile in the whole plane.
    inputs : tuple of Tensor
        Its slab (1, P, Y, X); and the places with an image (1, P, Y, X), if they are not all.
        Empty for a whole plane without an image.
    """

    place: int
    order: int
    index: int
    number: int
    inputs: tuple[Tensor, ...] = ()


def _clean(average: ViewAverage, tile: _Tile) -> Tensor | None:
    """Clean level of a tile (1, 1, Y, X) on the CPU; None where there is no image."""
    if not tile.inputs:
        return None
    average.begin(tile.index, tile.number)
    return average.clean(*tile.inputs)
