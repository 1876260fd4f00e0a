"""The perturbation of the training: unit noise with the correlation of the real noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_noise2score.noise.correlation import Correlation


class Perturbation:
    """Draws ``L u`` with ``L L^T = C``, ``u`` white: for each patch the ``C`` of its image.

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
        powers = np.stack([c.power((size, size)) for c in correlations])
        self._roots = torch.from_numpy(np.sqrt(powers)).float()
        self._white = all(c.is_white for c in correlations)
        self._generator = generator

    def draw(self, image: Tensor) -> Tensor:
        """Noise of unit variance for patches of the images (B,), (B, 1, size, size)."""
        size = self._roots.shape[1]
        white = torch.randn(len(image), size, size, generator=self._generator)
        if not self._white:
            spectrum = torch.fft.rfft2(white) * self._roots[image]
            white = torch.fft.irfft2(spectrum, s=(size, size))
        return white[:, None]
