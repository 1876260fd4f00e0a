"""What learns in a training, what it learns from, and what judges it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_noise2score.errors import CheckpointError
from napari_noise2score.noise.digits import counted
from napari_noise2score.noise.estimate.events import unchanged_share
from napari_noise2score.score.checkpoints import CheckpointSelection
from napari_noise2score.score.denoiser import Denoiser, NoiseConditioning
from napari_noise2score.score.distributed import Member, Team
from napari_noise2score.score.gradient import gradient
from napari_noise2score.score.learner import Learner
from napari_noise2score.score.loss import LOSSES
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.monitor import ADVICE, LossMonitor
from napari_noise2score.score.network.choice import network_of
from napari_noise2score.score.network.parts import Network, centre_of, channels_last
from napari_noise2score.score.objective import TrainingObjective, resamplable
from napari_noise2score.score.plane_buffer import PlaneBuffer
from napari_noise2score.score.planes import NoisyPlanes
from napari_noise2score.score.precision import Precision
from napari_noise2score.score.probe import PLACES, Probe, draw_probe, places_to_hold
from napari_noise2score.score.progress import TrainProgress
from napari_noise2score.score.resampling import NoiseResampler
from napari_noise2score.score.risk import known
from napari_noise2score.score.sampler import PatchSampler, SamplerState, some_patches
from napari_noise2score.score.training_origin import TrainingOrigin
from napari_noise2score.score.training_state import TrainingState
from napari_noise2score.settings import NetworkSettings, TrainSettings

_GENTLE = 0.2
"""Learning rate of a training from good weights, relative to the normal one."""


class TrainingRun:
    """A training: what learns, what it learns from, and what judges it."""

    def __init__(
        self,
        images: Sequence[NoisyPlanes],
        settings: TrainSettings,
        start: ScoreModel | None,
        precision: Precision,
        team: Team,
    ) -> None:
        self.images, self.settings, self.start = images, settings, start
        self.precision, self.team, self.device = precision, team, team.device
        self.generator = torch.Generator().manual_seed(team.seed(settings.seed))
        single = [resamplable(image, settings.frames) for image in images]
        resamples = start is not None and settings.redraw and any(single)
        # with resampled noise, strong perturbations do no harm to the pretrained weights
        gentle = start is not None and not (resamples and all(single))
        self.loss_of = LOSSES[settings.loss](pretrained=gentle)
        self.noise = NoiseConditioning(images, self.device)
        network = self._first_network()
        context = network.settings.context
        settings.check_patch(network.settings)
        separate, margin = torch.Generator().manual_seed(settings.seed), settings.patch // 4
        # for an evaluation, or only for the report
        most = PLACES if settings.trains else PLACES // 4
        buffer = PlaneBuffer(images)
        self.centre = centre_of(some_patches(images, settings.patch, settings.seed, buffer))
        resampler = self._resampler(network) if resamples else None
        places = places_to_hold(images, settings.patch - 2 * margin, most)
        self.probe = draw_probe(
            images,
            settings.patch,
            separate,
            places,
            margin,
            context=context,
            witnessed=context,
            resample=None if resampler is None else resampler.draw_from_cpu,
            buffer=buffer,
        )
        sampler = PatchSampler(
            images,
            settings.patch,
            self.generator,
            self.probe.held,
            # without good first weights something has to be learned of tiny images too
            most_held=0.5 if start is None else 1.0,
            buffer=buffer,
            context=context,
        )
        self.objective = TrainingObjective(
            images,
            sampler,
            self.loss_of,
            frames=settings.frames,
            resampler=resampler,
            context=context,
        )
        self._begin(network, settings.learning_rate * (1 if start is None else _GENTLE))

    def saved(
        self, origin: TrainingOrigin, step: int, seconds: float, restarts: int
    ) -> TrainingState:
        """All that the next steps depend on."""
        parts = {
            'restarts': restarts,
            'evaluations': self.evaluations,
            'float32_from_step': self.precision.full_from,
            'learner': self.learner.state(),
            'monitor': self.monitor.state(),
            'checkpoints': self.checkpoints.state(),
            'sampler': self.sampler_state(),
            'other_samplers': self.team.replies('sampler_state'),
        }
        return TrainingState(step, seconds, origin, parts)

    def sampler_state(self) -> dict[str, Any]:
        """State of the random numbers of this process, and of the planes that it draws from."""
        return self.objective.sampler.state.to_dict()

    def restore(self, parts: Mapping[str, Any]) -> int:
        """Continue where a training with the same images was saved; its restarts.

        Raises
        ------
        CheckpointError
            If it was saved with another number of devices.
        """
        samplers = [parts['sampler'], *parts.get('other_samplers', [])]
        if len(samplers) != self.team.count:
            raise CheckpointError(
                f'the interrupted training used {counted(len(samplers), "device")}, but '
                f'{self.team.count} are given; give as many, or begin a new training without '
                'resuming'
            )
        self.team.order('restore', parts)
        self.evaluations = parts['evaluations']
        if parts['float32_from_step'] is not None:
            self.precision.give_up(parts['float32_from_step'])
        self.learner.restore(parts['learner'])
        self.monitor.restore(parts['monitor'])
        self.checkpoints.restore(parts['checkpoints'])
        own = samplers[self.team.number]
        self.objective.sampler.restore(SamplerState.from_dict(own))
        return int(parts['restarts'])

    def _resampler(self, network: Network) -> NoiseResampler:
        """Resampler with the initial weights of the training."""
        good = copy.deepcopy(network).eval().requires_grad_(False).to(self.device)
        good.centre.fill_(self.centre)
        return NoiseResampler(self._denoiser(good))

    def _denoiser(self, network: Network) -> Denoiser:
        """A network on the device as a denoiser of the images."""
        return Denoiser(network, self.loss_of.parameterisation, self.noise, self.precision)

    @property
    def advice(self) -> str:
        """Advice for a loss that is not finite."""
        usual = TrainSettings().learning_rate
        if self.settings.learning_rate <= usual:
            return ADVICE
        rate = f'{self.settings.learning_rate:g}, and {usual:g} is usual'
        return f'{ADVICE}; or lower the learning rate (it is {rate})'

    def _first_network(self) -> Network:
        if self.start is None:
            return network_of(self.settings.network or NetworkSettings(), self.generator)
        return copy.deepcopy(self.start.network).requires_grad_(True).train()

    def _begin(self, network: Network, learning_rate: float) -> None:
        network = channels_last(network.to(self.device))
        network.centre.fill_(self.centre)
        self.team.equalise(network)
        self.learner = Learner(network, learning_rate)
        self.monitor = LossMonitor(self.loss_of.trivial, self.advice)
        self.checkpoints = CheckpointSelection(
            self.probe, good=self.start is not None, trains=self.settings.trains
        )
        self.evaluations = 0

    def restart(self, number: int) -> None:
        """Restart with other random weights and a lower rate."""
        self.team.order('restart', number)
        self._begin(self._first_network(), self.settings.learning_rate / 2**number)

    def failure(self, steps: int, restarts: int) -> str | None:
        """Reason why the training failed; None if it did not fail."""
        tried = f'in {counted(steps, "step")} and {counted(restarts, "restart")}'
        if self.monitor.lost:
            return f'the loss did not stay finite {tried}: {self.advice}'
        if self.monitor.trivial:
            return (
                f'nothing was learned {tried} (loss {self.monitor.loss:.3f}, 1 is the trivial '
                f'score): the noise parameters do not fit the '
                'data, or the noise is correlated between pixels'
            )
        return None

    @property
    def exhausted(self) -> bool:
        """Whether no further gain of a training from good weights is expected."""
        return self.start is not None and self.checkpoints.exhausted

    @property
    def risks(self) -> tuple[float | None, float | None]:
        """Risk of the start, and that of the best weights; None if not available."""
        if self.start is None:
            return None, None
        return known(self.checkpoints.first), known(self.checkpoints.best)

    def progress(self, step: int, seconds: float, resumed: int | None = None) -> TrainProgress:
        """Where it is."""
        fraction, loss = self.settings.progress(step, seconds), self.monitor.loss
        return TrainProgress(step, seconds, loss, fraction, *self.risks, self.so_far, resumed)

    def step(self, progress: float) -> None:
        """One gradient step, unless its gradient is an outlier."""
        self.team.order('step', progress)
        self.learner.prepare(progress)
        sampler, network, batch = self.objective.sampler, self.learner.network, self.settings.batch
        denoiser = self._denoiser(network)
        loss = partial(self.objective.loss, denoiser, self.team.share(batch), progress)
        rewind = partial(sampler.restore, sampler.state)
        average = partial(self.team.average, network, batch)
        outcome = gradient(network, loss, self.precision, self.monitor.step, rewind, average)
        if self.monitor.accepts(*outcome):
            self.learner.follow()

    def so_far(self) -> ScoreModel:
        """A copy of the running average."""
        network = copy.deepcopy(self.learner.average).eval().requires_grad_(False)
        training = {**self.settings.to_dict(), 'steps_done': self.learner.done}
        return ScoreModel(network, loss=self.settings.loss, training=training)

    def evaluate(self, step: int) -> None:
        """Measure the risk of the running average."""
        self.checkpoints.evaluate(self.learner.average, self._clean, step)
        self.evaluations += step > 0

    def deliver(self, step: int) -> dict[str, Any]:
        """Load the selected weights into the running average; returns the outcome of the
        training.
        """
        if self.checkpoints.step != step:
            self.evaluate(step)
        best = self.checkpoints.deliver(self.learner.average)
        risk, trusted = best.risk, not self.checkpoints.flat.harmed
        outcome = {
            'final_loss': self.monitor.loss,
            'skipped_steps': self.monitor.skipped,
            'float32_from_step': self.precision.full_from,
            'delivered_step': best.step,
            'risk': {**risk.to_dict(trusted=trusted), 'two_frames': risk.two_frames},
            'noise_variance': risk.noise,
            'unchanging': unchanged_share([pair for image in self.images for pair in image.pairs]),
        }
        if self.start is None:
            return outcome
        first = self.checkpoints.first
        gain = replace(risk, places=first.places - risk.places, doubt=0.0)
        return {
            **outcome,
            'start': {'sha256': self.start.digest},
            'start_risk': {**first.to_dict(trusted=trusted), 'two_frames': first.two_frames},
            'gain': gain.to_dict(),
            'flat_places': self.checkpoints.flat.to_dict(),
        }

    def _clean(self, probe: Probe) -> NDArray[np.float32]:
        """Clean levels at the places of a probe, (2 K, S, S)."""
        slabs, image = (torch.from_numpy(a).to(self.device) for a in (probe.slabs, probe.image))
        at_once = max(16, self.settings.batch)
        clean = self._denoiser(self.learner.average).denoise(slabs, image, at_once)
        found = clean[:, 0].cpu().numpy()
        return np.where(np.isfinite(found), found, np.float32(np.nan))  # its risk is not known


def follow(
    images: Sequence[NoisyPlanes],
    settings: TrainSettings,
    start: ScoreModel | None,
    reduced: bool,
    team: Member,
) -> None:
    """Part of a training in another process than the first, which orders what is done."""
    team.follow(
        TrainingRun(images, settings, start, Precision(team.device, reduced=reduced), team)
    )
