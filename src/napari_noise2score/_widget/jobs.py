"""The jobs of the panel as plain generators: estimate, train, correct.

They yield what they have as soon as they have it, so that a job that ends early loses nothing:
a trained model before it is applied, each clean image before the next. No Qt and no thread in
here. PyTorch is loaded when the first job needs it.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import TrainingError
from napari_noise2score.images.region import WHOLE, Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.calibrate import Calibration
from napari_noise2score.noise.choose import NoiseRequest
from napari_noise2score.noise.correct import Correction
from napari_noise2score.noise.estimate import NoiseFit
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.steps import relay

if TYPE_CHECKING:
    from napari_noise2score.changed import Change
    from napari_noise2score.pipeline import DenoiseSettings
    from napari_noise2score.prepare import Prepared, PreparedChannel
    from napari_noise2score.results import Corrected, ScoreMap
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.score.predict import PredictProgress
    from napari_noise2score.score.settings import TrainProgress
    from napari_noise2score.score.train import Stop

_CHECKED_BYTES = 1 << 26
PREVIEWED = 1 << 23
"""Largest image that is previewed, pixels: some seconds' work on a CPU."""
_SHOWN_EVERY = 10
"""Least time from one showing of an image to the next, in times that one takes."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the panel asks for; plain values, no PyTorch needed."""

    noise: NoiseRequest = field(default_factory=NoiseRequest)
    correction: Correction = Correction.AUTO
    seconds: float = 60.0
    device: str = 'auto'
    seed: int = 0
    init: str = 'warm'
    output: str = 'float32'
    slices: int = 1
    apart: str = 'none'

    def resolved(self) -> DenoiseSettings:
        """The settings of the pipeline; raises InputError for what is out of range."""
        pipeline = engine()
        training = pipeline.TrainSettings(
            seconds=self.seconds,
            device=self.device,
            seed=self.seed,
            init=self.init,
            slices=self.slices,
        )
        settings: DenoiseSettings = pipeline.DenoiseSettings(
            self.noise, self.correction, training, output=self.output, apart=self.apart
        )
        return settings


@dataclass(frozen=True, slots=True)
class Update:
    """Where a job is. The only thing a job yields that may be skipped.

    Attributes
    ----------
    stage : str
        ``'load'``, ``'estimate'``, ``'calibrate'``, ``'preview'``, ``'train'``, ``'correct'`` or
        ``'export'``.
    fraction : float
        Share of the stage that is done, 0 to 1.
    step, loss : int, float or None
        Of the training.
    spent : float or None
        Seconds since the training began.
    left : float or None
        Seconds until the stage ends, where known.
    start_risk, risk : float or None
        Estimated error before and after the training so far, in units of the noise variance.
    part : (int, int) or None
        Which of how many trainings.
    """

    stage: str
    fraction: float
    step: int | None = None
    loss: float | None = None
    spent: float | None = None
    left: float | None = None
    start_risk: float | None = None
    risk: float | None = None
    part: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Estimated:
    """The blind estimate of one channel of an image."""

    source: ImageSource
    place: dict[str, int]
    fit: NoiseFit


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A score model, ready for use.

    Attributes
    ----------
    model, settings : ScoreModel, DenoiseSettings
        The model and how to apply it.
    start : ScoreModel or None
        What its training went on from, if that was the model in use.
    path : Path or None
        The file that holds it.
    loaded : bool
        Whether it was loaded, and so is to be applied to layers that have another score too.
    """

    model: ScoreModel
    settings: DenoiseSettings
    start: ScoreModel | None = None
    path: Path | None = None
    loaded: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The learned score of an image, kept to correct again without the network.

    Attributes
    ----------
    score_map : ScoreMap
        The score.
    settings : DenoiseSettings
        Whence it came.
    checksum : int
        Of the grey levels, to notice a change of the image in place.
    start : ScoreModel or None
        What the training went on from, if that was the model in use.
    """

    score_map: ScoreMap
    settings: DenoiseSettings
    checksum: int
    start: ScoreModel | None = None

    def holds_for(self, source: ImageSource) -> bool:
        """Whether the image is still the one that was scored."""
        scored = self.score_map.prepared.source
        same = all(
            getattr(scored, key) == getattr(source, key) for key in ('axes', 'shape', 'region')
        )
        return same and self.checksum == checksum(source)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The clean image number ``number`` of a job."""

    number: int
    scored: Scored
    corrected: Corrected
    report: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """What the training changed in the image number ``number`` of a job."""

    number: int
    change: Change


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """What was removed from image number ``number`` of a job, noise standard deviations."""

    number: int
    image: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """A plane of image number ``number`` as the training would deliver it now.

    Attributes
    ----------
    index : tuple
        Where it lies in the data of the image.
    values : array, float32
        The plane, with its axes as in the data.
    """

    number: int
    index: tuple[int | slice, ...]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at of an image.

    Attributes
    ----------
    place : dict of str to int
        Position on its axes but Y and X, by letter.
    window : Region
        Rows and columns in sight.
    """

    place: dict[str, int]
    window: Region = WHOLE


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """What was measured on calibration frames."""

    calibration: Calibration


