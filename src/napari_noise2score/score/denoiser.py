"""A denoiser: a network, the meaning of its output, and the noise of its images.

In the unit-noise coordinate white noise of many photons has the variance one everywhere. At few
photons the variance depends on the level, and correlated noise has other statistics: the network
is conditioned on both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.level_table import SMALLEST_VARIANCE, VarianceCurve
from napari_noise2score.score.network.parts import Network, local_mean
from napari_noise2score.score.orientation import ORIENTATIONS
from napari_noise2score.score.parameterisation import Parameterisation
from napari_noise2score.score.precision import Precision
from napari_noise2score.score.slabs import central_plane


class Noisy(Protocol):
    """An image whose noise is described."""

    @property
    def curve(self) -> VarianceCurve:
        """Noise variance by clean level, in the unit-noise coordinate."""
        ...

    @property
    def correlation(self) -> Correlation:
        """Correlation of the noise between pixels."""
        ...


class NoiseConditioning:
    """Noise variance by level and correlation of several images, as tensors.

    Parameters
    ----------
    images : sequence of Noisy
        The images; the variance curves of all have the same number of values.
    device : torch.device
        Where batches will be.
    """

    def __init__(self, images: Sequence[Noisy], device: torch.device) -> None:
        self.device = device
        curves = [image.curve for image in images]
        table = np.stack([curve.values for curve in curves]).astype(np.float32)
        self._table = torch.from_numpy(table).to(device)
        self._start = torch.tensor([float(c.start) for c in curves], device=device)
        width = [max(float(c.stop) - float(c.start), 1e-6) for c in curves]
        self._scale = (self._table.shape[1] - 1) / torch.tensor(width, device=device)
        nearest = [
            [image.correlation.turned(number).nearest for number in range(ORIENTATIONS)]
            for image in images
        ]
        self._nearest = torch.from_numpy(np.array(nearest, np.float32)).to(device)

    def variance(self, level: Tensor, image: Tensor) -> Tensor:
        """Noise variance at levels (B, 1, Y, X) of the images (B,); of their shape.

        Linear between the values of a curve, constant beyond its ends.
        """
        wide = (-1, 1, 1, 1)
        place = (level.float() - self._start[image].view(wide)) * self._scale[image].view(wide)
        # a level that is NaN gets the first variance: the loss reports it
        place = torch.where(place.isnan(), 0.0, place).clamp(0, self._table.shape[1] - 1.001)
        below = place.int()
        share = place - below
        values = self._table.flatten()
        at = (below + (image * self._table.shape[1]).int().view(wide)).flatten()
        first, second = (values.index_select(0, each).view(place.shape) for each in (at, at + 1))
        return torch.lerp(first, second, share)

    def correlation(self, image: Tensor, orientation: Tensor) -> Tensor:
        """Correlation of adjacent pixels of the images (B,), rotated by the orientations (B,).

        (B, 6), as `ScoreNetwork.forward` takes it.
        """
        return self._nearest[image, orientation]


@dataclass(frozen=True, slots=True, eq=False)
class Denoiser:
    """Clean levels of noisy slabs, for training, prediction, risk and export alike.

    In every method ``image`` (B,) int64 has the numbers of the images of a batch; by default the
    first image.

    Attributes
    ----------
    network : Network
        The network, on the device of the batches.
    parameterisation : Parameterisation
        Meaning of its output.
    noise : NoiseConditioning or None
        Noise of the images, on that device; None for white noise of variance one.
    precision : Precision or None
        Precision of `denoise`; chosen for the device if not given.

    Notes
    -----
    As the denoiser ``D(x; sigma)`` of Karras et al., "Elucidating the design space of
    diffusion-based generative models" (NeurIPS 2022, arXiv 2206.00364), it combines a network with
    its scaling. The noise level is not a parameter here but a property of the image.
    """

    network: Network
    parameterisation: Parameterisation
    noise: NoiseConditioning | None = None
    precision: Precision | None = None

    @property
    def device(self) -> torch.device:
        """Where batches must be."""
        if self.noise is not None:
            return self.noise.device
        return next(self.network.parameters()).device

    def output(
        self,
        z: Tensor,
        sigma_a: Tensor,
        image: Tensor | None = None,
        orientation: Tensor | None = None,
        there: Tensor | None = None,
    ) -> Tensor:
        """Output of the network, conditioned on the noise.

        Parameters
        ----------
        z : (n B, P, Y, X)
            One batch or several in a row, perturbed, in the unit-noise coordinate; see
            `ScoreNetwork.forward`.
        sigma_a : (n B, 1, 1, 1)
            Standard deviation of the perturbation, noise standard deviations.
        image : (B,) int64, optional
            Images that the batch is from.
        orientation : (B,) int64, optional
            Orientation of each patch; upright if not given.
        there : (B, P, Y, X), optional
            0 where there is no image; 1 everywhere if not given.

        Returns
        -------
        (n B, 1, Y, X)
            See `clean`.
        """
        variance = correlation = None
        if self.noise is not None:
            image = _first_image(z) if image is None else image
            orientation = torch.zeros_like(image) if orientation is None else orientation
            times = len(z) // len(image)
            level = local_mean(central_plane(z.detach()))
            variance = self.variance(level, image.repeat(times))
            correlation = self.noise.correlation(image, orientation).repeat(times, 1)
        if there is None:
            output: Tensor = self.network(z, sigma_a, variance, correlation)
            return output
        there = there.repeat(len(z) // len(there), 1, 1, 1)
        output = self.network(z, sigma_a, variance, correlation, there)
        return output

    def variance(
        self, level: Tensor, image: Tensor | None = None, *, positive: bool = True
    ) -> Tensor:
        """Noise variance at clean levels (B, 1, Y, X), of their shape.

        At least `SMALLEST_VARIANCE`, so that one may divide by it, if ``positive``.
        """
        if self.noise is None:
            return torch.ones_like(level)
        variance = self.noise.variance(level, _first_image(level) if image is None else image)
        return variance.clamp_min(SMALLEST_VARIANCE) if positive else variance

    def clean(self, output: Tensor, z: Tensor, image: Tensor | None = None) -> Tensor:
        """Clean level ``E[x | t]`` (B, 1, Y, X) of unperturbed slabs (B, P, Y, X).

        ``output`` (B, 1, Y, X) is that of the network; no gradient goes through the variance.
        """
        variance = self.variance(output.detach(), image)
        return self.parameterisation.clean(output, central_plane(z), variance)

    @torch.no_grad()
    def denoise(self, slabs: Tensor, image: Tensor, at_once: int = 16) -> Tensor:
        """Clean central planes (B, 1, Y, X) of upright, unperturbed slabs (B, P, Y, X).

        Parameters
        ----------
        slabs : (B, P, Y, X) float32
            In the unit-noise coordinate.
        image : (B,) int64
            Images of the slabs.
        at_once : int
            Slabs that are computed together.

        Notes
        -----
        Values that are not finite are returned, not raised: see `Precision.finite`.
        """
        precision = self.precision or Precision(slabs.device)
        clean = []
        for first in range(0, len(slabs), at_once):
            z, numbers = (values[first : first + at_once] for values in (slabs, image))
            compute = partial(self.output, z, z.new_zeros(len(z), 1, 1, 1), numbers)
            output = precision.finite(self.network, central_plane(z), compute).float()
            clean.append(self.clean(output, z, numbers))
        return torch.cat(clean)


def _first_image(batch: Tensor) -> Tensor:
    return torch.zeros(len(batch), dtype=torch.long, device=batch.device)
