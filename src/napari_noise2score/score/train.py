"""Training: a generator that yields its progress and returns the score model.

No thread and no Qt in here. ``list(train(...))`` trains in a test, a worker iterates in a viewer,
a progress bar on the command line.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn

from napari_noise2score.errors import InputError, TrainingError
from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.level_table import VarianceCurve
from napari_noise2score.score.device import choose_device, fast_precision
from napari_noise2score.score.levels import NoiseVariance
from napari_noise2score.score.loss import LOSSES
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network import NetworkSettings, ScoreNetwork, centre_of
from napari_noise2score.score.patches import PatchSampler, Planes
from napari_noise2score.score.perturb import Perturbation
from napari_noise2score.score.threads import ThreadTuner

_WARM_UP = 50
_LEAST_RATE = 0.01
_LONGEST_MEMORY = 0.99
_CLIP = 1.0
_SMOOTHING = 0.98
_TRIVIAL = 0.985
"""Smoothed loss from which nothing was learned (the score 0 has the loss 1)."""
_JUDGED_AFTER = 200


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How to train. Ends at ``seconds`` or after ``steps``, whichever comes first.

    Parameters
    ----------
    seconds : float or None
        Training time, s; None for no limit. A limit in time makes the result depend on the
        speed of the machine; for bit-equal repeats on a CPU give ``steps`` alone.
    steps : int or None
        Gradient steps; None for no limit.
    loss : str
        A name in `napari_noise2score.score.loss.LOSSES`.
    batch : int
        Patches a step.
    patch : int
        Height and width of a patch, pixels, a multiple of the network's size multiple.
    learning_rate : float
        Peak rate of Adam; warms up and falls on a cosine.
    seed : int
        Start of every random number of the training.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    network : NetworkSettings
        Size of the network.

    Raises
    ------
    InputError
        If a value is out of its range, or there is no limit at all.
    """

    seconds: float | None = field(default=60.0, metadata={'label': 'Training time (s)'})
    steps: int | None = None
    loss: str = 'preconditioned'
    batch: int = 8
    patch: int = 64
    learning_rate: float = 2e-3
    seed: int = 0
    device: str = 'auto'
    network: NetworkSettings = field(default_factory=NetworkSettings)

    def __post_init__(self) -> None:
        if self.seconds is None and self.steps is None:
            raise InputError('neither seconds nor steps are given; a training needs one limit')
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise InputError(f'training time is {self.seconds} s; it must be positive and finite')
        if self.steps is not None and self.steps < 1:
            raise InputError(f'training steps are {self.steps}; at least 1 is needed')
        if self.loss not in LOSSES:
            raise InputError(f'loss {self.loss!r} is unknown; known are {", ".join(LOSSES)}')
        if self.batch < 1:
            raise InputError(f'batch is {self.batch}; at least 1 patch is needed')
        multiple = 2 ** (self.network.levels - 1)
        if self.patch < 16 or self.patch % multiple:
            raise InputError(
                f'patch is {self.patch} pixels; a multiple of {multiple} from 16 up is needed'
            )
        if not 0 < self.learning_rate < 1:
            raise InputError(f'learning rate is {self.learning_rate}; it must be between 0 and 1')
        if not 0 <= self.seed < 2**63:
            raise InputError(f'seed is {self.seed}; a whole number from 0 up is needed')

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return asdict(self)

    def progress(self, step: int, seconds: float) -> float:
        """Share of the training that is done, 0 to 1."""
        by_steps = step / self.steps if self.steps is not None else 0.0
        by_time = seconds / self.seconds if self.seconds is not None else 0.0
        return min(1.0, max(by_steps, by_time))


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """Where a training is, after each step.

    Attributes
    ----------
    step : int
        Steps done.
    seconds : float
        Time since the start.
    loss : float
        Running mean of the loss; 1 is the trivial score 0.
    fraction : float
        Share of the training that is done, 0 to 1.
    """

    step: int
    seconds: float
    loss: float
    fraction: float


class Stop(Protocol):
    """A flag that ends a training at the next step, such as `threading.Event`."""

    def is_set(self) -> bool:
        """Whether to stop."""
        ...


class _Never:
    def is_set(self) -> bool:
        return False


