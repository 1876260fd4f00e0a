"""The stages of the pipeline that need a network: train, score, and a result with its report."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from datetime import UTC, datetime

from napari_noise2score.errors import InputError
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.correct import correct_image
from napari_noise2score.pipeline.domain import Seen, beaten_by_pretrained
from napari_noise2score.pipeline.evening import clean_levels
from napari_noise2score.pipeline.levelling import levelled
from napari_noise2score.pipeline.origin import origin_of
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.pipeline.record import describe, versions
from napari_noise2score.pipeline.results import Denoised, ScoreMap
from napari_noise2score.pipeline.selection import VIEWS, Judge, judge_channel
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.predict import PredictProgress
from napari_noise2score.score.progress import TrainProgress
from napari_noise2score.score.train import Stop, train
from napari_noise2score.score.training_files import TrainingFolder
from napari_noise2score.settings import DenoiseSettings, TrainSettings
from napari_noise2score.steps import relay


def train_score_steps(
    prepared: Sequence[Prepared],
    settings: TrainSettings | None = None,
    *,
    start: ScoreModel | None = None,
    stop: Stop | None = None,
    folder: TrainingFolder | None = None,
) -> Generator[TrainProgress, None, ScoreModel]:
    """Train one score model on all channels of all images together; see `api.train_score`.

    The state of the training is saved in the ``folder``, if there is one, and the training
    continues from it if the folder says so.

    What is yielded, returned and raised: `napari_noise2score.score.train.train`.
    """
    device = settings.device if settings is not None else 'auto'
    prepared = [levelled(image, device) for image in prepared]
    channels = [channel for image in prepared for channel in image.channels]
    saved = None
    if folder is not None:
        saved = folder.next(origin_of(prepared, settings or TrainSettings(), start))
    model = yield from train(channels, settings, start=start, stop=stop, saved=saved)
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


def score_image_steps(
    model: ScoreModel | Sequence[ScoreModel],
    prepared: Prepared,
    *,
    device: str = 'auto',
    orientations: int = 8,
    sigma_a: float | None = None,
    foreign: bool = False,
) -> Generator[PredictProgress, None, ScoreMap]:
    """Apply a score model to an image, tile by tile; see `api.score_image`."""
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
    """Apply a score model to an image as the settings say; see `score_image_steps`."""
    return score_image_steps(
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
