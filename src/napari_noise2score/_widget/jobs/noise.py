"""Jobs that estimate the noise of layers, or measure it on calibration frames."""

from __future__ import annotations

from collections.abc import Sequence

from napari_noise2score._widget.jobs.events import Calibrated, Estimated, Job, Noted, Stage, Update
from napari_noise2score._widget.jobs.loading import load_torch
from napari_noise2score.errors import InputError
from napari_noise2score.images.blank_places import constant_channel_message, constant_image_message
from napari_noise2score.images.source import ImageSource


def estimate_job(sources: Sequence[ImageSource]) -> Job:
    """Estimate the noise of every channel."""
    load_torch()
    from napari_noise2score.pipeline.prepare import estimate_channel
    from napari_noise2score.pipeline.refine import by_pretrained

    refine = by_pretrained()
    channels = [channel for source in sources for channel in source.channels()]
    constant = []
    for number, channel in enumerate(channels):
        yield Update(Stage.ESTIMATE, number / len(channels))
        fit = estimate_channel(channel, refine)
        if fit is None:
            constant.append(channel)
        else:
            yield Estimated(channel.source, channel.place, fit)
    if len(constant) == len(channels):
        raise InputError(f'{constant[0].source.name}: {constant_image_message(constant)}')
    if constant:
        yield Noted(
            tuple(f'{one.source.name}: {constant_channel_message(one)}' for one in constant)
        )


def calibrate_job(dark: ImageSource | None, flat: ImageSource | None) -> Job:
    """Measure the noise of a camera on dark frames, on a flat field, or on both."""
    from napari_noise2score.pipeline.calibration import calibrate_images

    yield Update(Stage.CALIBRATE, 0.0)
    yield Calibrated(calibrate_images(dark, flat))
