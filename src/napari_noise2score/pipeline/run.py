"""The one road from noisy images to clean ones.

image -> channels -> noise model -> unit-noise coordinate -> score model -> clean level D
-> Tweedie correction -> clean image and report.

`denoise_steps` is a generator of events (estimated, ready to train, progress, trained, denoised,
left out). The panel, the command line and `denoise` iterate over it and show, write or return what
it yields; `train_steps` ends with the trained model. `score_with` and `result_from` are its last
two stages, for another correction of an image whose model exists.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import numpy as np

from napari_noise2score.errors import InputError, TrainingError
from napari_noise2score.images.footprint import check_room
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.choose import NoiseRequest
from napari_noise2score.pipeline.correct import correct_image
from napari_noise2score.pipeline.domain import Seen, beaten_by_pretrained
from napari_noise2score.pipeline.evening import clean_levels
from napari_noise2score.pipeline.levelling import levelled
from napari_noise2score.pipeline.pooling import Unit, lessons_of, units
from napari_noise2score.pipeline.prepare import Prepared, check_noisy
from napari_noise2score.pipeline.record import describe, versions
from napari_noise2score.pipeline.refine import prepare_image
from napari_noise2score.pipeline.results import (
    Denoised,
    Estimated,
    LeftOut,
    Progress,
    ReadyToTrain,
    ScoreMap,
    Trained,
)
from napari_noise2score.pipeline.selection import VIEWS, Judge, judge_channel
from napari_noise2score.score.device import free_memory
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress
from napari_noise2score.score.progress import TrainProgress
from napari_noise2score.score.train import Stop, beginning, train
from napari_noise2score.settings import Apart, DenoiseSettings, StartFrom, TrainSettings
from napari_noise2score.steps import finish, relay

E = TypeVar('E')
R = TypeVar('R')

_CHANGED = (
    'The image was changed while it was learned from: the result is that of its present values, '
    'with the noise estimated before. Train again if that differs.'
)


def train_score(
    prepared: Sequence[Prepared],
    settings: TrainSettings | None = None,
    *,
    start: ScoreModel | None = None,
    stop: Stop | None = None,
) -> Generator[TrainProgress, None, ScoreModel]:
    """Train one score on all channels of all images together.

    See `napari_noise2score.score.train.train` for what is yielded, returned and raised.
    """
    device = settings.device if settings is not None else 'auto'
    prepared = [levelled(image, device) for image in prepared]
    channels = [channel for image in prepared for channel in image.channels]
    model = yield from train(channels, settings, start=start, stop=stop)
    model.data = {
        'images': [
            {
                'name': image.source.name,
                'shape': list(image.source.shape),
                'axes': image.source.axes,
                'region': str(image.source.region),
                'places': [channel.channel.place for channel in image.channels],
                'noise': [channel.family.to_dict() for channel in image.channels],
                'seen': [Seen.of(channel).to_dict() for channel in image.channels],
            }
            for image in prepared
        ],
        'made': datetime.now(UTC).isoformat(timespec='seconds'),
        'versions': versions(),
    }
    return model


def score_image(
    model: ScoreModel | Sequence[ScoreModel],
    prepared: Prepared,
    *,
    device: str = 'auto',
    orientations: int = 8,
    sigma_a: float | None = None,
    foreign: bool = False,
) -> Generator[PredictProgress, None, ScoreMap]:
    """Apply a score model to an image, tile by tile.

    Parameters
    ----------
    model : ScoreModel or sequence of ScoreModel
        Trained on this image or others like it; one for all channels, or one for each.
    prepared : Prepared
        The image with its noise models.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'`` or ``'mps'``.
    orientations : int
        Turned and mirrored views that are averaged, 1 to 8.
    sigma_a : float, optional
        Perturbation at inference, noise standard deviations; chosen by the risk if not given.
    foreign : bool
        Whether the model was trained on other images: then its risk is compared with that of the
        pretrained weights, which takes about a second.

    Raises
    ------
    InputError
        If the models are not as many as the channels.
    """
    levels, judges = [], []
    prepared = levelled(prepared, device)
    count = len(prepared.channels)
    models = (model,) * count if isinstance(model, ScoreModel) else tuple(model)
    if len(models) != count:
        raise InputError(
            f'{prepared.source.name} has {count} channels, but {len(models)} models are given; '
            'one for each is needed, or one for all'
        )
    for number, (channel, own) in enumerate(zip(prepared.channels, models, strict=True)):

        def judging(tile: PredictProgress, number: int = number) -> PredictProgress:
            return PredictProgress(number, count)

        judge: Judge = yield from relay(
            judge_channel(own, channel, sigma_a, device=device, orientations=orientations),
            judging,
        )
        steps = clean_levels(
            own, channel, device=device, orientations=orientations, sigma_a=judge.sigma_a
        )

        def of_all(tile: PredictProgress, number: int = number) -> PredictProgress:
            return PredictProgress(number * tile.total + tile.done, tile.total * count)

        levels.append((yield from relay(steps, of_all)))
        judges.append(judge)
    warning = None
    if foreign and judges:

        def at_the_end(tile: PredictProgress) -> PredictProgress:
            return PredictProgress(count, count)

        comparison = beaten_by_pretrained(
            judges, device=device, orientations=min(VIEWS, orientations)
        )
        warning = yield from relay(comparison, at_the_end)
    warnings = (warning,) if warning else ()
    checksum = prepared.source.checksum()
    return ScoreMap(prepared, tuple(levels), tuple(judges), models, checksum, warnings)


def score_with(
    model: ScoreModel | Sequence[ScoreModel],
    prepared: Prepared,
    settings: DenoiseSettings,
    *,
    foreign: bool = False,
) -> Generator[PredictProgress, None, ScoreMap]:
    """Apply a score model to an image as the settings say; see `score_image`."""
    return score_image(
        model,
        prepared,
        device=settings.training.device,
        orientations=settings.views(prepared.source.size),
        sigma_a=settings.left_in,
        foreign=foreign,
    )


def result_from(
    score_map: ScoreMap,
    settings: DenoiseSettings,
    *,
    begin: float,
    noise: NoiseRequest | None = None,
    number: int = 0,
) -> Denoised:
    """The clean image of a score map, with its report.

    Parameters
    ----------
    score_map : ScoreMap
        The score of an image.
    settings : DenoiseSettings
        Form of the correction, data type, and what the report says of the training.
    begin : float
        When the work on the image began, by `time.perf_counter`.
    noise : NoiseRequest, optional
        Noise to correct for, if another than in the training.
    number : int
        Number of the image.

    Raises
    ------
    InputError
        If the noise leaves a parameter open that could not be estimated.
    """
    dtype = settings.dtype_of(score_map.prepared.source)
    corrected = correct_image(score_map, noise, settings.correction, dtype)
    report = describe(corrected, score_map, settings)
    report['seconds'] = round(time.perf_counter() - begin, 3)
    return Denoised(corrected, score_map, report, number)


Event = Estimated | ReadyToTrain | Progress | Trained | Denoised | LeftOut
"""What `denoise_steps` yields."""


def denoise_steps(
    images: Sequence[ImageSource],
    settings: DenoiseSettings | None = None,
    *,
    lessons: Sequence[Sequence[ImageSource]] = (),
    model: ScoreModel | None = None,
    start: ScoreModel | None = None,
    stop: Stop | None = None,
    go_on: bool = False,
    check_first: bool = False,
) -> Generator[Event, None, None]:
    """Denoise images; every result is yielded as soon as it is done.

    Images that share a model are trained on together, then denoised one by one. Where each has its
    own model, or ``model`` is given, the next image is read when the result of the one before was
    yielded, unless ``check_first``. Results are not held here once they are yielded.

    Parameters
    ----------
    images : sequence of ImageSource
        Noisy images. Each is asked for when its turn comes, so the sequence may open files then.
    settings : DenoiseSettings, optional
        All settings.
    lessons : sequence of sequence of ImageSource, optional
        Parts of each of the images to learn from, instead of the whole.
    model : ScoreModel, optional
        A trained model, to apply instead of training one.
    start : ScoreModel, optional
        A model whose training is continued, instead of the weights that the settings name.
    stop : object with ``is_set()``, optional
        When set, the training ends, and what it has learned is applied; if nothing was learned
        yet, the work ends without a result.
    go_on : bool
        Leave out an image that is not acceptable, cannot be read or fails, and go on with the
        others.
    check_first : bool
        Hold all images at once and estimate their noise before the first training. An image that
        is not acceptable then ends the work, also with ``go_on``.

    Yields
    ------
    Progress
        Before each estimate, at least once a step of the training and once a tile.
    Estimated
        When an image has its noise models.
    ReadyToTrain
        Before the first training of these images.
    Trained
        When a model is trained.
    Denoised
        For each image that is done, in their order.
    LeftOut
        For each image that is left out.

    Raises
    ------
    InputError, TrainingError
        If no image is given, one is not acceptable, or a model could not be trained.
    """
    settings = settings or DenoiseSettings()
    together = check_first or (model is None and settings.apart is Apart.NONE)
    work = _Work(
        images,
        settings,
        lessons=lessons if model is None else (),
        model=model,
        start=start,
        stop=stop,
        go_on=go_on,
        check_first=check_first,
        together=together,
    )
    yield from work.steps()


def train_steps(
    images: Sequence[ImageSource],
    settings: DenoiseSettings | None = None,
    *,
    start: ScoreModel | None = None,
    stop: Stop | None = None,
    go_on: bool = False,
) -> Generator[Event, None, None]:
    """Train on images without denoising them: `denoise_steps` up to the last `Trained`.

    Parameters
    ----------
    images, settings, start, stop, go_on
        As of `denoise_steps`.
    """
    settings = settings or DenoiseSettings()
    work = _Work(
        images, settings, start=start, stop=stop, go_on=go_on, together=True, applied=False
    )
    yield from work.steps()


def tolerant(
    steps: Generator[E, None, R], number: int, go_on: bool
) -> Generator[E | LeftOut, None, R | None]:
    """Work on one image of several; an error in it is yielded as `LeftOut` if ``go_on``.

    Parameters
    ----------
    steps : generator
        The work.
    number : int
        Number of the image.
    go_on : bool
        Whether the others are to be worked on; else the error is raised.
    """
    try:
        return (yield from steps)
    except (InputError, TrainingError, OSError, MemoryError, RuntimeError) as error:
        if not go_on:
            raise
        error.__cause__ = error.__context__ = None  # their tracebacks hold the arrays of the image
        left_out = LeftOut(number, error.with_traceback(None))
    free_memory()
    yield left_out
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """An image, and the parts of it to learn from, with their noise models.

    ``checksum`` is that of the image before the training; None if nothing is trained.
    """

    number: int
    image: Prepared
    lessons: tuple[Prepared, ...]
    checksum: int | None


@dataclass(slots=True, eq=False)
class _Work:
    """The work of `denoise_steps` and `train_steps`, whose parameters its attributes are.

    Attributes
    ----------
    together : bool
        Whether all images are held at once.
    applied : bool
        Whether the models are applied to the images.
    learned : bool
        Whether a model was trained.
    """

    images: Sequence[ImageSource]
    settings: DenoiseSettings
    lessons: Sequence[Sequence[ImageSource]] = ()
    model: ScoreModel | None = None
    start: ScoreModel | None = None
    stop: Stop | None = None
    go_on: bool = False
    check_first: bool = False
    together: bool = False
    applied: bool = True
    learned: bool = False

    def steps(self) -> Generator[Event, None, None]:
        """The whole work."""
        count = len(self.images)
        if not count:
            raise InputError('no image is given; at least one is needed')
        batches = [range(count)] if self.together else [range(n, n + 1) for n in range(count)]
        if self.check_first:
            for source in self.images:
                check_room(source, self.settings.dtype_of(source))
        for number, batch in enumerate(batches):
            one = _Batch(self, (number, len(batches)), time.perf_counter())
            if not (yield from one.steps(batch)):
                return

    @property
    def constant_too(self) -> bool:
        """Whether an image may be constant, as others may hold noise."""
        return len(self.images) > 1 and (self.check_first or not self.go_on)

    def prepared(self, number: int) -> Generator[Event, None, _Ready]:
        """The noise models of an image and of its lessons."""
        yield Progress('estimate', number / len(self.images))
        source, training = self.images[number], self.settings.training
        if self.applied and not self.check_first:
            check_room(source, self.settings.dtype_of(source))
        parts = self.lessons[number] if self.lessons else ()
        image, *taught = (
            prepare_image(
                one,
                self.settings.noise,
                self.settings.apart.axes,
                device=training.device,
                constant_too=self.constant_too or bool(parts),
            )
            for one in (source, *parts)
        )
        if not self.constant_too:
            check_noisy([image])
        for channel in image.channels:
            channel.slab(0, training.slices)  # raises InputError if it has no neighbours
        checksum = source.checksum() if self.model is None and self.applied else None
        yield Estimated(number, image)
        return _Ready(number, image, tuple(taught), checksum)

    def trained(
        self, lessons: Sequence[Prepared], of_all: Callable[[TrainProgress], Progress]
    ) -> Generator[Event, None, ScoreModel | None]:
        """A trained model; None if the training was stopped and there is nothing to apply."""
        training = self.settings.training
        model = yield from relay(
            train_score(lessons, training, start=self.start, stop=self.stop), of_all
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
        """An image, scored and corrected; ``place`` is its number and how many there are."""
        score_begin = time.perf_counter()

        def of_all(tile: PredictProgress) -> Progress:
            share, spent = tile.fraction, time.perf_counter() - score_begin
            left = spent * (1 / share - 1) if share else None
            return Progress('correct', (place[0] + share) / place[1], left=left)

        tiles = score_with(model, ready.image, self.settings, foreign=self.model is not None)
        score_map = yield from relay(tiles, of_all)
        result = result_from(score_map, self.settings, begin=begin, number=ready.number)
        if ready.checksum not in (None, score_map.checksum):
            result.report['warnings'].append(_CHANGED)
        yield result


@dataclass(slots=True, eq=False)
class _Batch:
    """Images that are held at once.

    Attributes
    ----------
    work : _Work
        The whole work.
    place : (int, int)
        Number of the batch, and how many there are.
    begin : float
        When the work on it began, by `time.perf_counter`.
    """

    work: _Work
    place: tuple[int, int]
    begin: float

    def steps(self, numbers: Iterable[int]) -> Generator[Event, None, bool]:
        """Noise models, trainings and results; returns False if the work was stopped."""
        work, ready = self.work, list[_Ready]()
        for number in numbers:
            go_on = work.go_on and not work.check_first
            image = yield from tolerant(work.prepared(number), number, go_on)
            ready += [] if image is None else [image]
        if not ready:
            return True
        check_noisy([one.image for one in ready])
        if work.model is None:
            return (yield from self._trained(ready))
        for position, one in enumerate(ready):
            yield from self._result(one, work.model, (position, len(ready)))
        return True

    def _trained(self, ready: Sequence[_Ready]) -> Generator[Event, None, bool]:
        """Train models; each image is denoised when all of its channels have theirs."""
        settings = self.work.settings
        images, taught = [one.image for one in ready], [one.lessons for one in ready]
        found = units(images, settings.apart)
        lessons = [lessons_of(unit, images, taught) for unit in found]
        yield self._ready_to_train(ready, found, lessons)
        models: dict[tuple[int, int], ScoreModel] = {}
        left_out: set[int] = set()
        waiting = deque(enumerate(ready))
        for number, unit in enumerate(found):
            first = unit[0][0]
            if first in left_out:
                continue
            go_on = self.work.go_on and settings.apart is not Apart.NONE
            steps = self._unit(unit, lessons[number], (number, len(found)), ready, models)
            trained = yield from tolerant(steps, ready[first].number, go_on)
            if trained is None:
                left_out.add(first)
            elif not trained:
                return False
            yield from self._results(waiting, models, left_out, len(ready))
        yield from self._results(waiting, models, left_out, len(ready))  # constant images
        return True

    def _ready_to_train(
        self, ready: Sequence[_Ready], found: Sequence[Unit], lessons: Sequence[Sequence[Prepared]]
    ) -> ReadyToTrain:
        channels = [channel for parts in lessons for part in parts for channel in part.channels]
        return ReadyToTrain(
            {one.number: one.image for one in ready},
            tuple(
                tuple(ready[image].image.channels[place] for image, own in unit for place in own)
                for unit in found
            ),
            partial(beginning, channels, self.work.settings.training, self.work.start),
        )

    def _unit(
        self,
        unit: Unit,
        lessons: Sequence[Prepared],
        which: tuple[int, int],
        ready: Sequence[_Ready],
        models: dict[tuple[int, int], ScoreModel],
    ) -> Generator[Event, None, bool]:
        """Train one of the models and add it to ``models``; False if that was stopped."""
        number, count = which
        seconds = self.work.settings.training.seconds

        def of_all(at: TrainProgress) -> Progress:
            share = (number + at.fraction) / count
            left = None
            if seconds is not None:
                left = max(0.0, seconds - at.seconds) + (count - number - 1) * seconds
            fraction = (self.place[0] + share) / self.place[1]
            return Progress('train', fraction, at, (number + 1, count), left)

        model = yield from self.work.trained(lessons, of_all)
        if model is None:
            return False
        models |= {(image, channel): model for image, own in unit for channel in own}
        yield Trained(model, tuple(ready[image].number for image, _ in unit))
        return True

    def _results(
        self,
        waiting: deque[tuple[int, _Ready]],
        models: Mapping[tuple[int, int], ScoreModel],
        left_out: Collection[int],
        count: int,
    ) -> Generator[Event, None, None]:
        """The images, in their order, all of whose channels have a model."""
        while self.work.applied and waiting:
            position, one = waiting[0]
            places = [(position, channel) for channel in range(len(one.image.channels))]
            if position not in left_out:
                if not all(place in models for place in places):
                    return
                own = [models[place] for place in places]
                yield from self._result(one, own, (position, count))
            waiting.popleft()

    def _result(
        self, ready: _Ready, model: ScoreModel | Sequence[ScoreModel], place: tuple[int, int]
    ) -> Generator[Event, None, None]:
        """An image, scored and corrected; ``place`` is its number and how many there are."""
        number, count = self.place
        within = number * place[1] + place[0], count * place[1]
        steps = self.work.result(ready, model, within, self.begin)
        yield from tolerant(steps, ready.number, self.work.go_on)


def single(steps: Generator[Event, None, None]) -> Generator[Progress, None, Denoised]:
    """The result of steps with one image, returned; their progress is yielded.

    Raises
    ------
    TrainingError
        If the training was stopped before its first step.
    """
    found: list[Denoised] = []
    for event in steps:
        if isinstance(event, Progress):
            yield event
        elif isinstance(event, Denoised):
            found.append(event)
    if not found:
        raise TrainingError('the training was stopped before its first step: there is no result')
    (result,) = found
    return result


def denoise(
    image: Any,
    axes: str,
    settings: DenoiseSettings | None = None,
    *,
    name: str = 'image',
    seconds: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Denoised:
    """Clean image of a noisy one, without any clean image to learn from.

    Parameters
    ----------
    image : array-like
        Grey levels, any real dtype and number of axes.
    axes : str
        One letter of ``TCZYXS`` for each axis, such as ``'TYX'``.
    settings : DenoiseSettings, optional
        What to do; estimates the noise and trains for a minute if not given.
    name : str
        Name of the image in the report.
    seconds : float, optional
        Training time, s, instead of that in the settings.
    on_progress : callable, optional
        Called with every `Progress`.

    Returns
    -------
    Denoised
        Its ``image`` has the shape, axes and grey levels of the input, float32 unless the settings
        ask for the dtype of the input.

    Raises
    ------
    InputError
        If the image or a setting is not acceptable.
    TrainingError
        If the score could not be learned.
    """
    settings = settings or DenoiseSettings()
    if seconds is not None:
        settings = replace(settings, training=replace(settings.training, seconds=seconds))
    array = image if hasattr(image, 'shape') and hasattr(image, 'dtype') else np.asarray(image)
    source = ImageSource(array, axes, name)
    return finish(single(denoise_steps([source], settings)), on_progress)