Event: TypeAlias = Update | Estimated | Calibrated | Trained | Result | Changed | Live | Residual
Watched: TypeAlias = 'Callable[[int], View | None]'
"""What is looked at now of an image, by its number; None if nothing is."""
Job: TypeAlias = Generator[Event, None, None]
MakeJob: TypeAlias = 'Callable[[Stop], Job]'
"""Makes a job that looks at the flag it is given."""


def engine() -> ModuleType:
    """The pipeline, with PyTorch.

    Raises
    ------
    TrainingError
        If PyTorch is installed but cannot be loaded.
    """
    try:
        from napari_noise2score import pipeline
    except OSError as error:
        raise TrainingError(
            f'PyTorch could not be loaded ({error}). On Windows this happens when Qt was loaded '
            'first: install the newest Microsoft Visual C++ Redistributable, or start napari '
            'with  python -c "import torch, napari; napari.Viewer(); napari.run()"'
        ) from error
    return pipeline


def warm_up() -> None:
    """Load all that a training needs, before it is needed. Takes a few seconds."""
    engine()
    import torch

    # The first optimiser of a process loads PyTorch's compiler, the longest wait of all.
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])


@contextmanager
def one_core_free() -> Iterator[None]:
    """Leave one processor core to the viewer while PyTorch computes in the calling thread.

    With all cores taken, each of PyTorch's parallel loops waits for the one thread whose core
    draws the viewer: the viewer stutters, and the training is slower than with a core less.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before - 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def estimate_job(sources: Sequence[ImageSource]) -> Job:
    """Estimate the noise of every channel."""
    from napari_noise2score.prepare import estimate_channel

    channels = [channel for source in sources for channel in source.channels()]
    for number, channel in enumerate(channels):
        yield Update('estimate', number / len(channels))
        yield Estimated(channel.source, channel.place, estimate_channel(channel))


def calibrate_job(dark: ImageSource | None, flat: ImageSource | None) -> Job:
    """Measure the noise of a camera on its dark frames, its flat field, or both."""
    from napari_noise2score.calibrating import calibrate_images

    yield Update('calibrate', 0.0)
    yield Calibrated(calibrate_images(dark, flat))


def unwatched(number: int) -> None:
    """For a training that nobody looks at."""


def train_job(
    sources: Sequence[ImageSource],
    settings: RunSettings,
    stop: Stop,
    watched: Watched = unwatched,
    lessons: Sequence[Sequence[ImageSource]] = (),
    start: ScoreModel | None = None,
) -> Job:
    """Train a score on all images together, or one for each part, and correct each image.

    ``start`` are weights to begin with, instead of those that the settings name. ``stop`` ends
    the training; what was learned is applied. Stopped before its first step, the job ends without
    a result. Planes that are watched are corrected again and again meanwhile. Where there are
    ``lessons``, parts of each image, they are learned from instead of the whole.
    """
    yield Update('load', 0.0)
    engine()
    with one_core_free():
        yield from _train(sources, settings, stop, watched, lessons, start)


def _train(
    sources: Sequence[ImageSource],
    settings: RunSettings,
    stop: Stop,
    watched: Watched,
    lessons: Sequence[Sequence[ImageSource]],
    start: ScoreModel | None,
) -> Job:
    pipeline, resolved = engine(), settings.resolved()
    from napari_noise2score.apart import Apart, lessons_of, units
    from napari_noise2score.score.train import beginning

    axes = Apart(settings.apart).axes
    ready: dict[ImageSource, Prepared] = {}
    every = list(dict.fromkeys([*sources, *chain.from_iterable(lessons)]))
    for number, source in enumerate(every):
        yield Update('estimate', number / len(every))
        ready[source] = pipeline.prepare(source, settings.noise, axes)
    prepared = [ready[source] for source in sources]
    before = [checksum(source) for source in sources]
    taught = [[ready[part] for part in parts] for parts in lessons]
    for image in prepared:
        yield from _fits_of(image)
    screen = Screen(prepared, resolved, watched)
    found = units(prepared, Apart(settings.apart))
    if resolved.training.trains and not stop.is_set():
        channels = [
            channel
            for unit in found
            for part in lessons_of(unit, prepared, taught)
            for channel in part.channels
        ]
        first = beginning(channels, resolved.training, start)
        yield from _previews(prepared, screen, first, stop)
    models: dict[tuple[int, int], ScoreModel] = {}
    for number, unit in enumerate(found):
        own = [(image, place) for image, places in unit for place in places]
        shown = [prepared[image].channels[place] for image, place in own]
        part = (number + 1, len(found))

        def show(
            at: TrainProgress,
            shown: Sequence[PreparedChannel] = shown,
            part: tuple[int, int] = part,
        ) -> Job:
            yield _training_update(at, settings.seconds, part)
            if at.model is not None:
                yield from screen.show(at.model, shown)

        steps = pipeline.train_score(
            lessons_of(unit, prepared, taught), resolved.training, start=start, stop=stop
        )
        model = yield from _shown(steps, show)
        untrained = resolved.training.trains and not model.training['steps_done']
        if untrained and (not models or settings.init == 'scratch'):
            return
        yield Trained(model, resolved, start)
        models |= dict.fromkeys(own, model)
    for number, image in enumerate(prepared):
        owners = [models[number, place] for place in range(len(image.channels))]
        scored = yield from _score(owners, resolved, image, number, len(prepared))
        result = _result(number, replace(scored, start=start), None, resolved)
        if scored.checksum != before[number]:
            result.report['warnings'].append(
                'The layer was changed while it was learned from: the result is of what it is '
                'now, with the noise of before. Train again if that differs.'
            )
        yield result


def _training_update(at: TrainProgress, seconds: float, part: tuple[int, int]) -> Update:
    """Where the training is of which this is one ``part`` of so many."""
    number, count = part
    left = max(0.0, seconds - at.seconds) + (count - number) * seconds
    fraction = (number - 1 + at.fraction) / count
    risks = at.start_risk, at.risk
    return Update('train', fraction, at.step, at.loss, at.seconds, left, *risks, part)


def _shown(
    steps: Generator[TrainProgress, None, ScoreModel], show: Callable[[TrainProgress], Job]
) -> Generator[Event, None, ScoreModel]:
    """What a training returns, with what ``show`` makes of each of its steps."""
    try:
        while True:
            try:
                at = next(steps)
            except StopIteration as end:
                model: ScoreModel = end.value
                return model
            yield from show(at)
    finally:
        steps.close()


class Screen:
    """Corrects the planes that are looked at while a training runs, in little of its time.

    At once where another plane is looked at, else after some times as long as the last one took.

    Parameters
    ----------
    prepared : sequence of Prepared
        The images.
    settings : DenoiseSettings
        How to correct.
    watched : callable
        What is looked at.
    """

    def __init__(
        self, prepared: Sequence[Prepared], settings: DenoiseSettings, watched: Watched
    ) -> None:
        self._prepared, self._settings, self._watched = prepared, settings, watched
        self._last: list[View | None] = [None] * len(prepared)
        self._due = [0.0] * len(prepared)

    def show(
        self,
        model: ScoreModel | Callable[[], ScoreModel],
        channels: Sequence[PreparedChannel] | None = None,
    ) -> Job:
        """The planes whose turn it is, by a model or by what gives one; of these channels."""
        for number, image in enumerate(self._prepared):
            view = self._watched(number)
            shown = [one for one in image.channels if channels is None or one in channels]
            if view is None or not shown:
                continue
            begin = time.perf_counter()
            if begin < self._due[number] and view == self._last[number]:
                continue
            self._last[number] = view
            now = model() if callable(model) else model
            yield from self._in_view(number, shown, view, now)
            spent = time.perf_counter() - begin
            self._due[number] = begin + _SHOWN_EVERY * len(self._prepared) * spent

    def _in_view(
        self, number: int, channels: Sequence[PreparedChannel], view: View, model: ScoreModel
    ) -> Job:
        for channel in channels:
            plane = channel.channel.plane_at(view.place)
            if plane is not None:
                yield from self.plane(number, channel, plane, model, view.window)

    def plane(
        self,
        number: int,
        channel: PreparedChannel,
        plane: int,
        model: ScoreModel,
        window: Region = WHOLE,
    ) -> Job:
        """A plane of a channel of image ``number``, or a window of it."""
        from napari_noise2score.live import correct_plane

        settings = self._settings
        device = settings.training.device
        values = correct_plane(
            model, channel, plane, settings.correction, window=window, device=device
        )
        yield Live(number, *channel.channel.laid(plane, values, window))


def _previews(
    prepared: Sequence[Prepared], screen: Screen, model: ScoreModel | None, stop: Stop
) -> Job:
    """What comes of the weights that the training begins with, for images of moderate size.

    What is looked at comes first.
    """
    if model is None:
        return
    shown = []
    for live in screen.show(model):
        if isinstance(live, Live):
            shown.append((live.number, live.index))
        yield live
    planes = [
        (number, channel, plane)
        for number, image in enumerate(prepared)
        if image.source.size <= PREVIEWED
        for channel in image.channels
        for plane in range(channel.shape[0])
        if (number, channel.channel.index(plane)) not in shown
    ]
    for done, (number, channel, plane) in enumerate(planes):
        if stop.is_set():
            return
        yield Update('preview', done / len(planes))
        yield from screen.plane(number, channel, plane, model)


def glance_job(
    images: Sequence[tuple[ImageSource, Scored | None, View]], settings: RunSettings
) -> Job:
    """What is looked at of images, corrected from their scores for other noise or another form.

    Nothing of an image that is no longer the one that was scored.
    """
    engine()
    from napari_noise2score.correcting import choose_way

    for number, (source, scored, view) in enumerate(images):
        if scored is None or not scored.holds_for(source):
            continue
        way = choose_way(scored.score_map, settings.noise, settings.correction)
        for position, channel in enumerate(scored.score_map.prepared.channels):
            plane = channel.channel.plane_at(view.place)
            if plane is not None:
                clean = way.plane(position, plane)[1].astype(np.float32)
                yield Live(number, *channel.channel.laid(plane, clean))


def residual_job(images: Sequence[tuple[ImageSource, ImageSource, Sequence[NoiseFamily]]]) -> Job:
    """What was removed from images: noisy, clean, and the noise of each."""
    from napari_noise2score.residual import residual_steps

    for number, (noisy, clean, families) in enumerate(images):

        def update(share: float, number: int = number) -> Update:
            return Update('compare', (number + share) / len(images))

        yield Residual(number, (yield from relay(residual_steps(noisy, clean, families), update)))


def change_job(images: Sequence[tuple[ImageSource, Scored]]) -> Job:
    """What the training changed in images that were corrected."""
    yield Update('load', 0.0)
    engine()
    from napari_noise2score.changed import what_changed

    for number, (_, scored) in enumerate(images):
        settings = scored.settings
        steps = what_changed(
            scored.score_map,
            device=settings.training.device,
            orientations=settings.views(scored.score_map.prepared.source.size),
            start=scored.start,
        )

        def update(tile: PredictProgress, number: int = number) -> Update:
            return Update('correct', (number + tile.fraction) / len(images))

        with one_core_free():
            yield Changed(number, (yield from engine().relay(steps, update)))


def load_job(path: Path) -> Job:
    """Read a model file."""
    yield Update('load', 0.0)
    engine()
    from napari_noise2score.score.model import ScoreModel

    model = ScoreModel.load(path)
    yield Trained(model, RunSettings().resolved(), path=path, loaded=True)


def export_job(model: ScoreModel, path: Path, name: str) -> Job:
    """Write a model as a package for bioimage.io."""
    yield Update('export', 0.0)
    engine()
    from napari_noise2score.export import export_bioimageio

    export_bioimageio(model, path, name=name)


def correct_job(
    images: Sequence[tuple[ImageSource, Scored | None]], latest: Trained, settings: RunSettings
) -> Job:
    """Correct images from their scores; those without a score get one from the latest model."""
    yield Update('load', 0.0)
    engine()
    with one_core_free():
        yield from _correct(images, latest, settings)


def _correct(
    images: Sequence[tuple[ImageSource, Scored | None]], latest: Trained, settings: RunSettings
) -> Job:
    for number, (source, scored) in enumerate(images):
        yield Update('correct', number / len(images))
        trained = latest.settings if scored is None else scored.settings
        trained = replace(trained, training=replace(trained.training, device=settings.device))
        if scored is None or not scored.holds_for(source):
            prepared = engine().prepare(source, settings.noise, trained.apart.axes)
            start = latest.start if scored is None else scored.start
            owners = [latest.model] if scored is None else scored.score_map.models
            scored = yield from _score(
                owners, trained, prepared, number, len(images), foreign=scored is None
            )
            scored = replace(scored, start=start)
        now = replace(
            trained,
            noise=settings.noise,
            correction=settings.correction,
            output=settings.output,
        )
        yield _result(number, scored, settings.noise, now)


def _fits_of(image: Prepared) -> Job:
    for channel in image.channels:
        if channel.fit is not None:
            yield Estimated(image.source, channel.channel.place, channel.fit)


def _score(
    models: Sequence[ScoreModel],
    settings: DenoiseSettings,
    image: Prepared,
    number: int,
    count: int,
    stage: str = 'correct',
    foreign: bool = False,
) -> Generator[Event, None, Scored]:
    begin = time.perf_counter()
    one = len({id(model) for model in models}) == 1
    tiles = engine().score_image(
        models[0] if one else models,
        image,
        device=settings.training.device,
        orientations=settings.views(image.source.size),
        sigma_a=settings.left_in,
        foreign=foreign,
    )

    def update(tile: PredictProgress) -> Update:
        spent = time.perf_counter() - begin
        left = spent * (1 / tile.fraction - 1) if tile.fraction else None
        return Update(stage, (number + tile.fraction) / count, left=left)

    score_map = yield from engine().relay(tiles, update)
    return Scored(score_map, settings, checksum(image.source))


def _result(
    number: int, scored: Scored, noise: NoiseRequest | None, settings: DenoiseSettings
) -> Result:
    pipeline = engine()
    dtype = settings.dtype_of(scored.score_map.prepared.source)
    corrected = pipeline.correct_image(scored.score_map, noise, settings.correction, dtype)
    report = pipeline.describe(corrected, scored.score_map, settings)
    report['seed'] = settings.training.seed
    return Result(number, scored, corrected, report)


def checksum(source: ImageSource) -> int:
    """CRC-32 of the grey levels, of evenly spread planes where the image is large."""
    found = 0
    for channel in source.channels():
        count, rows, columns = channel.shape
        size = max(1, rows * columns * np.dtype(source.data.dtype).itemsize)
        step = max(1, count * size // _CHECKED_BYTES)
        for plane in range(0, count, step):
            found = zlib.crc32(channel.raw_plane(plane).tobytes(), found)
    return found
