"""Pretraining: a score network that has seen no microscope, for every training to start from.

A generator like `train`. What it has learned is kept in a file as it goes, and a pretraining that
was interrupted goes on from there.
"""

from __future__ import annotations

import copy
import io
import logging
import math
import os
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_noise2score.errors import CheckpointError, InputError, TrainingError
from napari_noise2score.files import written_whole
from napari_noise2score.images.procedural import procedural_image
from napari_noise2score.score.device import choose_device
from napari_noise2score.score.gradient import gradient
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.choice import network_of
from napari_noise2score.score.network.parts import channels_last
from napari_noise2score.score.precision import Precision
from napari_noise2score.score.pretraining.drawing import drawn
from napari_noise2score.score.pretraining.optimiser import Optimiser
from napari_noise2score.score.pretraining.synthetic_pairs import Source, SyntheticPairs
from napari_noise2score.score.pretraining.synthetic_sequences import SyntheticSequences
from napari_noise2score.score.threads import usable_threads, using
from napari_noise2score.settings import NetworkSettings, PretrainSettings

_WARM_UP = 200
_LEAST_RATE = 0.01
_LONGEST_MEMORY = 0.999
_SMOOTHING = 0.995
_KEEP_EVERY = 60.0
_CONTEXT = 2.0
"""Weight of a plane with a context in the loss."""
_WORTH_A_PROCESS = 300
"""Steps for which pairs are drawn by a process of their own."""
_LOGGED = 100
"""Entries of the log of the loss."""


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PretrainProgress:
    """Where a pretraining is: steps done, seconds of this run, running mean of the loss."""

    step: int
    seconds: float
    loss: float
    fraction: float


def pretrain(
    settings: PretrainSettings,
    *,
    source: Source = procedural_image,
    state: str | os.PathLike[str] | None = None,
    start: ScoreModel | None = None,
    precision: Precision | None = None,
    keep_every: float = _KEEP_EVERY,
) -> Generator[PretrainProgress, None, ScoreModel]:
    """Learn to denoise procedural images.

    Parameters
    ----------
    settings : PretrainSettings
        How; those of an interrupted run must be the same.
    source : callable, optional
        Draws clean images; procedural ones if not given.
    state : path, optional
        File in which the run is kept now and then; if it is there, the run goes on from it.
    start : ScoreModel, optional
        Begin with these weights, instead of random ones.
    precision : Precision, optional
        How precisely to compute, on the device of the settings; chosen if not given. A step that
        is not finite in bfloat16 is repeated in float32, and so are all after it.
    keep_every : float
        Least time between two savings of the run, s.

    Yields
    ------
    PretrainProgress
        After every step.

    Returns
    -------
    ScoreModel
        With the running average of the weights, on the CPU.

    Raises
    ------
    TrainingError
        If the loss is not finite, in float32 too.
    CheckpointError
        If the state was begun with other settings.
    InputError
        If the weights to begin with are of a network of another size.
    """
    device = choose_device(settings.device)
    network = network_of(settings.network, torch.Generator().manual_seed(settings.seed))
    if start is not None:
        if start.network.settings != settings.network:
            raise InputError(
                f'the weights to start from are of {start.network.settings}, but a '
                f'{settings.network} is requested; give the same size'
            )
        network.load_state_dict(start.network.state_dict())
    network = network.to(device)
    channels_last(network)
    average = copy.deepcopy(network)
    precision, threads = precision or Precision(device), usable_threads()
    optimiser = Optimiser(network, settings.learning_rate)
    step, smoothed = 0, math.nan
    log: list[tuple[int, float]] = []
    if state is not None and Path(state).exists():
        kept = _read(state, settings)
        network.load_state_dict(kept['network'])
        average.load_state_dict(kept['average'])
        try:
            optimiser.load_state_dict(kept['optimiser'])
        except (KeyError, ValueError) as error:
            raise CheckpointError(
                f'{state}: was started with another optimiser (Adam, by an earlier version); give '
                'another file, or the weights with --init'
            ) from error
        step, smoothed, log = kept['step'], kept['loss'], kept['log']
    kind = SyntheticSequences if settings.network.context else SyntheticPairs
    pairs = drawn(
        kind,
        settings.patch,
        settings.batch,
        [settings.seed, step],
        source,
        beside=(os.cpu_count() or 1) > 1 and settings.steps - step >= _WORTH_A_PROCESS,
    )
    begin = saved = time.perf_counter()
    while step < settings.steps:
        batch = [part.to(device) for part in next(pairs)]
        z, clean, variance, near, sigma_a, weight = batch

        def loss(
            given: Sequence[Tensor] = (z, sigma_a, variance, near),
            clean: Tensor = clean,
            weight: Tensor = weight,
        ) -> Tensor:
            return _loss(network(*given).float(), clean, given[0], weight)

        with using(threads):
            found = gradient(network, loss, precision, step + 1)
        if not found.finite:
            raise TrainingError(
                f'the loss is non-finite at step {step + 1}, in full precision too: check the '
                'clean images, if they were given, for values that are NaN or infinite'
            )
        optimiser.step(_rate(settings, step))
        step += 1
        memory = min(_LONGEST_MEMORY, step / (step + 9))
        with torch.no_grad():
            for mean, now in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(now, 1 - memory)
        value = found.loss
        smoothed = value if step == 1 else _SMOOTHING * smoothed + (1 - _SMOOTHING) * value
        if step * _LOGGED // settings.steps > (step - 1) * _LOGGED // settings.steps:
            log.append((step, round(smoothed, 5)))
        now_seconds = time.perf_counter()
        if state is not None and (now_seconds - saved > keep_every or step == settings.steps):
            saved = now_seconds
            record = {
                'settings': settings.to_dict(),
                'step': step,
                'loss': smoothed,
                'log': log,
                'network': network.state_dict(),
                'average': average.state_dict(),
                'optimiser': optimiser.state_dict(),
            }
            _keep(record, state)
        yield PretrainProgress(step, now_seconds - begin, smoothed, step / settings.steps)
    training = {**settings.to_dict(), 'steps_done': step, 'final_loss': smoothed, 'log': log}
    return ScoreModel(
        average.to('cpu').eval().requires_grad_(False), 'preconditioned', {'pretraining': training}
    )