def train(
    images: Sequence[Planes],
    curves: Sequence[VarianceCurve],
    settings: TrainSettings | None = None,
    *,
    correlations: Sequence[Correlation] | None = None,
    stop: Stop | None = None,
) -> Generator[TrainProgress, None, ScoreModel]:
    """Learn the score of noisy images.

    Parameters
    ----------
    images : sequence of Planes
        Noisy channels in their unit-noise coordinates.
    curves : sequence of VarianceCurve
        Noise variance by level, one for each image.
    settings : TrainSettings, optional
        How to train.
    correlations : sequence of Correlation, optional
        Correlation of the noise between pixels, one for each image; white if not given.
    stop : object with ``is_set()``, optional
        When set, the training ends after the step under way and returns what it has learned.

    Yields
    ------
    TrainProgress
        After every step.

    Returns
    -------
    ScoreModel
        With the running average of the weights (EMA), on the CPU.

    Raises
    ------
    TrainingError
        If the loss becomes non-finite, or nothing was learned at all.
    InputError
        If there are no images or the device does not exist.
    """
    settings = settings or TrainSettings()
    if not images or len(images) != len(curves):
        raise InputError(
            f'{len(images)} images and {len(curves)} noise curves; one each is needed'
        )
    stop = stop or _Never()
    device = choose_device(settings.device)
    generator = torch.Generator().manual_seed(settings.seed)
    network = ScoreNetwork(settings.network, generator).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    sampler = PatchSampler(images, settings.patch, generator)
    network.centre.fill_(centre_of(sampler.draw(64)[0]))
    average = copy.deepcopy(network)
    optimiser = torch.optim.Adam(network.parameters(), settings.learning_rate, betas=(0.9, 0.99))
    loss_of = LOSSES[settings.loss]()
    noise = NoiseVariance(curves, device)
    white = [Correlation.white()] * len(images)
    perturbation = Perturbation(correlations or white, settings.patch, generator)

    begin = time.perf_counter()
    step, smoothed = 0, math.nan
    # a training of so many steps must repeat exactly, so its threads stay what they are
    tuner = ThreadTuner(device.type == 'cpu' and settings.seconds is not None)
    with tuner:
        while not stop.is_set():
            tuner.step()
            progress = settings.progress(step, time.perf_counter() - begin)
            if progress >= 1.0:
                break
            _set_rate(optimiser, settings.learning_rate, step, progress)
            patches, image = sampler.draw(settings.batch)
            u = perturbation.draw(image).to(device)
            patches, image = patches.to(device), image.to(device)
            optimiser.zero_grad(set_to_none=True)
            with fast_precision(device):
                loss = loss_of(network, patches, u, partial(noise.at, image), progress, generator)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
            value = float(loss.detach())
            if not math.isfinite(value) or not math.isfinite(float(norm)):
                raise TrainingError(
                    f'the loss became non-finite at step {step + 1}; lower the learning rate '
                    f'(it is {settings.learning_rate:g}) or check the noise parameters'
                )
            optimiser.step()
            step += 1
            _update_average(average, network, min(_LONGEST_MEMORY, step / (step + 9)))
            memory = min(_SMOOTHING, 1 - 1 / step)
            smoothed = value if step == 1 else memory * smoothed + (1 - memory) * value
            seconds = time.perf_counter() - begin
            yield TrainProgress(step, seconds, smoothed, settings.progress(step, seconds))

    if step >= _JUDGED_AFTER and smoothed > _TRIVIAL:
        raise TrainingError(
            f'nothing was learned in {step} steps (loss {smoothed:.3f}, 1 is the trivial score): '
            'the noise parameters do not fit the data, or the noise is correlated between pixels'
        )
    return ScoreModel(
        average.to('cpu').eval().requires_grad_(False),
        loss=settings.loss,
        training={**settings.to_dict(), 'steps_done': step, 'final_loss': smoothed},
    )


def _set_rate(optimiser: torch.optim.Optimizer, peak: float, step: int, progress: float) -> None:
    cosine = _LEAST_RATE + (1 - _LEAST_RATE) * (1 + math.cos(math.pi * progress)) / 2
    for group in optimiser.param_groups:
        group['lr'] = peak * min(1.0, (step + 1) / _WARM_UP) * cosine


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, memory: float) -> None:
    for kept, current in zip(average.parameters(), network.parameters(), strict=True):
        kept.lerp_(current, 1 - memory)
