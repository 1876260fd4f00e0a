r"""Covariance penalty: the share of the noise of a pixel in its estimate, measured by resampling.

The risk of an estimate ``D`` of ``x`` from ``t = x + n`` is, pixel by pixel,

.. math:: E (D - x)^2 = E (D - t)^2 - v + 2 \operatorname{cov}(D, n)

with the noise variance ``v`` (Efron, "The estimation of prediction error", JASA 2004). For
Gaussian noise the covariance is ``v`` times a derivative, which gives Stein's estimate, and the
solution that a network learns from a Gaussian perturbation. Noise of few photons is skewed: a
network can distinguish it from a perturbation, remove the perturbation and leave the noise,
without an effect on loss or risk. So the covariance is measured: pixels ``t`` are replaced by
others ``t'`` of the same distribution. For exchangeable ones

.. math:: 2 \operatorname{cov}(D, n) = E (D(t) - D(t')) (t - t')

exactly, for any distribution. Here ``t'`` is an estimate from other pixels, plus the residual
of another pixel of about the same level. Such an estimate has an error of its own, which would
count as noise: the product is scaled so that ``E (t - t')^2`` is ``2 v``.

The noise of adjacent pixels must be independent.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from napari_noise2score.score.denoiser import Denoiser
from napari_noise2score.score.slabs import central_plane

SPACING = 2
"""Distance between the pixels that are replaced together."""

_ALIKE = 0.02
"""Share of the pixels from which one of about the same level is drawn."""
_BORDER = 1 / 8
"""Share of a patch, at each side, whose residuals are not used: estimates are worse there."""
_SAFE = 1.05
"""Factor on the noise variance. If its estimate is a few percent too low, noise would remain,
which is worse than to smooth a little more."""


class Resampled(NamedTuple):
    """Patches in which some pixels of the central planes are replaced.

    ``slabs`` (B, P, Y, X) are the patches; ``change`` (B, 1, Y, X) is ``t - t'`` where a pixel was
    replaced, scaled as above, and 0 elsewhere.
    """

    slabs: Tensor
    change: Tensor


class NoiseResampler:
    """Replaces pixels by others with resampled noise, around estimates of a good denoiser.

    Parameters
    ----------
    denoiser : Denoiser
        Gives the estimates; it is not trained.
    alone : bool
        Whether it sees the central planes alone, whatever is beside them.
    """

    def __init__(self, denoiser: Denoiser, *, alone: bool = False) -> None:
        self._denoiser, self._alone = denoiser, alone

    @torch.no_grad()
    def draw(self, slabs: Tensor, image: Tensor, generator: torch.Generator) -> Resampled:
        """Replace a quarter of the pixels of the central planes.

        Parameters
        ----------
        slabs : (B, P, Y, X) float32
            Patches in the unit-noise coordinate; Y and X are equal.
        image : (B,) int64
            Number of the image of each; residuals are used within an image only.
        generator : torch.Generator
            Source of the random numbers, on the CPU.
        """
        replaced = _lattice(slabs, generator)
        lending = replaced & _inner(slabs)
        noisy = central_plane(slabs)
        first = self._clean(slabs, image)
        other = _put(
            slabs, replaced, self._noisy(noisy, first, image, replaced, lending, generator)
        )
        independent = self._clean(other, image)
        fresh = self._noisy(noisy, independent, image, replaced, lending, generator)
        variance = self._denoiser.variance(independent, image, positive=False)
        change = torch.where(replaced, noisy - fresh, 0.0)
        for number in sorted(set(image.tolist())):
            of_it = image == number
            at = lending[of_it]
            wanted = 2 * _SAFE * variance[of_it][at].sum()
            power = change[of_it][at].square().sum()
            change[of_it] *= (wanted / power.clamp_min(1e-12)).clamp_max(1.0)
        return Resampled(_put(slabs, replaced, fresh), change)

    def draw_from_cpu(self, slabs: Tensor, image: Tensor, generator: torch.Generator) -> Resampled:
        """`draw` for tensors on the CPU, with a result on the CPU, for a network on any device."""
        where = self._denoiser.device
        drawn = self.draw(slabs.to(where), image.to(where), generator)
        return Resampled(drawn.slabs.cpu(), drawn.change.cpu())

    def _clean(self, slabs: Tensor, image: Tensor) -> Tensor:
        """Estimates of the central planes."""
        seen = central_plane(slabs) if self._alone else slabs
        return self._denoiser.denoise(seen, image)

    def _noisy(
        self,
        noisy: Tensor,
        clean: Tensor,
        image: Tensor,
        replaced: Tensor,
        lending: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """Estimates with the noise of other pixels of about the same level, where replaced."""
        fresh = noisy.clone()
        for number in sorted(set(image.tolist())):
            of_it = (image == number).view(-1, 1, 1, 1)
            lent, put = lending & of_it, replaced & of_it
            levels, order = clean[lent].sort()
            noise = (noisy - clean)[lent][order]
            fresh[put] = clean[put] + noise[_alike(levels, clean[put], generator)]
        return fresh


def _alike(levels: Tensor, wanted: Tensor, generator: torch.Generator) -> Tensor:
    """Random indices in increasing levels (N,) near those of the wanted levels (M,)."""
    count = len(levels)
    reach = max(1, round(_ALIKE * count))
    away = torch.randint(1, reach + 1, wanted.shape, generator=generator)
    side = 2 * torch.randint(2, wanted.shape, generator=generator) - 1
    share = torch.rand(wanted.shape, generator=generator).to(wanted.device)
    first, last = (torch.searchsorted(levels, wanted, right=right) for right in (False, True))
    place = first + (share * (last - first)).long() + (away * side).to(wanted.device)
    place = torch.where(place < 0, -1 - place, place)  # mirrored at the ends
    place = torch.where(place >= count, 2 * count - 1 - place, place)
    return place.clamp(0, count - 1)


def _put(slabs: Tensor, replaced: Tensor, fresh: Tensor) -> Tensor:
    """Slabs with other values (B, 1, Y, X) in their central planes, where ``replaced``."""
    half = slabs.shape[1] // 2
    other = slabs.clone()
    other[:, half : half + 1] = torch.where(replaced, fresh, central_plane(slabs))
    return other


def _lattice(slabs: Tensor, generator: torch.Generator) -> Tensor:
    """Pixels to replace, (B, 1, Y, X) bool: a grid of `SPACING`, shifted at random for each
    patch.
    """
    shifts = torch.randint(SPACING, (2, len(slabs), 1), generator=generator)
    rows, columns = (
        torch.arange(size) % SPACING == shift
        for size, shift in zip(slabs.shape[-2:], shifts, strict=True)
    )
    grid: Tensor = rows[:, None, :, None] & columns[:, None, None, :]
    return grid.to(slabs.device)


def _inner(slabs: Tensor) -> Tensor:
    """Pixels whose residuals may be used, (1, 1, Y, X) bool."""
    inner = torch.zeros(1, 1, *slabs.shape[-2:], dtype=torch.bool, device=slabs.device)
    rows, columns = (round(_BORDER * size) for size in slabs.shape[-2:])
    inner[..., rows:-rows, columns:-columns] = True
    return inner