def _loss(output: Tensor, clean: Tensor, z: Tensor, weight: Tensor) -> Tensor:
    """Mean of the smooth absolute error; planes with a context, of small error, count more."""
    each = (weight * F.smooth_l1_loss(output, clean, reduction='none')).mean(dim=(1, 2, 3))
    seen = z[:, :, 0, 0].isfinite().sum(dim=1) > 1
    return (torch.where(seen, _CONTEXT, 1.0) * each).mean()


def _keep(record: dict[str, Any], state: str | os.PathLike[str]) -> None:
    """Keep a run on disk; one that cannot be kept goes on."""
    kept = io.BytesIO()
    torch.save(record, kept)
    try:
        with written_whole(state) as part:
            part.write_bytes(kept.getbuffer())
    except OSError as error:
        log.warning('%s: the run could not be saved (%s); it continues', state, error.strerror)


def _read(state: str | os.PathLike[str], settings: PretrainSettings) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = torch.load(state, weights_only=True, map_location='cpu')
        found, wanted = kept['settings'], settings.to_dict()
        found['network'] = NetworkSettings.from_dict(found['network']).to_dict()
    except (
        EOFError,
        InputError,
        KeyError,
        OSError,
        RuntimeError,
        TypeError,
        UnpicklingError,
    ) as error:
        raise CheckpointError(
            f'{state}: is not a state file of a pretraining, or is damaged; give another file, '
            'or remove it'
        ) from error
    other = [name for name in wanted if found.get(name) != wanted[name] and name != 'device']
    if other:
        raise CheckpointError(
            f'{state}: was started with another {", ".join(other)}; give the same settings, or '
            'another file'
        )
    return kept


def _rate(settings: PretrainSettings, step: int) -> float:
    """Share of the largest learning rate."""
    cosine = (1 + math.cos(math.pi * step / settings.steps)) / 2
    rise = min(1.0, (step + 1) / _WARM_UP)
    return rise * (_LEAST_RATE + (1 - _LEAST_RATE) * cosine)
