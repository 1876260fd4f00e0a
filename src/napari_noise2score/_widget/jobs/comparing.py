"""Jobs that show the removed noise and the effect of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_noise2score._widget.jobs.events import Changed, Job, Residual, Scored, Stage, Update
from napari_noise2score._widget.jobs.loading import load_torch, one_core_free
from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.progress import relay

if TYPE_CHECKING:
    from napari_noise2score.score.predict import PredictProgress


def residual_job(
    images: Sequence[tuple[ImageSource, ImageSource, Sequence[NoiseFamily | None]]],
) -> Job:
    """Removed noise of images, each given as noisy image, clean image and noise models."""
    from napari_noise2score.pipeline.residual import residual_steps

    for number, (noisy, clean, families) in enumerate(images):

        def update(share: float, number: int = number) -> Update:
            return Update(Stage.COMPARE, (number + share) / len(images))

        yield Residual(number, (yield from relay(residual_steps(noisy, clean, families), update)))


def change_job(images: Sequence[tuple[ImageSource, Scored | None]]) -> Job:
    """Effect of the training on corrected images.

    Raises
    ------
    InputError
        If an image has no score, or has changed since.
    """
    yield Update(Stage.LOAD, 0.0)
    known = [scored for source, scored in images if scored and scored.is_valid_for(source)]
    if len(known) < len(images):
        raise InputError('Some ticked layers have no up-to-date result; press Train first.')
    load_torch()
    from napari_noise2score.analysis.training_effect import training_difference

    for number, scored in enumerate(known):
        settings = scored.settings
        steps = training_difference(
            scored.score_map,
            device=settings.training.device,
            orientations=settings.views(scored.score_map.prepared.source.size),
            start=scored.start,
        )

        def update(tile: PredictProgress, number: int = number) -> Update:
            return Update(Stage.COMPARE, (number + tile.fraction) / len(known))

        with one_core_free():
            yield Changed(number, (yield from relay(steps, update)))
