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
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.choose import NoiseRequest
from napari_noise2score.noise.correct import Correction, LocalScore
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.prepare import Prepared, PreparedChannel, prepare
from napari_noise2score.provenance import describe, versions
from napari_noise2score.report import ResidualCheck, ResidualSums
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress, predict_clean
from napari_noise2score.score.train import Stop, TrainProgress, TrainSettings, train

P = TypeVar('P')
Q = TypeVar('Q')
R = TypeVar('R')


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
    orientations : int
        Turned and mirrored views that are averaged in the correction, 1 to 8.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    noise: NoiseRequest = field(default_factory=NoiseRequest)
    correction: Correction = Correction.AUTO
    training: TrainSettings = field(default_factory=TrainSettings)
    orientations: int = 8

    def __post_init__(self) -> None:
        if self.correction not in list(Correction):
            raise InputError(
                f'correction {self.correction!r} is unknown; known are {", ".join(Correction)}'
            )
        object.__setattr__(self, 'correction', Correction(self.correction))
        if not 1 <= self.orientations <= 8:
            raise InputError(f'orientations are {self.orientations}; 1 to 8 are accepted')

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {
            'noise': self.noise.to_dict(),
            'correction': str(self.correction),
            'training': self.training.to_dict(),
            'orientations': self.orientations,
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


@dataclass(frozen=True, slots=True, eq=False)
class ScoreMap:
    """The learned score of an image, from which any correction follows without the network.

    Attributes
    ----------
    prepared : Prepared
        The image and the noise models of the training's coordinate.
    clean : tuple of (N, Y, X) float32
        For each channel the clean level ``D`` in its unit-noise coordinate; the score there is
        ``(D - t) / v(D)``.
    """

    prepared: Prepared
    clean: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """A clean image.

    Attributes
    ----------
    image : array
        Shape and axes of the source, float32, its grey levels.
    families : tuple of NoiseFamily
        Noise corrected for, channel by channel.
    correction : Correction
        Form of the correction.
    checks : tuple of ResidualCheck
        What the residual says, channel by channel.
    """

    image: NDArray[np.float32]
    families: tuple[NoiseFamily, ...]
    correction: Correction
    checks: tuple[ResidualCheck, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Denoised:
    """What `denoise` returns for one image.

    Attributes
    ----------
    image : array
        The clean image: shape and axes of the source, float32, its grey levels.
    corrected : Corrected
        The image with its noise models and residual checks.
    score_map : ScoreMap
        For other corrections without the network.
    model : ScoreModel
        The trained score.
    report : dict
        Settings, noise, checks, versions; plain values.
    """

    corrected: Corrected
    score_map: ScoreMap
    model: ScoreModel
    report: dict[str, Any]

    @property
    def image(self) -> NDArray[np.float32]:
        """The clean image."""
        return self.corrected.image


def train_score(
    prepared: Sequence[Prepared],
    settings: TrainSettings | None = None,
    *,
    stop: Stop | None = None,
) -> Generator[TrainProgress, None, ScoreModel]:
    """Train one score on all channels of all images together.

    See `napari_noise2score.score.train.train` for what is yielded, returned and raised.
    """
    channels = [channel for image in prepared for channel in image.channels]
    curves = [channel.curve() for channel in channels]
    correlations = [channel.correlation for channel in channels]
    model = yield from train(channels, curves, settings, correlations=correlations, stop=stop)
    model.data = {
        'images': [
            {
                'name': image.source.name,
                'shape': list(image.source.shape),
                'axes': image.source.axes,
                'noise': [channel.family.to_dict() for channel in image.channels],
            }
            for image in prepared
        ],
        'versions': versions(),
    }
    return model


def score_image(
    model: ScoreModel,
    prepared: Prepared,
    *,
    device: str = 'auto',
    orientations: int = 8,
) -> Generator[PredictProgress, None, ScoreMap]:
    """Apply a score model to an image, tile by tile."""
    levels = []
    count = len(prepared.channels)
    for number, channel in enumerate(prepared.channels):
        steps = predict_clean(
            model, channel, channel.curve(), device=device, orientations=orientations
        )

        def of_all(tile: PredictProgress, number: int = number) -> PredictProgress:
            return PredictProgress(number * tile.total + tile.done, tile.total * count)

        levels.append((yield from relay(steps, of_all)))
    return ScoreMap(prepared, tuple(levels))


def correct_image(
    score_map: ScoreMap,
    noise: NoiseRequest | None = None,
    correction: Correction = Correction.AUTO,
) -> Corrected:
    """Clean image from a learned score; takes about a second for four megapixels.

    Parameters
    ----------
    score_map : ScoreMap
        The learned score of the image.
    noise : NoiseRequest, optional
        Noise to correct for, if another than in training; what it leaves open is taken from the
        estimate.
    correction : Correction
        Form of the correction.
    """
    form = Correction.STABILISED if correction is Correction.AUTO else correction
    source = score_map.prepared.source
    image = np.empty(source.shape, np.float32)
    families, checks = [], []
    for channel, clean in zip(score_map.prepared.channels, score_map.clean, strict=True):
        family = _family_of(channel, noise)
        sums = ResidualSums(channel.correlation.neighbours)
        for index in range(channel.shape[0]):
            noisy = channel.channel.plane(index).astype(np.float64)
            score = LocalScore.from_clean(channel.coordinate, channel.table, clean[index])
            result = family.correct(noisy, score, form)
            channel.channel.write(index, result, image)
            sums.add(noisy, result, family)
        families.append(family)
        checks.append(sums.check())
    return Corrected(image, tuple(families), form, tuple(checks))


def _family_of(channel: PreparedChannel, noise: NoiseRequest | None) -> NoiseFamily:
    if noise is None:
        return channel.family
    known = noise.known()
    if known is not None:
        return known
    if channel.fit is None:
        raise InputError(
            'the noise could not be estimated from this image; give every noise parameter'
        )
    return noise.resolve(channel.fit)


def denoise_steps(
    images: Sequence[ImageSource],
    settings: DenoiseSettings | None = None,
    *,
    model: ScoreModel | None = None,
    stop: Stop | None = None,
) -> Generator[Progress, None, list[Denoised]]:
    """Denoise images, yielding progress; one score is trained on all of them together.

    Parameters
    ----------
    images : sequence of ImageSource
        Noisy images.
    settings : DenoiseSettings, optional
        What to do.
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
        prepared.append(prepare(source, settings.noise))
    if model is None:
        steps = train_score(prepared, settings.training, stop=stop)
        model = yield from relay(steps, lambda at: Progress('train', at.fraction, at))
    results = []
    for number, image in enumerate(prepared):
        tiles = score_image(
            model,
            image,
            device=settings.training.device,
            orientations=settings.orientations,
        )

        def of_all(tile: PredictProgress, number: int = number) -> Progress:
            return Progress('correct', (number + tile.fraction) / len(prepared))

        score_map = yield from relay(tiles, of_all)
        corrected = correct_image(score_map, None, settings.correction)
        report = describe(corrected, score_map, model, settings)
        report['seconds'] = round(time.perf_counter() - begin, 3)
        results.append(Denoised(corrected, score_map, model, report))
    return results


def relay(steps: Generator[P, None, R], convert: Callable[[P], Q]) -> Generator[Q, None, R]:
    """Run a generator within another: yield its progress converted, return what it returns."""
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            result: R = end.value
            return result
        yield convert(progress)


def finish(steps: Generator[Any, None, R], on_progress: Callable[[Any], None] | None = None) -> R:
    """Run a generator to its end and return what it returns."""
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            result: R = end.value
            return result
        if on_progress is not None:
            on_progress(progress)


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
        Its ``image`` has the shape, axes and grey levels of the input, float32.

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
