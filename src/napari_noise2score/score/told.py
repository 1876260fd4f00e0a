"""A network that is told of the noise of the images in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.score.levels import NoiseVariance
from napari_noise2score.score.network import ScoreNetwork, local_mean
from napari_noise2score.score.orientation import ORIENTATIONS
from napari_noise2score.score.parameterisation import Parameterisation
from napari_noise2score.score.precision import Precision
from napari_noise2score.score.slabs import middle


class NoiseKnowledge:
    """Variance by level and correlation of several images, for their batches.

    Parameters
    ----------
    noise : NoiseVariance
        Variance by level.
    correlations : sequence of Correlation
        One for each image.
    device : torch.device
        Where batches will be.
    """

    def __init__(
        self, noise: NoiseVariance, correlations: Sequence[Correlation], device: torch.device
    ) -> None:
        self.noise = noise
        near = [[c.turned(way).nearest for way in range(ORIENTATIONS)] for c in correlations]
        self._near = torch.from_numpy(np.array(near, np.float32)).to(device)

    def told(
        self,
        network: ScoreNetwork,
        image: Tensor,
        orientation: Tensor,
        there: Tensor | None = None,
    ) -> Told:
        """The network for a batch of the images (B,), turned by the orientations (B,).

        ``there`` (B, P, Y, X) is 0 where there is no image; everywhere if not given.
        """
        return Told(network, self.noise, image, self._near[image, orientation], there)


class Told:
    """``network(z, sigma_a)`` for batches of the images (B,), or several of them in a row."""

    def __init__(
        self,
        network: ScoreNetwork,
        noise: NoiseVariance,
        image: Tensor,
        near: Tensor,
        there: Tensor | None = None,
    ) -> None:
        self._network, self._noise, self._image, self._near = network, noise, image, near
        self._there = there

    def __call__(self, z: Tensor, sigma_a: Tensor) -> Tensor:
        times = len(z) // len(self._image)
        image = self._image.repeat(times)
        variance = self._noise.at(image, local_mean(middle(z.detach())))
        given = [z, sigma_a, variance, self._near.repeat(times, 1)]
        if self._there is not None:
            given.append(self._there.repeat(times, 1, 1, 1))
        output: Tensor = self._network(*given)
        return output


@torch.no_grad()
def clean_levels(
    network: ScoreNetwork,
    knowledge: NoiseKnowledge,
    parameterisation: Parameterisation,
    slabs: Tensor,
    image: Tensor,
    precision: Precision | None = None,
    at_once: int = 16,
) -> Tensor:
    """Clean middle planes (B, 1, Y, X) of upright slabs (B, P, Y, X) of the images (B,).

    ``at_once`` slabs are computed together.

    Raises nothing for what is not finite: see `Precision.finite`.
    """
    precision = precision or Precision(slabs.device)
    found = []
    for first in range(0, len(slabs), at_once):
        z, numbers = (values[first : first + at_once] for values in (slabs, image))
        told = knowledge.told(network, numbers, torch.zeros_like(numbers))
        given = z, z.new_zeros(len(z), 1, 1, 1)
        output = precision.finite(network, middle(z), partial(told, *given)).float()
        found.append(
            parameterisation.clean(output, middle(z), knowledge.noise.at(numbers, output))
        )
    return torch.cat(found)
