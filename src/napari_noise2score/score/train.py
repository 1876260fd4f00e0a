"""Training: a generator that yields its progress and returns the score model.

No thread and no Qt in here. ``list(train(...))`` trains in a test, a worker iterates in a viewer,
a progress bar on the command line.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from functools import partial
from typing import Protocol

import torch

from napari_noise2score.errors import InputError, TrainingError
from napari_noise2score.memory import keeping_freed
from napari_noise2score.score.device import choose_devices
from napari_noise2score.score.distributed import team_of
from napari_noise2score.score.loss import LOSSES
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.parts import centre_of
from napari_noise2score.score.planes import NoisyPlanes
from napari_noise2score.score.precision import Precision
from napari_noise2score.score.pretraining.weights import starting_model
from napari_noise2score.score.progress import TrainProgress
from napari_noise2score.score.sampler import some_patches
from napari_noise2score.score.threads import CHOOSER, ThreadTuner, usable_threads
from napari_noise2score.score.training_files import SavedTraining
from napari_noise2score.score.training_run import TrainingRun, follow
from napari_noise2score.score.training_state import TrainingState
from napari_noise2score.settings import TrainSettings

_EVALUATIONS = 10
"""Number of risk measurements in a training."""
_RESTARTS = 2
"""Restarts allowed when a training is stuck at the trivial solution."""


class Stop(Protocol):
    """A flag that ends a training at the next step, such as `threading.Event`."""

    def is_set(self) -> bool:
        """Whether to stop."""
        ...


class _Never:
    def is_set(self) -> bool:
        return False


def train(
    images: Sequence[NoisyPlanes],
    settings: TrainSettings | None = None,
    *,
    start: ScoreModel | None = None,
    stop: Stop | None = None,
    precision: Precision | None = None,
    saved: SavedTraining | None = None,
) -> Generator[TrainProgress, None, ScoreModel]:
    """Learn the score of noisy images.

    Parameters
    ----------
    images : sequence of NoisyPlanes
        Noisy channels in their unit-noise coordinates.
    settings : TrainSettings, optional
        Settings of the training.
    start : ScoreModel, optional
        Initial weights, instead of those of the settings.
    stop : object with ``is_set()``, optional
        When set, the training ends after the current step.
    precision : Precision, optional
        Precision on the device of the settings; selected if not given. A step that is not finite
        in bfloat16 is repeated in float32, which is used for all later steps too.
    saved : SavedTraining, optional
        Where the state is saved at intervals. If there is a state, the training continues from
        it, and on the same CPU gives the weights of a training without interruption.

    Yields
    ------
    TrainProgress
        After every step, and once when a training is resumed. The caller's time does not count.

    Returns
    -------
    ScoreModel
        With the running average of the weights (EMA), on the CPU: the last one, or an earlier one
        of clearly lower risk. From pretrained weights: that of the lowest risk, theirs included.

    Raises
    ------
    TrainingError
        If the loss is not finite in float32 either, or nothing was learned after restarts.
    InputError
        If there are no images, or no such device, or the initial weights predict something else
        than the loss trains.

    Notes
    -----
    With several devices (`TrainSettings.device`), each has a process that draws its own patches,
    and the patches of a step are divided among them. No more devices are used than a step has
    patches. See `napari_noise2score.score.distributed`.
    """
    settings = settings or TrainSettings()
    if not images:
        raise InputError('0 images are given; a training needs at least one')
    start = start or starting_model(settings.init)
    _check_loss(settings, start)
    stop = stop or _Never()
    state = None if saved is None else saved.state
    if state is not None and state.finished:
        yield TrainProgress(state.step, state.seconds, math.nan, 1.0, resumed=state.step)
        return ScoreModel.restored(state.parts)
    step, seconds, restarts = 0, 0.0, 0
    devices = choose_devices(settings.device)[: settings.batch if settings.trains else 1]
    precision = precision or Precision(devices[0])
    others = partial(follow, images, settings, start, precision.reduced)
    with (
        keeping_freed(),
        _threads(settings, devices) as tuner,
        team_of(devices, others) as team,
    ):
        run = TrainingRun(images, settings, start, precision, team)
        if state is None and start is not None:
            run.evaluate(0)
        elif state is not None:
            step, seconds, restarts = state.step, state.seconds, run.restore(state.parts)
            yield run.progress(step, seconds, resumed=step)
        begin = time.perf_counter() - seconds
        while not stop.is_set() and not run.exhausted:
            tuner.step()
            progress = settings.progress(step, time.perf_counter() - begin)
            if progress >= 1.0:
                break
            failed = run.monitor.trivial or run.monitor.lost
            if start is None and failed and restarts < _RESTARTS:
                restarts += 1
                run.restart(restarts)
            run.step(progress)
            step += 1
            if progress * _EVALUATIONS >= run.evaluations + 1:
                run.evaluate(step)
            seconds = time.perf_counter() - begin
            held = time.perf_counter()
            if saved is not None:
                saved.sometimes(partial(run.saved, saved.origin, step, seconds, restarts))
            yield run.progress(step, seconds)
            held = time.perf_counter() - held
            begin += held  # the time of the caller does not count
            tuner.leave_out(held)
        failure = run.failure(step, restarts) if start is None else None
        if failure is not None:
            raise TrainingError(failure)
        outcome = run.deliver(step)
    training = {**settings.to_dict(), 'steps_done': step, 'restarts': restarts, **outcome}
    model = ScoreModel(
        run.learner.average.to('cpu').eval().requires_grad_(False), settings.loss, training
    )
    if saved is not None:
        saved.finish(TrainingState(step, seconds, saved.origin, model.state(), finished=True))
    return model


def _threads(settings: TrainSettings, devices: Sequence[torch.device]) -> ThreadTuner:
    """Threads of a training: with a given number of steps the result must be reproducible, so they
    do not change.
    """
    most = max(1, usable_threads() // len(devices))
    chooses = settings.seconds is not None and devices[0].type == 'cpu'
    pixels = settings.batch * settings.patch**2
    return ThreadTuner(chooses, most, CHOOSER.best(most, pixels) if chooses else most)


def beginning(
    images: Sequence[NoisyPlanes], settings: TrainSettings, start: ScoreModel | None = None
) -> ScoreModel | None:
    """The initial model of a training on these images; None for random weights.

    Parameters are those of `train`. The model is not evaluated on the images, but ready to be
    applied to them.
    """
    start = start or starting_model(settings.init)
    if start is None:
        return None
    _check_loss(settings, start)
    ready = start.at_level(centre_of(some_patches(images, settings.patch, settings.seed)))
    network = ready.network.eval().requires_grad_(False)
    return ScoreModel(network, loss=settings.loss, training={})


def _check_loss(settings: TrainSettings, start: ScoreModel | None) -> None:
    """Raise if the output of the initial network means something else than the loss trains."""
    if start is None:
        return
    trained, given = LOSSES[settings.loss].parameterisation, start.parameterisation
    if type(trained) is not type(given):
        raise InputError(
            f'the initial weights were trained with the loss {start.loss}, and the loss '
            f'{settings.loss} trains a network whose output means something else; give the loss '
            'of the weights, or start from random weights (init scratch, --init scratch)'
        )
