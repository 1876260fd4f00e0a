"""The objectives of a training, one of which is chosen at random for each step.

- *Perturbation*: denoising score matching. AR-DAE and similar losses need single noisy frames
only. - *Compared frames*: Noise2Noise. Where frames show one scene, each is a target for its
neighbour,
  with independent noise. It has the lowest variance of all objectives without a clean image, and
  needs no noise model.
- *Resampled noise*: if there are no such frames, but the noise of pixels is independent and the
training starts from a good network, the noise of pixels is resampled. This is valid for noise that
is not Gaussian too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_noise2score.score.denoiser import Denoiser
from napari_noise2score.score.light_changes import LightChanges
from napari_noise2score.score.loss import ScoreLoss
from napari_noise2score.score.loss.base import Variance, weighted_mean
from napari_noise2score.score.network.parts import local_mean
from napari_noise2score.score.orientation import ORIENTATIONS, turned
from napari_noise2score.score.perturbation import Perturbation
from napari_noise2score.score.planes import NoisyPlanes
from napari_noise2score.score.resampling import NoiseResampler
from napari_noise2score.score.sampler import PatchSampler
from napari_noise2score.score.slabs import central_plane, without_context
from napari_noise2score.score.transients import SHARE, transients

UNPERTURBED = 0.75
"""Share of the steps that compare frames or resample noise, on images where this is possible. The
other steps train the score at the perturbed image, from which noise parameters are estimated."""

WINDOW = 9
"""Width in pixels over which two frames are compared."""

MOVED = 2.0
"""Maximum mean squared difference of two frames, relative to that of their noise. Where it is
larger there is motion, and the frames are not targets for each other."""


def resamplable(image: NoisyPlanes, frames: bool) -> bool:
    """Whether the noise of an image can be resampled, and there are no ``frames`` to compare."""
    return image.correlation.is_white and not (frames and image.pairs)


class TrainingObjective:
    """Draws a batch of a randomly chosen objective, and computes its loss.

    Parameters
    ----------
    images : sequence of NoisyPlanes
        Images to learn from.
    sampler : PatchSampler
        Draws patches of these images.
    loss : ScoreLoss
        Loss of perturbed patches.
    frames : bool
        Whether frames of one scene are targets for each other.
    resampler : NoiseResampler, optional
        Resamples the noise of pixels; only with a good network to start from.
    unperturbed, events : float
        Shares of the steps without perturbation (`UNPERTURBED`), and of the compared frames with
        events (`transients.SHARE`).
    context : bool
        Whether a slab has a context. It is never perturbed, the plane that is the target is not
        in it, and some slabs have none (`slabs.HIDDEN`).
    """

    def __init__(
        self,
        images: Sequence[NoisyPlanes],
        sampler: PatchSampler,
        loss: ScoreLoss,
        *,
        frames: bool = True,
        resampler: NoiseResampler | None = None,
        unperturbed: float = UNPERTURBED,
        events: float = SHARE,
        context: bool = False,
    ) -> None:
        self.sampler, self._context = sampler, context
        self._unperturbed, self._events = unperturbed, events
        self._images, self._loss, self._resampler = images, loss, resampler
        self._generator = sampler.generator
        correlations = [image.correlation for image in images]
        self._perturbation = Perturbation(correlations, sampler.size, sampler.generator)
        self._paired = torch.tensor([frames and bool(image.pairs) for image in images])
        self._resamplable = torch.tensor(
            [resampler is not None and resamplable(image, frames) for image in images]
        )

    def loss(self, denoiser: Denoiser, count: int, progress: float) -> Tensor:
        """Loss of one batch of ``count`` patches, a scalar: 1 for the score 0.

        Parameters
        ----------
        denoiser : Denoiser
            The denoiser that is trained, conditioned on the noise of the images.
        count : int
            Number of patches.
        progress : float
            Share of the training that is done, 0 to 1.
        """
        chosen = self.sampler.images(count)
        paired, single = self._paired[chosen], self._resamplable[chosen]
        compared, resampled = (
            self._unperturbed * float(kind.float().mean()) for kind in (paired, single)
        )
        # one kind a step: a batch that is split in two is slower
        if compared + resampled > 0:
            drawn = float(torch.rand((), generator=self._generator))
            if drawn < compared:
                return self._compared(denoiser, chosen[paired])
            if drawn < compared + resampled:
                return self._resampled(denoiser, chosen[single][: (count + 1) // 2])
        return self._perturbed(denoiser, count, progress)

    def _perturbed(self, denoiser: Denoiser, count: int, progress: float) -> Tensor:
        patches, image, orientation, weight = self.sampler.draw(count)
        u = self._perturbation.draw(image, orientation)
        u = F.pad(u, (0, 0, 0, 0, *[patches.shape[1] // 2] * 2))
        patches = self._some_alone(patches)
        batch = patches, u, image, orientation, weight
        patches, u, image, orientation, weight = (a.to(denoiser.device) for a in batch)
        output = partial(denoiser.output, image=image, orientation=orientation)
        variance = partial(denoiser.variance, image=image)
        return self._loss(output, patches, u, variance, progress, self._generator, weight)

    def _some_alone(self, slabs: Tensor) -> Tensor:
        """Slabs of which some have lost their context."""
        return without_context(slabs, self._generator) if self._context else slabs

    def _compared(self, denoiser: Denoiser, chosen: Tensor) -> Tensor:
        r"""Noise2Noise (Lehtinen et al., ICML 2018): ``(D(t_1) - t_2)^2 / 2 v``.

        Its minimiser is the posterior mean, hence Tweedie's ``t + v s(t)``. The input is the slab
        of one frame, the target is the other frame. Where the light of the two differs, the clean
        level is converted to the light of the noisy target.
        """
        orientations = self._whole(ORIENTATIONS, len(chosen))
        inputs, targets, weights, changes = [], [], [], []
        for number, orientation in zip(chosen.tolist(), orientations.tolist(), strict=True):
            pair = self.sampler.pair(number)
            pair = pair if int(self._whole(2)) else pair.reversed
            place = self.sampler.place(number, pair.first)
            second = place._replace(plane=pair.second)
            weight = self.sampler.weight(second) * self.sampler.still(second, pair)
            without = pair.second if self._context else None
            inputs.append(turned(self.sampler.slab(place, without), orientation))
            targets.append(turned(self.sampler.cut(second), orientation)[None])
            weights.append(turned(weight, orientation)[None])
            changes.append(pair.change)
        slabs = self._some_alone(torch.stack(inputs))
        batch = slabs, torch.stack(targets), torch.stack(weights), chosen, orientations
        z, target, weight, image, orientations = (a.to(denoiser.device) for a in batch)
        light = LightChanges(changes, denoiser.device)
        variance_at = partial(denoiser.variance, image=image)
        weight = weight * _still(central_plane(z), target, light, variance_at)
        true_variance = partial(variance_at, positive=False)
        z, target = self._with_events(z, target, light, chosen, true_variance)
        output = denoiser.output(z, z.new_zeros(len(z), 1, 1, 1), image, orientations).float()
        clean = denoiser.clean(output, z, image)
        if light.some:
            clean = light.brought(clean)
        variance = variance_at((clean if light.some else output).detach())
        distance = weight * (clean - target) ** 2 / (2 * variance)
        return distance.sum() / weight.sum().clamp_min(1)

    def _with_events(
        self, z: Tensor, target: Tensor, light: LightChanges, chosen: Tensor, variance: Variance
    ) -> tuple[Tensor, Tensor]:
        """Slabs and targets with transient events and the additional noise of their light."""
        half = z.shape[1] // 2
        here = central_plane(z)
        pairs = [len(self._images[number].pairs) for number in chosen.tolist()]
        event = transients(pairs, z.shape[-1], self._generator, self._events).to(z.device)
        level = local_mean(here)
        noisy = here + event + self._more_noise(variance, level, level + event)
        before, after = light.brought(level), light.brought(level + event)
        target = target + after - before + self._more_noise(variance, before, after)
        return torch.cat([z[:, :half], noisy, z[:, half + 1 :]], 1), target

    def _more_noise(self, variance: Variance, before: Tensor, after: Tensor) -> Tensor:
        """Random noise whose variance is the difference of the noise variances at two levels."""
        lacking = (variance(after) - variance(before)).clamp_min(0)
        drawn = torch.randn(before.shape, generator=self._generator).to(before.device)
        return drawn * lacking.sqrt()

    def _resampled(self, denoiser: Denoiser, chosen: Tensor) -> Tensor:
        r"""``((D(t) - t)^2 + (D(t) - D(t')) (t - t')) / 2 v``, the second where ``t'`` differs.

        Its expectation is ``(risk / v + 1) / 2``, as that of compared frames, and 1 for ``D = t``.
        See `napari_noise2score.score.resampling`.
        """
        assert self._resampler is not None
        patches, image, _, weight = self.sampler.draw_of(chosen)
        patches = self._some_alone(patches)
        patches, image, weight = (a.to(denoiser.device) for a in (patches, image, weight))
        other, change = self._resampler.draw(patches, image, self._generator)
        z, image = torch.cat([patches, other]), image.repeat(2)
        output = denoiser.output(z, z.new_zeros(len(z), 1, 1, 1), image).float()
        one, two = denoiser.clean(output, z, image).chunk(2)
        variance, _ = denoiser.variance(output.detach(), image).chunk(2)
        apparent = (one - central_plane(patches)) ** 2 / (2 * variance)
        penalty = (one - two) * change / (2 * variance)
        return weighted_mean(apparent, weight) + weighted_mean(penalty, weight * (change != 0))

    def _whole(self, stop: int, *shape: int) -> Tensor:
        return torch.randint(stop, shape, generator=self._generator)


def _still(one: Tensor, other: Tensor, light: LightChanges, variance_at: Variance) -> Tensor:
    """1 where two frames differ only by noise and light, 0 elsewhere; (B, 1, S, S)."""
    here = light.brought(one)
    level = local_mean((here + other) / 2)
    variance = 2 * variance_at(level)
    if light.some:
        before, slope = light.taken_back(level)
        variance = variance / 2 + slope**2 * variance_at(before)
    ratio = (here - other) ** 2 / variance
    padding = WINDOW // 2
    mean = F.avg_pool2d(ratio, WINDOW, 1, padding, count_include_pad=False)
    return (mean < MOVED).float()
