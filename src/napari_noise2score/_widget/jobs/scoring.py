"""The steps that trainings and corrections share: a score, and a result from it."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from napari_noise2score._widget.jobs.events import (
    Event,
    Failed,
    Job,
    Result,
    Scored,
    Stage,
    Update,
)
from napari_noise2score._widget.jobs.loading import engine
from napari_noise2score.errors import InputError
from napari_noise2score.noise.choose import NoiseRequest

if TYPE_CHECKING:
    from napari_noise2score.prepare import Prepared
    from napari_noise2score.score.model import ScoreModel
    from napari_noise2score.score.predict import PredictProgress
    from napari_noise2score.settings import DenoiseSettings


def score(
    models: Sequence[ScoreModel],
    settings: DenoiseSettings,
    image: Prepared,
    number: int,
    count: int,
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
        return Update(Stage.CORRECT, (number + tile.fraction) / count, left=left)

    score_map = yield from engine().relay(tiles, update)
    return Scored(score_map, settings)


def tolerant(image: Job, number: int, count: int) -> Job:
    """The work on image ``number`` of ``count``: if it fails, the others are not lost with it."""
    if count == 1:
        yield from image
        return
    try:
        yield from image
    except (InputError, OSError, MemoryError, RuntimeError) as error:
        error.__cause__ = error.__context__ = None  # their tracebacks hold the arrays of the image
        yield Failed(number, error.with_traceback(None))


def result_of(
    number: int, scored: Scored, noise: NoiseRequest | None, settings: DenoiseSettings
) -> Result:
    pipeline = engine()
    dtype = settings.dtype_of(scored.score_map.prepared.source)
    corrected = pipeline.correct_image(scored.score_map, noise, settings.correction, dtype)
    report = pipeline.describe(corrected, scored.score_map, settings)
    report['seed'] = settings.training.seed
    return Result(number, scored, corrected, report)
