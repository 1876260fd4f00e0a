"""A denoiser that is averaged over rotated and mirrored views of its input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_noise2score.score.denoiser import Denoiser
from napari_noise2score.score.network.parts import channels_last
from napari_noise2score.score.orientation import turned, turned_back
from napari_noise2score.score.perturbation import noise_source
from napari_noise2score.score.planes import NoisyPlanes
from napari_noise2score.score.precision import Precision
from napari_noise2score.score.slabs import central_plane
from napari_noise2score.score.threads import quickest_threads

_TILES, _VIEWS = 2654435769, 2246822507
"""Large odd numbers that keep the seeds of planes, tiles and views apart."""


class ViewAverage:
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
        """A tile of a plane is next; its perturbation does not depend on those before it.

        Views that are predicted apart have perturbations of their own.
        """
        # PyTorch uses 32 bits on the CPU
        seed = plane + tile * _TILES + self._views[0] * _VIEWS
        self._generator.manual_seed(seed % 2**32)

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
        (height, width), half = z.shape[2:], z.shape[1] // 2
        for view in self._views:
            input_ = z
            if self._sigma_a > 0:
                u = self._source.draw((height, width), self._generator)
                input_ = z.clone()
                input_[:, half] += self._sigma_a * u.to(z.device)  # not the context
            input_, orientation = turned(input_, view), torch.full_like(image, view)
            where = None if there is None else turned(there, view)
            with quickest_threads(z.device, height * width):
                output = self._denoiser.output(input_, sigma_a, image, orientation, where)
            total += turned_back(output, view)
        return total / len(self._views)
