"""Order in which images are prepared, used for training and denoised; handling of their errors.

`Work` is the complete task. It is divided into batches: all images at once, or one image after the
other. In a `Batch` all noise models are estimated before the trainings. An image is denoised as
soon as each of its channels has a trained model.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from napari_noise2score.errors import InputError, TrainingError
from napari_noise2score.images.footprint import check_footprint
from napari_noise2score.images.source import ImageSource
from napari_noise2score.memory import keeping_freed, trim
from napari_noise2score.pipeline.divided_planes import divided
from napari_noise2score.pipeline.large_planes import check_whole_planes
from napari_noise2score.pipeline.pooling import TrainingGroup, parts_to_train_on, training_groups
from napari_noise2score.pipeline.prepared import Prepared, check_noisy
from napari_noise2score.pipeline.refine import prepare_image
from napari_noise2score.pipeline.results import (
    Estimated,
    Event,
    Failed,
    Progress,
    ReadyToTrain,
    Trained,
)
from napari_noise2score.pipeline.stages import result_from, score_with, train_score_steps
from napari_noise2score.progress import relay, seconds_left
from napari_noise2score.score.device import free_memory
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress
from napari_noise2score.score.progress import TrainProgress
from napari_noise2score.score.train import Stop, beginning
from napari_noise2score.score.training_files import TrainingFolder
from napari_noise2score.settings import DenoiseSettings, ModelPer, StartFrom

OnDemand = bool | Callable[[ImageSource], bool]
"""Whether planes of a result are computed when they are read; for all images, or for each."""

E = TypeVar('E')
R = TypeVar('R')

_CHANGED = (
    'The image was changed during the training: the result is that of its present values, with '
    'the noise estimated before the change. Train again if the noise is different.'
)


def tolerant(
    steps: Generator[E, None, R], number: int, keep_going: bool
) -> Generator[E | Failed, None, R | None]:
    """Work on one image of several; an error in it is yielded as `Failed` if ``keep_going``.

    Parameters
    ----------
    steps : generator
        The work.
    number : int
        Number of the image.
    keep_going : bool
        Whether the work on the other images continues; otherwise the error is raised.
    """
    try:
        return (yield from steps)
    except (InputError, TrainingError, OSError, MemoryError, RuntimeError) as error:
        if not keep_going:
            raise
        # their tracebacks would keep the arrays of the image in memory
        error.__cause__ = error.__context__ = None
        failed = Failed(number, error.with_traceback(None))
    free_memory()
    yield failed
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """An image and its parts to train on, with their noise models.

    ``checksum`` is that of the image before the training; None without a training.
    """

    number: int
    image: Prepared
    training_parts: tuple[Prepared, ...]
    checksum: int | None


@dataclass(slots=True, eq=False)
class Work:
    """The work of `denoise_steps` and `train_steps`; it has their parameters as attributes.

    Attributes
    ----------
    together : bool
        Whether all images are processed in one batch.
    applied : bool
        Whether the models are applied to the images.
    on_demand : bool or callable
        Whether planes of a result are computed when they are read; for all images, or for each.
    keep_levels : bool
        Whether some clean levels that are predicted on demand are kept for another correction.
    learned : bool
        Whether a model was trained.
    """

    images: Sequence[ImageSource]
    settings: DenoiseSettings
    training_parts: Sequence[Sequence[ImageSource]] = ()
    model: ScoreModel | None = None
    start: ScoreModel | None = None
    stop: Stop | None = None
    keep_going: bool = False
    check_first: bool = False
    together: bool = False
    applied: bool = True
    on_demand: OnDemand = False
    keep_levels: bool = True
    folder: TrainingFolder | None = None
    own_model: bool = False
    learned: bool = False

    def steps(self) -> Generator[Event, None, None]:
        """Do the complete work."""
        count = len(self.images)
        if not count:
            raise InputError('no image is given; at least one is needed')
        batches = [range(count)] if self.together else [range(n, n + 1) for n in range(count)]
        if self.check_first:
            self._check_footprints(self.images)
        for number, batch in enumerate(batches):
            one = Batch(self, (number, len(batches)), time.perf_counter())
            with keeping_freed():
                if not (yield from one.steps(batch)):
                    return

    def _computed_when_read(self, source: ImageSource) -> bool:
        return self.on_demand if isinstance(self.on_demand, bool) else self.on_demand(source)

    def _check_footprints(self, sources: Iterable[ImageSource]) -> None:
        for source in sources:
            if not self._computed_when_read(source):
                check_footprint(source, self.settings.dtype_of(source))

    @property
    def constant_too(self) -> bool:
        """Whether an image may be constant, because others may contain noise."""
        return len(self.images) > 1 and (self.check_first or not self.keep_going)

    def prepared(self, number: int) -> Generator[Event, None, _Ready]:
        """The noise models of an image and of its parts to train on."""
        yield Progress('estimate', number / len(self.images))
        source = self.images[number]
        self.settings.context.axis_of(source.axes, source.shape)  # raises if there is no such axis
        if self.applied and not self.check_first:
            self._check_footprints([source])
        parts = self.training_parts[number] if self.training_parts else ()
        image, *learned = (
            prepare_image(
                one,
                self.settings.noise,
                self.settings.model_per.axes,
                device=self.settings.training.device,
                constant_too=self.constant_too or bool(parts),
            )
            for one in (source, *parts)
        )
        if not self.constant_too:
            check_noisy([image])
        if self.applied and self._computed_when_read(source):
            trim()  # what networks needed does not count
            check_whole_planes(image)
        checksum = source.checksum() if self.model is None and self.applied else None
        yield Estimated(number, image)
        return _Ready(number, image, tuple(learned), checksum)

    def trained(
        self, training_parts: Sequence[Prepared], of_all: Callable[[TrainProgress], Progress]
    ) -> Generator[Event, None, ScoreModel | None]:
        """A trained model; None if the training was stopped before its first step."""
        training = self.settings.training
        model = yield from relay(
            train_score_steps(
                training_parts,
                training,
                start=self.start,
                stop=self.stop,
                folder=self.folder,
                context=self.settings.context,
            ),
            of_all,
        )
        stopped = self.stop is not None and self.stop.is_set()
        untrained = training.trains and not model.training['steps_done']
        if stopped and untrained and (not self.learned or training.init == StartFrom.SCRATCH):
            return None
        self.learned = True
        return model

    def result(
        self,
        ready: _Ready,
        model: ScoreModel | Sequence[ScoreModel],
        place: tuple[int, int],
        begin: float,
    ) -> Generator[Event, None, None]:
        """The result of an image; ``place`` is its number and the number of images."""
        score_begin = time.perf_counter()

        def of_all(tile: PredictProgress) -> Progress:
            share = tile.fraction
            left = seconds_left(score_begin, share)
            return Progress('correct', (place[0] + share) / place[1], left=left)

        tiles = score_with(
            model,
            ready.image,
            self.settings,
            foreign=self.model is not None and not self.own_model,
            on_demand=self._computed_when_read(ready.image.source),
            keep_levels=self.keep_levels,
        )
        score_map = yield from relay(tiles, of_all)
        result = result_from(score_map, self.settings, begin=begin, number=ready.number)
        if ready.checksum not in (None, score_map.checksum):
            result.report['warnings'].append(_CHANGED)
        yield result


@dataclass(slots=True, eq=False)
class Batch:
    """Images that are in memory at the same time.

    Attributes
    ----------
    work : Work
        The complete work.
    place : (int, int)
        Number of the batch, and number of batches.
    begin : float
        Start of the work on it, from `time.perf_counter`.
    """

    work: Work
    place: tuple[int, int]
    begin: float

    def steps(self, numbers: Iterable[int]) -> Generator[Event, None, bool]:
        """Noise models, trainings and results; returns False if the work was stopped."""
        work, ready = self.work, list[_Ready]()
        for number in numbers:
            keep_going = work.keep_going and not work.check_first
            image = yield from tolerant(work.prepared(number), number, keep_going)
            ready += [] if image is None else [image]
        if not ready:
            return True
        if work.together:  # otherwise each was checked separately, unless others may have noise
            check_noisy([one.image for one in ready])
        if work.model is None:
            alone = work.keep_going and not work.together
            trained = yield from tolerant(self._trained(ready), ready[0].number, alone)
            return trained is not False
        for position, one in enumerate(ready):
            yield from self._result(one, work.model, (position, len(ready)))
        return True

    def _trained(self, ready: Sequence[_Ready]) -> Generator[Event, None, bool]:
        """Train models; each image is denoised when all of its channels have a model."""
        settings = self.work.settings
        images, parts = [one.image for one in ready], [one.training_parts for one in ready]
        groups = training_groups(images, settings.model_per)
        training_parts = [parts_to_train_on(group, images, parts) for group in groups]
        yield self._ready_to_train(ready, groups, training_parts)
        models: dict[tuple[int, int], ScoreModel] = {}
        failed: set[int] = set()
        waiting = deque(enumerate(ready))
        for number, group in enumerate(groups):
            first = group[0][0]
            if first in failed:
                continue
            keep_going = self.work.keep_going and settings.model_per is not ModelPer.ALL
            steps = self._group(
                group, training_parts[number], (number, len(groups)), ready, models
            )
            trained = yield from tolerant(steps, ready[first].number, keep_going)
            if trained is None:
                failed.add(first)
            elif not trained:
                return False
            yield from self._results(waiting, models, failed, len(ready))
        yield from self._results(waiting, models, failed, len(ready))  # constant images
        return True

    def _ready_to_train(
        self,
        ready: Sequence[_Ready],
        groups: Sequence[TrainingGroup],
        training_parts: Sequence[Sequence[Prepared]],
    ) -> ReadyToTrain:
        channels = [
            divided(channel)
            for parts in training_parts
            for part in parts
            for channel in part.channels
        ]
        return ReadyToTrain(
            {one.number: one.image for one in ready},
            tuple(
                tuple(ready[image].image.channels[place] for image, own in group for place in own)
                for group in groups
            ),
            partial(beginning, channels, self.work.settings.training, self.work.start),
        )

    def _group(
        self,
        group: TrainingGroup,
        training_parts: Sequence[Prepared],
        which: tuple[int, int],
        ready: Sequence[_Ready],
        models: dict[tuple[int, int], ScoreModel],
    ) -> Generator[Event, None, bool]:
        """Train one of the models and add it to ``models``; False if the training was stopped."""
        number, count = which
        seconds = self.work.settings.training.seconds

        def of_all(at: TrainProgress) -> Progress:
            share = (number + at.fraction) / count
            left = None
            if seconds is not None:
                left = max(0.0, seconds - at.seconds) + (count - number - 1) * seconds
            fraction = (self.place[0] + share) / self.place[1]
            return Progress('train', fraction, at, (number + 1, count), left)

        model = yield from self.work.trained(training_parts, of_all)
        if model is None:
            return False
        models |= {(image, channel): model for image, own in group for channel in own}
        yield Trained(model, tuple(ready[image].number for image, _ in group))
        return True

    def _results(
        self,
        waiting: deque[tuple[int, _Ready]],
        models: Mapping[tuple[int, int], ScoreModel],
        failed: Collection[int],
        count: int,
    ) -> Generator[Event, None, None]:
        """Results of the waiting images whose channels all have a model, in their order."""
        while self.work.applied and waiting:
            position, one = waiting[0]
            places = [(position, channel) for channel in range(len(one.image.channels))]
            if position not in failed:
                if not all(place in models for place in places):
                    return
                own = [models[place] for place in places]
                yield from self._result(one, own, (position, count))
            waiting.popleft()

    def _result(
        self, ready: _Ready, model: ScoreModel | Sequence[ScoreModel], place: tuple[int, int]
    ) -> Generator[Event, None, None]:
        """The result of an image; ``place`` is its number and the number of images."""
        number, count = self.place
        within = number * place[1] + place[0], count * place[1]
        steps = self.work.result(ready, model, within, self.begin)
        yield from tolerant(steps, ready.number, self.work.keep_going)
