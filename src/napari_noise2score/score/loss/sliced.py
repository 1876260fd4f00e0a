r"""Sliced score matching, which for Gaussian noise is Stein's unbiased risk estimate (SURE).

Sliced score matching (Song et al., UAI 2019, arXiv 1905.07088, section 3, SSM-VR) finds the
score of ``z`` without a target, as the minimiser of

.. math:: L = E [ \tfrac12 \lVert R \rVert^2 + w^T \nabla (w^T R) ],  w \sim N(0, 1)

With probes ``w ~ N(0, C)``, the correlation of the noise, the second term is ``tr(C dR/dz)``,
and by partial integration ``L = E |R - C s|^2 / 2`` up to a constant: the minimiser is
``R = C s``, and white noise is ``C = 1``.

**SURE.** With ``R = (D - z) / v`` and noise of covariance ``v C``,

.. math:: 1 + 2 v L / n = \frac1n E [ \lVert D - z \rVert^2 / v + 2 w^T \frac{dD}{dz} w ] - 1

for n pixels (``w^T w`` is n in the mean). The right side is SURE over v, without a constant left:
Stein's lemma ``E (z - x)^T D = v tr(C dD/dz)`` makes it ``E |D - x|^2 / (n v)``, the mean squared
error in units of the noise variance. That is the loss here: 1 for the score 0, 0 for a perfect
image. Noise2Score (arXiv 2106.07009) names the connection.

**A variance that depends on the level.** Each pixel counts with the weight ``v`` in L, as the
formula above has it with a ``v`` for every pixel. Any positive weight leaves the minimiser where
it is; this one keeps pixels of little noise from outweighing all others, and ``v`` out of the
derivative.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from napari_noise2score.score.loss.base import Network, ScoreLoss, Variance, weighted_mean
from napari_noise2score.score.parameterisation import CleanImage, Parameterisation
from napari_noise2score.score.slabs import central_plane


class Sliced(ScoreLoss):
    r"""Sliced score matching for a network that predicts the clean image ``D``.

    The derivative along the probe is a central difference (Monte-Carlo SURE, Ramani et al., IEEE
    TIP 2008, takes a one-sided one), with the square averaged over its two ends
    ``z = t +- sigma_a u``:

    .. math:: 1 + E [ \overline{(D_\pm - z_\pm)^2 / (v + \sigma_a^2)}
              + u (D_+ - D_-) / \sigma_a - 2 u^2 ]

    For Gaussian ``u`` this is exact at any ``sigma_a``, as ``E u^T D(t + sigma_a u)`` is
    ``sigma_a E tr(C dD/dz)``: the loss of the data smoothed by ``sigma_a``, noise variance
    ``v + sigma_a^2`` (denoising score matching, Vincent 2011, with antithetic pairs).

    Notes
    -----
    Why no exact derivative: the network is piecewise linear. The derivative of its Jacobian with
    respect to a weight is zero almost everywhere and misses what happens at the kinks, so double
    backward and forward mode give a biased gradient. The difference sees the kinks.

    Why ``sigma_a`` is not small: detectors count, and the density of whole numbers has no score.
    Where a grey level or photon is wider than ``sigma_a`` the network learns the steps between
    them, and the loss falls far below 0. Rounding of bfloat16 also goes with ``1 / sigma_a``.
    """

    name: ClassVar[str] = 'sliced'
    parameterisation: ClassVar[Parameterisation] = CleanImage()
    sigma_a: ClassVar[float] = 1.0

    def __call__(
        self,
        network: Network,
        noisy: Tensor,
        u: Tensor,
        variance_at: Variance,
        progress: float,
        generator: torch.Generator,
        weight: Tensor | None = None,
    ) -> Tensor:
        step = self.sigma_a * u
        ends = noisy + step, noisy - step
        sigma_a = noisy.new_full((2 * len(noisy), 1, 1, 1), self.sigma_a)
        upper, lower = network(torch.cat(ends), sigma_a).chunk(2)
        square = torch.zeros_like(upper)
        u = central_plane(u)
        for output, z in zip((upper, lower), ends, strict=True):
            square += (
                (output - central_plane(z)) ** 2
                / (variance_at(output.detach()) + self.sigma_a**2)
                / 2
            )
        slope = u * (upper - lower) / (2 * self.sigma_a)
        return 1 + weighted_mean(square + 2 * slope - 2 * u**2, weight)
