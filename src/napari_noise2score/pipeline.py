"""The one road from noisy images to clean ones.

image -> channels -> noise model -> unit-noise coordinate -> score model -> clean level D
-> Tweedie correction -> clean image and report. The widget, the command line and scripts all
call `denoise_steps` or `denoise`, or its four stages: `prepare_image`, `train_score`,
`score_image`, `correct_image`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np

from napari_noise2score.apart import lessons_of, units
from napari_noise2score.correcting import correct_image
from napari_noise2score.errors import InputError, TrainingError
from napari_noise2score.evening import clean_levels
from napari_noise2score.images.footprint import check_room
from napari_noise2score.images.source import ImageSource
from napari_noise2score.judge import VIEWS, Judge, judge_channel
from napari_noise2score.levelling import levelled
from napari_noise2score.misfit import Seen, beaten_by_pretrained
from napari_noise2score.prepare import Prepared, check_noisy
from napari_noise2score.provenance import describe, versions
from napari_noise2score.refine import prepare_image
from napari_noise2score.results import Denoised, LeftOut, ScoreMap, Trained
from napari_noise2score.score.device import free_memory, out_of_memory
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress
from napari_noise2score.score.progress import TrainProgress
from napari_noise2score.score.train import Stop, train
from napari_noise2score.settings import Apart, DenoiseSettings, TrainSettings
from napari_noise2score.steps import finish, relay

R = TypeVar('R')


@dataclass(frozen=True, slots=True)
class Progress:
    """Where `denoise` is.

    Attributes
    ----------
    stage : str
        ``'estimate'``, ``'train'`` or ``'correct'``.
    fraction : float
        Share of the stage that is done, 0 to 1.
    training : TrainProgress or None
        Details of the training, in that stage.
    """

    stage: str
    fraction: float
    training: TrainProgress | None = None


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


Event = Progress | Trained | Denoised | LeftOut
"""What `denoise_steps` yields."""


def denoise_steps(
    images: Sequence[ImageSource],
    settings: DenoiseSettings | None = None,
    *,
    lessons: Sequence[Sequence[ImageSource]] = (),
    model: ScoreModel | None = None,
    stop: Stop | None = None,
    go_on: bool = False,
) -> Generator[Event, None, None]:
    """Denoise images, yielding what there is as soon as it is there.

    Images that share a score are trained on together, then denoised one by one. Where each has its
    own score, or ``model`` is given, one is done with before the next is looked at. Nothing of a
    result is kept here once it is yielded.

    Parameters
    ----------
    images : sequence of ImageSource
        Noisy images. Each is asked for when its turn comes, so the sequence may open files then.
    settings : DenoiseSettings, optional
        What to do.
    lessons : sequence of sequence of ImageSource, optional
        Parts of each of the images to learn from, instead of the whole.
    model : ScoreModel, optional
        A trained score, to apply instead of training one.
    stop : object with ``is_set()``, optional
        When set, the training ends, and what it has learned is applied.
    go_on : bool
        Leave out an image that is not acceptable, cannot be read or has no room in the memory.

    Yields
    ------
    Progress
        At least once a step of the training and once a tile.
    Trained
        When a score is ready.
    Denoised
        For each image that is done, in their order.
    LeftOut
        For each image that is left out.

    Raises
    ------
    InputError, TrainingError
        If no image is given, one is not acceptable, or a score could not be learned.
    """
    if not len(images):
        raise InputError('no image is given; at least one is needed')
    constant_too = len(images) > 1 and not go_on
    work = _Work(images, settings or DenoiseSettings(), lessons, model, stop, constant_too)
    if model is None and work.settings.apart is Apart.NONE:
        yield from work.together(go_on)
        return
    for number in range(len(images)):
        yield from _tolerant(work.alone(number), number, go_on)


def _tolerant(
    steps: Generator[Event, None, R], number: int, go_on: bool
) -> Generator[Event, None, R | None]:
    """Steps with one image; what ends them is yielded if the others are to go on."""
    try:
        return (yield from steps)
    except (InputError, TrainingError, OSError, MemoryError, RuntimeError) as error:
        if not go_on or (isinstance(error, RuntimeError) and not out_of_memory(error)):
            raise
        error.__cause__ = error.__context__ = None  # their tracebacks hold the arrays of the image
        left_out = LeftOut(number, error.with_traceback(None))
    free_memory()
    yield left_out
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    """An image, and the parts of it to learn from, with their noise models."""

    number: int
    image: Prepared
    lessons: tuple[Prepared, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What is to be denoised, and how."""

    images: Sequence[ImageSource]
    settings: DenoiseSettings
    lessons: Sequence[Sequence[ImageSource]]
    model: ScoreModel | None
    stop: Stop | None
    constant_too: bool

    def alone(self, number: int) -> Generator[Event, None, None]:
        """One image from its reading to its result."""
        begin, place = time.perf_counter(), (number, len(self.images))
        ready = yield from self.prepared(number)
        own: Sequence[ScoreModel] | ScoreModel
        own = self.model or (yield from self.trained([ready], place))[0]
        yield from self.result(ready, own, place, begin)

    def together(self, go_on: bool) -> Generator[Event, None, None]:
        """One score for all images, then one result after the other."""
        begin, ready = time.perf_counter(), []
        for number in range(len(self.images)):
            image = yield from _tolerant(self.prepared(number), number, go_on)
            ready += [] if image is None else [image]
        if not ready:
            return
        check_noisy([one.image for one in ready])
        models = yield from self.trained(ready, (0, 1))
        for place, (image, own) in enumerate(zip(ready, models, strict=True)):
            steps = self.result(image, own, (place, len(ready)), begin)
            yield from _tolerant(steps, image.number, go_on)

    def prepared(self, number: int) -> Generator[Event, None, _Ready]:
        """The noise models of an image and of its lessons."""
        yield Progress('estimate', number / len(self.images))
        source = self.images[number]
        check_room(source, self.settings.dtype_of(source))
        parts = self.lessons[number] if self.lessons and self.model is None else ()
        noise, apart = self.settings.noise, self.settings.apart.axes
        device = self.settings.training.device
        image, *taught = (
            prepare_image(
                one,
                noise,
                apart,
                device=device,
                constant_too=self.constant_too or bool(parts),
            )
            for one in (source, *parts)
        )
        if not self.constant_too:
            check_noisy([image])
        for channel in image.channels:
            channel.slab(0, self.settings.training.slices)  # says so if it has no neighbours
        return _Ready(number, image, tuple(taught))

    def trained(
        self, ready: Sequence[_Ready], place: tuple[int, int]
    ) -> Generator[Event, None, list[list[ScoreModel]]]:
        """A model for each channel of each image; ``place`` is their number of how many."""
        prepared, taught = [one.image for one in ready], [one.lessons for one in ready]
        found = units(prepared, self.settings.apart)
        models: dict[tuple[int, int], ScoreModel] = {}
        for number, unit in enumerate(found):

            def of_all(at: TrainProgress, number: int = number) -> Progress:
                share = (number + at.fraction) / len(found)
                return Progress('train', (place[0] + share) / place[1], at)

            lessons = lessons_of(unit, prepared, taught)
            model = yield from relay(
                train_score(lessons, self.settings.training, stop=self.stop), of_all
            )
            yield Trained(model, tuple(ready[image].number for image, _ in unit))
            models |= {(image, channel): model for image, places in unit for channel in places}
        return [
            [models[image, channel] for channel in range(len(one.channels))]
            for image, one in enumerate(prepared)
        ]

    def result(
        self,
        ready: _Ready,
        model: ScoreModel | Sequence[ScoreModel],
        place: tuple[int, int],
        begin: float,
    ) -> Generator[Event, None, None]:
        """An image, scored and corrected; ``place`` is its number of how many."""
        settings, source = self.settings, ready.image.source
        tiles = score_image(
            model,
            ready.image,
            device=settings.training.device,
            orientations=settings.views(source.size),
            sigma_a=settings.left_in,
            foreign=self.model is not None,
        )

        def of_all(tile: PredictProgress) -> Progress:
            return Progress('correct', (place[0] + tile.fraction) / place[1])

        score_map = yield from relay(tiles, of_all)
        corrected = correct_image(score_map, None, settings.correction, settings.dtype_of(source))
        report = describe(corrected, score_map, settings)
        report['seconds'] = round(time.perf_counter() - begin, 3)
        yield Denoised(corrected, score_map, report, ready.number)


def single(steps: Generator[Event, None, None]) -> Generator[Progress, None, Denoised]:
    """The result of steps with one image, returned; their progress is yielded."""
    found: list[Denoised] = []
    for event in steps:
        if isinstance(event, Progress):
            yield event
        elif isinstance(event, Denoised):
            found.append(event)
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
