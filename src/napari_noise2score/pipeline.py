"""The one road from noisy images to clean ones.

image -> channels -> noise model -> unit-noise coordinate -> score model -> clean level D
-> Tweedie correction -> clean image and report. The widget, the command line and scripts all
call `denoise_steps` or `denoise`, or its four stages: `prepare`, `train_score`, `score_image`,
`correct_image`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from napari_noise2score.apart import Apart, lessons_of, units
from napari_noise2score.correcting import correct_image
from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.judge import VIEWS, Judge, judge_channel
from napari_noise2score.misfit import Seen, beaten_by_pretrained
from napari_noise2score.noise.choose import NoiseRequest
from napari_noise2score.noise.correct import Correction
from napari_noise2score.prepare import Prepared, prepare
from napari_noise2score.provenance import describe, versions
from napari_noise2score.results import Denoised, ScoreMap
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress, predict_clean
from napari_noise2score.score.settings import TrainProgress, TrainSettings
from napari_noise2score.score.train import Stop, train
from napari_noise2score.steps import finish, relay

MOST_VIEWS = 8
"""Views of the image that are averaged after a training."""
QUICK_PIXELS = 1 << 20
"""Pixels of all views together where nothing is trained: about a second on a CPU."""
FLOAT, SOURCE = OUTPUTS = ('float32', 'source')
"""Dtypes of a clean image: single precision, or that of the image."""


@dataclass(frozen=True, slots=True)
class DenoiseSettings:
    """Everything that `denoise` can be told.

    Parameters
    ----------
    noise : NoiseRequest
        Noise model; estimated where not given.
    correction : Correction
        Form of the correction.
    training : TrainSettings
        How to train.
    orientations : int, optional
        Turned and mirrored views that are averaged in the correction, 1 to 8; 8 if not given, and
        as many as `QUICK_PIXELS` allow where nothing is trained, for a result at once.
    sigma_a : float, optional
        Perturbation left in at inference, noise standard deviations, 0 to 2; chosen by the risk
        if not given, and 0 where nothing is trained.
    output : str
        ``'float32'``, or ``'source'`` for the dtype of the image: whole numbers are rounded, and
        clipped to the range of the dtype.
    apart : Apart
        What gets a score of its own: nothing, so that one is trained on all images together, or
        each image, channel, or time point. Each is trained for the time of the settings.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    noise: NoiseRequest = field(default_factory=NoiseRequest)
    correction: Correction = Correction.AUTO
    training: TrainSettings = field(default_factory=TrainSettings)
    orientations: int | None = None
    sigma_a: float | None = None
    output: str = FLOAT
    apart: Apart = Apart.NONE

    def __post_init__(self) -> None:
        if self.correction not in list(Correction):
            raise InputError(
                f'correction {self.correction!r} is unknown; known are {", ".join(Correction)}'
            )
        object.__setattr__(self, 'correction', Correction(self.correction))
        if self.orientations is not None and not 1 <= self.orientations <= 8:
            raise InputError(f'orientations are {self.orientations}; 1 to 8 are accepted')
        if self.sigma_a is not None and not 0 <= self.sigma_a <= 2:
            raise InputError(f'sigma_a is {self.sigma_a}; 0 to 2 are accepted')
        if self.apart not in list(Apart):
            raise InputError(f'apart {self.apart!r} is unknown; known are {", ".join(Apart)}')
        object.__setattr__(self, 'apart', Apart(self.apart))
        if self.output not in OUTPUTS:
            raise InputError(f'output {self.output!r} is unknown; known are {", ".join(OUTPUTS)}')

    def dtype_of(self, source: ImageSource) -> np.dtype[Any]:
        """Dtype of the clean image of a source."""
        return np.dtype(np.float32 if self.output == FLOAT else source.data.dtype)

    def views(self, pixels: int) -> int:
        """Turned and mirrored views that are averaged, for an image of so many pixels."""
        most = MOST_VIEWS if self.training.trains else QUICK_PIXELS // max(1, pixels)
        return self.orientations or min(max(1, most), MOST_VIEWS)

    @property
    def left_in(self) -> float | None:
        """Perturbation at inference; None if the risk is to choose it."""
        return 0.0 if self.sigma_a is None and not self.training.trains else self.sigma_a

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {
            'noise': self.noise.to_dict(),
            'correction': str(self.correction),
            'training': self.training.to_dict(),
            'orientations': self.orientations,
            'sigma_a': self.sigma_a,
            'output': self.output,
            'apart': str(self.apart),
        }


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
        steps = predict_clean(
            own, channel, device=device, orientations=orientations, sigma_a=judge.sigma_a
        )

        def of_all(tile: PredictProgress, number: int = number) -> PredictProgress:
            return PredictProgress(number * tile.total + tile.done, tile.total * count)

        levels.append((yield from relay(steps, of_all)))
        judges.append(judge)
    warning = None
    if foreign:

        def at_the_end(tile: PredictProgress) -> PredictProgress:
            return PredictProgress(count, count)

        comparison = beaten_by_pretrained(
            judges, device=device, orientations=min(VIEWS, orientations)
        )
        warning = yield from relay(comparison, at_the_end)
    warnings = (warning,) if warning else ()
    checksum = prepared.source.checksum()
    return ScoreMap(prepared, tuple(levels), tuple(judges), models, checksum, warnings)


