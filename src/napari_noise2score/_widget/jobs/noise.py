"""The noise of layers: estimated, or measured on calibration frames."""

from __future__ import annotations

from collections.abc import Sequence

from napari_noise2score._widget.jobs.events import Calibrated, Estimated, Job, Update
from napari_noise2score.images.source import ImageSource


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
