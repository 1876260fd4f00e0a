"""The score of whole images, tile by tile, in bounded memory."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_noise2score.images.storage import room
from napari_noise2score.score.device import choose_device, fast_precision
from napari_noise2score.score.levels import NoiseVariance
from napari_noise2score.score.loss import LOSSES
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.orientation import turned, turned_back
from napari_noise2score.score.patches import NoisyPlanes
from napari_noise2score.score.perturb import noise_source, slab_noise
from napari_noise2score.score.slabs import middle, read_slab
from napari_noise2score.score.tiling import round_up, tiles
from napari_noise2score.score.told import NoiseKnowledge

TILE = 512
"""Pixels a tile keeps, to each side."""


@dataclass(frozen=True, slots=True)
class PredictProgress:
    """Tiles done, of how many."""

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
    sigma_a: float = 0.0,
    exact: bool = False,
) -> Generator[PredictProgress, None, NDArray[np.float32]]:
    """Clean level ``D`` of every plane of a channel; its score is ``(D - t) / v(D)``.

    Parameters
    ----------
    model : ScoreModel
        Trained on images like this one.
    planes : NoisyPlanes
        The channel, (N, Y, X), in its unit-noise coordinate; any size. As many planes are held in
        memory as the network sees at once.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    tile : int
        Pixels a tile keeps to each side; the memory needed goes with its square.
    orientations : int
        1 to 8 turned and mirrored views that are averaged (the score of an image turns with it);
        the time goes with it.
    sigma_a : float
        Perturbation left in, noise standard deviations: fresh noise is added to each of the
        views. Blurs more, and may be better where the score is not known well at 0.
    exact : bool
        Compute in float32 also where bfloat16 is faster.

    Yields
    ------
    PredictProgress
        After every tile.

    Returns
    -------
    (N, Y, X) float32
        ``D``, in the unit-noise coordinate.

    Raises
    ------
    InputError
        If the network sees neighbouring planes and the channel has none.
    """
    where = choose_device(device)
    network = model.network.to(where).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loss, noise = LOSSES[model.loss](), NoiseVariance([planes.curve], where)
    knowledge = NoiseKnowledge(noise, [planes.correlation], where)
    image = torch.zeros(1, dtype=torch.long, device=where)
    together = model.network.settings.planes
    count, height, width = planes.shape
    multiple = network.size_multiple
    size = round_up(height, multiple), round_up(width, multiple)
    cuts = list(tiles(size, tile, network.receptive_radius, multiple))
    result = room((count, height, width), np.float32)
    strength = torch.full((1, 1, 1, 1), sigma_a, device=where)
    source, generator = noise_source(planes.correlation), torch.Generator().manual_seed(0)

    def views(z: Tensor) -> Tensor:
        total = torch.zeros_like(middle(z))
        for view in range(orientations):
            seen = z
            if sigma_a > 0:
                u = slab_noise(source, together, (z.shape[2], z.shape[3]), generator)
                seen = z + sigma_a * u.to(where)
            told = knowledge.told(network, image, torch.full_like(image, view))
            total += turned_back(told(turned(seen, view), strength), view)
        return total / orientations

    @lru_cache(maxsize=together)
    def padded(number: int) -> NDArray[np.float32]:
        plane = planes.plane(number).astype(np.float32, copy=False)
        gaps = [(0, full - side) for full, side in zip(size, plane.shape, strict=True)]
        return np.pad(plane, gaps, mode='symmetric')

    done = 0
    for index in range(count):
        whole = torch.from_numpy(read_slab(planes.slab(index, together), padded))[None]
        for rows, columns in cuts:
            z = whole[:, :, rows.read, columns.read].to(where)
            with torch.no_grad(), nullcontext() if exact else fast_precision(where):
                output = views(z)
            clean = loss.clean(output, middle(z), noise.at(image, output))
            kept = clean[0, 0, rows.inner, columns.inner].cpu().numpy()
            place = result[index, rows.keep, columns.keep]
            place[...] = kept[: place.shape[0], : place.shape[1]]
            done += 1
            yield PredictProgress(done, count * len(cuts))
    return result