def denoise_steps(
    images: Sequence[ImageSource],
    settings: DenoiseSettings | None = None,
    *,
    lessons: Sequence[Sequence[ImageSource]] = (),
    model: ScoreModel | None = None,
    stop: Stop | None = None,
) -> Generator[Progress, None, list[Denoised]]:
    """Denoise images, yielding progress; what shares a score is trained on together.

    Parameters
    ----------
    images : sequence of ImageSource
        Noisy images.
    settings : DenoiseSettings, optional
        What to do.
    lessons : sequence of sequence of ImageSource, optional
        Parts of each of the images to learn from, instead of the whole.
    model : ScoreModel, optional
        A trained score, to apply instead of training one.
    stop : object with ``is_set()``, optional
        When set, the training ends, and what it has learned is applied.

    Yields
    ------
    Progress
        At least once a step of the training and once a tile.

    Returns
    -------
    list of Denoised
        One for each image.
    """
    settings = settings or DenoiseSettings()
    if not images:
        raise InputError('no image is given; at least one is needed')
    begin = time.perf_counter()
    prepared = []
    for number, source in enumerate(images):
        yield Progress('estimate', number / len(images))
        prepared.append(prepare(source, settings.noise, settings.apart.axes))
    models: list[list[ScoreModel]] = []
    if model is None:
        models = yield from _train_units(prepared, lessons, settings, stop)
    results = []
    for number, image in enumerate(prepared):
        tiles = score_image(
            models[number] if model is None else model,
            image,
            device=settings.training.device,
            orientations=settings.views(image.source.size),
            sigma_a=settings.left_in,
            foreign=model is not None,
        )

        def of_all(tile: PredictProgress, number: int = number) -> Progress:
            return Progress('correct', (number + tile.fraction) / len(prepared))

        score_map = yield from relay(tiles, of_all)
        dtype = settings.dtype_of(image.source)
        corrected = correct_image(score_map, None, settings.correction, dtype)
        report = describe(corrected, score_map, settings)
        report['seconds'] = round(time.perf_counter() - begin, 3)
        results.append(Denoised(corrected, score_map, report))
    return results


def _train_units(
    prepared: Sequence[Prepared],
    lessons: Sequence[Sequence[ImageSource]],
    settings: DenoiseSettings,
    stop: Stop | None,
) -> Generator[Progress, None, list[list[ScoreModel]]]:
    """A model for each channel of each image."""
    taught = [
        [prepare(part, settings.noise, settings.apart.axes) for part in parts] for parts in lessons
    ]
    found = units(prepared, settings.apart)
    models: dict[tuple[int, int], ScoreModel] = {}
    for number, unit in enumerate(found):

        def of_all(at: TrainProgress, number: int = number) -> Progress:
            return Progress('train', (number + at.fraction) / len(found), at)

        steps = train_score(lessons_of(unit, prepared, taught), settings.training, stop=stop)
        model = yield from relay(steps, of_all)
        models |= {(image, place): model for image, places in unit for place in places}
    return [
        [models[image, place] for place in range(len(one.channels))]
        for image, one in enumerate(prepared)
    ]


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
    return finish(denoise_steps([source], settings), on_progress)[0]
