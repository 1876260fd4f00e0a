"""What a network learns from in one step of a training.

From every image it learns by perturbation: the AR-DAE loss and its relatives need single noisy
frames only. Where frames show one scene, each of them is also a target for its neighbour, with
noise of its own: the least noisy lesson there is without a clean image, and one that needs no
noise model. Where there are no such frames, but the noise of pixels is independent and a good
network is at hand to begin with, pixels are drawn anew: a lesson that holds for noise that is not
Gaussian too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_noise2score.score.levels import LightChanges, NoiseVariance
from napari_noise2score.score.loss import ScoreLoss
from napari_noise2score.score.loss.base import weighted_mean
from napari_noise2score.score.network import ScoreNetwork, local_mean
from napari_noise2score.score.orientation import ORIENTATIONS, turned
from napari_noise2score.score.patches import Box, NoisyPlanes, PatchSampler
from napari_noise2score.score.perturb import Perturbation
from napari_noise2score.score.redraw import Redrawing
from napari_noise2score.score.slabs import cut_off, middle
from napari_noise2score.score.told import NoiseKnowledge
from napari_noise2score.score.transients import transients

UNPERTURBED = 0.75
"""Share of the steps that compare frames or draw pixels anew, on images where that can be done;
the others keep the score known at the perturbed image too, where it is read to tell the noise."""

WINDOW = 9
"""Width in pixels over which two frames are compared."""

MOVED = 2.0
"""Frames that differ by more than so many times what the noise explains show something that has
changed, and are no targets for each other there."""


def redrawable(image: NoisyPlanes, frames: bool) -> bool:
    """Whether pixels of an image are to be drawn anew, where ``frames`` are compared or not."""
    return image.correlation.is_white and not (frames and image.pairs)


class Lessons:
    """Draws a batch and its loss, of whichever lesson its turn it is.

    Parameters
    ----------
    images : sequence of NoisyPlanes
        What to learn from.
    size : int
        Height and width of a patch, pixels.
    loss : ScoreLoss
        The loss of perturbed patches.
    frames : bool
        Whether frames of one scene are targets for each other.
    knowledge : NoiseKnowledge
        What is known of the noise of the images.
    generator : torch.Generator
        Source of the random numbers, on the CPU.
    device : torch.device
        Where to compute.
    held : sequence of Box
        Pixels that are seen, but are no targets.
    planes : int
        Neighbouring planes that the network sees at once.
    redrawing : Redrawing, optional
        Draws pixels anew, where there is a good network to begin with.
    """

    def __init__(
        self,
        images: Sequence[NoisyPlanes],
        size: int,
        loss: ScoreLoss,
        frames: bool,
        knowledge: NoiseKnowledge,
        generator: torch.Generator,
        device: torch.device,
        held: Sequence[Box] = (),
        planes: int = 1,
        redrawing: Redrawing | None = None,
    ) -> None:
        self.sampler = PatchSampler(images, size, generator, held, planes)
        self._images, self._loss, self._knowledge = images, loss, knowledge
        self._generator, self._device, self._redrawing = generator, device, redrawing
        self._perturbation = Perturbation([image.correlation for image in images], size, generator)
        self._paired = torch.tensor([frames and bool(image.pairs) for image in images])
        self._redrawable = torch.tensor(
            [redrawing is not None and redrawable(image, frames) for image in images]
        )

    @property
    def _noise(self) -> NoiseVariance:
        return self._knowledge.noise

    def loss(self, network: ScoreNetwork, count: int, progress: float) -> Tensor:
        """Loss of one batch of ``count`` patches, a scalar: 1 for the score 0.

        Parameters
        ----------
        network : ScoreNetwork
            The one that learns.
        count : int
            Patches.
        progress : float
            Share of the training that is done, 0 to 1.
        """
        chosen = self.sampler.images(count)
        paired, single = self._paired[chosen], self._redrawable[chosen]
        compared, redrawn = (UNPERTURBED * float(kind.float().mean()) for kind in (paired, single))
        # one kind a step: a batch that is split in two is slower
        if compared + redrawn > 0:
            drawn = float(torch.rand((), generator=self._generator))
            if drawn < compared:
                return self._compared(network, chosen[paired])
            if drawn < compared + redrawn:
                return self._redrawn(network, chosen[single][: (count + 1) // 2])
        return self._perturbed(network, count, progress)

    def _perturbed(self, network: ScoreNetwork, count: int, progress: float) -> Tensor:
        patches, image, orientation, weight = self.sampler.draw(count)
        u = self._perturbation.draw(image, orientation, patches.shape[1]).to(self._device)
        patches = cut_off(patches, self._generator)
        patches, image, weight = (a.to(self._device) for a in (patches, image, weight))
        told = self._knowledge.told(network, image, orientation.to(self._device))
        at = partial(self._noise.at, image)
        return self._loss(told, patches, u, at, progress, self._generator, weight)

    def _compared(self, network: ScoreNetwork, chosen: Tensor) -> Tensor:
        r"""Noise2Noise (Lehtinen et al., ICML 2018): ``(D(t_1) - t_2)^2 / 2 v``.

        Its minimiser is the posterior mean, hence Tweedie's ``t + v s(t)``. The input is a slab of
        planes at one time, the target its middle plane at the other. Where the light of the two
        differs it is the clean level that is brought to that of the target, which has noise.
        """
        ways = self._whole(ORIENTATIONS, len(chosen))
        inputs, targets, weights, changes = [], [], [], []
        for number, way in zip(chosen.tolist(), ways.tolist(), strict=True):
            pairs = self._images[number].pairs
            pair = pairs[int(self._whole(len(pairs)))]
            pair = pair if int(self._whole(2)) else pair.reversed
            place = self.sampler.place(number, pair.first)
            there = place._replace(plane=pair.second)
            weight = self.sampler.weight(there) * self.sampler.still(there, pair)
            inputs.append(turned(self.sampler.slab(place), way))
            targets.append(turned(self.sampler.cut(there), way)[None])
            weights.append(turned(weight, way)[None])
            changes.append(pair.change)
        slabs = cut_off(torch.stack(inputs), self._generator)
        batch = (a.to(self._device) for a in (slabs, torch.stack(targets), torch.stack(weights)))
        z, target, weight = batch
        image, ways = chosen.to(self._device), ways.to(self._device)
        light = LightChanges(changes, self._device)
        weight = weight * self._still(image, middle(z), target, light)
        z, target = self._with_events(z, target, image, light, chosen)
        told = self._knowledge.told(network, image, ways)
        output = told(z, z.new_zeros(len(z), 1, 1, 1)).float()
        variance = self._noise.at(image, output.detach())
        here = middle(z)
        clean = self._loss.parameterisation.clean(output, here, variance)
        if light.some:
            clean = light.brought(clean)
            variance = self._noise.at(image, clean.detach())
        distance = weight * (clean - target) ** 2 / (2 * variance)
        return distance.sum() / weight.sum().clamp_min(1)

    def _with_events(
        self, z: Tensor, target: Tensor, image: Tensor, light: LightChanges, chosen: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Slabs and targets in which something happens, with the noise that more light has."""
        half = z.shape[1] // 2
        here = middle(z)
        pairs = [len(self._images[number].pairs) for number in chosen.tolist()]
        event = transients(pairs, z.shape[-1], self._generator).to(self._device)
        level = local_mean(here)
        seen = here + event + self._more_noise(image, level, level + event)
        before, after = light.brought(level), light.brought(level + event)
        target = target + after - before + self._more_noise(image, before, after)
        return torch.cat([z[:, :half], seen, z[:, half + 1 :]], 1), target

    def _more_noise(self, image: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """What the noise at a level lacks of that at another, drawn."""
        lacking = (self._noise.true(image, after) - self._noise.true(image, before)).clamp_min(0)
        drawn = torch.randn(before.shape, generator=self._generator).to(self._device)
        return drawn * lacking.sqrt()

    def _redrawn(self, network: ScoreNetwork, chosen: Tensor) -> Tensor:
        r"""``((D(t) - t)^2 + (D(t) - D(t')) (t - t')) / 2 v``, the second where ``t'`` differs.

        Its expectation is ``(risk / v + 1) / 2``, as that of compared frames, and 1 for ``D = t``.
        See `napari_noise2score.score.redraw`.
        """
        assert self._redrawing is not None
        patches, image, _, weight = self.sampler.draw_of(chosen)
        patches = cut_off(patches, self._generator)
        patches, image, weight = (a.to(self._device) for a in (patches, image, weight))
        other, change = self._redrawing.draw(patches, image, self._generator)
        told = self._knowledge.told(network, image, torch.zeros_like(image))
        z = torch.cat([patches, other])
        output = told(z, z.new_zeros(len(z), 1, 1, 1)).float()
        variance = self._noise.at(image.repeat(2), output.detach())
        one, two = self._loss.parameterisation.clean(output, middle(z), variance).chunk(2)
        variance, _ = variance.chunk(2)
        apparent = (one - middle(patches)) ** 2 / (2 * variance)
        kept = (one - two) * change / (2 * variance)
        return weighted_mean(apparent, weight) + weighted_mean(kept, weight * (change != 0))

    def _still(self, image: Tensor, one: Tensor, other: Tensor, light: LightChanges) -> Tensor:
        """1 where two frames differ by noise and light alone, 0 elsewhere; (B, 1, S, S)."""
        here = light.brought(one)
        level = local_mean((here + other) / 2)
        variance = 2 * self._noise.at(image, level)
        if light.some:
            before, slope = light.taken_back(level)
            variance = variance / 2 + slope**2 * self._noise.at(image, before)
        ratio = (here - other) ** 2 / variance
        padding = WINDOW // 2
        mean = F.avg_pool2d(ratio, WINDOW, 1, padding, count_include_pad=False)
        return (mean < MOVED).float()

    def _whole(self, stop: int, *shape: int) -> Tensor:
        return torch.randint(stop, shape, generator=self._generator)
