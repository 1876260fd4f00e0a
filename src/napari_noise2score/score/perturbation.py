"""The perturbation of the training: random noise of variance one, with the distribution of the
noise.

White noise and noise of a known covariance are drawn from the normal distribution. Where noise is
correlated and frame differences show it, the perturbation is drawn from these differences: cameras
that interpolate or sharpen make noise that is not Gaussian, and a network that can distinguish it
from a Gaussian perturbation of the same covariance does not remove it. A perturbation with the
distribution of the noise cannot be distinguished from it (Moran et al., "Noisier2Noise", CVPR
2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.score.orientation import turned

_TRIES = 20


class NoiseSource(Protocol):
    """Source of noise of unit variance."""

    def draw(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Noise (Y, X)."""
        ...


class GaussianSource:
    """Normal noise ``L u`` with ``L L^T = C``, ``u`` white; ``C = 1`` is white noise."""

    def __init__(self, correlation: Correlation) -> None:
        self._correlation = correlation
        self._roots: dict[tuple[int, int], Tensor] = {}

    def draw(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Noise (Y, X), periodic."""
        white = torch.randn(*shape, generator=generator)
        if self._correlation.is_white:
            return white
        if shape not in self._roots:
            root = np.sqrt(self._correlation.power(shape))
            self._roots[shape] = torch.from_numpy(root).float()
        noise: Tensor = torch.fft.irfft2(torch.fft.rfft2(white) * self._roots[shape], s=shape)
        return noise


class MeasuredSource:
    """Places of measured noise, mirrored and with either sign; normal noise if no field is large
    enough.
    """

    def __init__(self, correlation: Correlation) -> None:
        self._fields = [torch.from_numpy(field) for field in correlation.fields]
        self._normal = GaussianSource(correlation)

    def draw(self, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Noise (Y, X)."""

        def whole(stop: int) -> int:
            return int(torch.randint(stop, (), generator=generator))

        for _ in range(_TRIES):
            field = self._fields[whole(len(self._fields))]
            free = [have - want + 1 for have, want in zip(field.shape, shape, strict=True)]
            if min(free) < 1:
                break
            top, left = (whole(stop) for stop in free)
            noise = field[top : top + shape[0], left : left + shape[1]]
            if not noise.isnan().any():
                mirrored = noise.flip([axis for axis in (0, 1) if whole(2)])
                return -mirrored if whole(2) else mirrored
        return self._normal.draw(shape, generator)


def is_normal(correlation: Correlation) -> bool:
    """Whether perturbations with this correlation are normal, whatever the noise is."""
    return correlation.is_white or not correlation.fields


def noise_source(correlation: Correlation) -> NoiseSource:
    """Source of perturbations with this correlation."""
    return (GaussianSource if is_normal(correlation) else MeasuredSource)(correlation)


class Perturbation:
    """Draws the perturbation of a batch, for each patch with the noise of its image.

    Parameters
    ----------
    correlations : sequence of Correlation
        One for each image.
    size : int
        Height and width of a patch, pixels.
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    """

    def __init__(
        self, correlations: Sequence[Correlation], size: int, generator: torch.Generator
    ) -> None:
        self._sources = [noise_source(correlation) for correlation in correlations]
        self._white = all(correlation.is_white for correlation in correlations)
        self._shape = size, size
        self._generator = generator

    def draw(self, image: Tensor, orientation: Tensor) -> Tensor:
        """Noise of unit variance, (B, 1, size, size).

        Parameters
        ----------
        image : (B,) int64
            Number of the image of each patch.
        orientation : (B,) int64
            Orientation of each patch; its noise is rotated too.
        """
        if self._white:
            return torch.randn(len(image), 1, *self._shape, generator=self._generator)
        drawn = []
        for number, turn in zip(image.tolist(), orientation.tolist(), strict=True):
            noise = self._sources[number].draw(self._shape, self._generator)
            drawn.append(turned(noise, turn))
        return torch.stack(drawn)[:, None]
