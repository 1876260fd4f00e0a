"""The job that writes reports of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_noise2score._widget.jobs.events import Job, Reported, Stage, Update
from napari_noise2score._widget.jobs.loading import load_torch, one_core_free
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.progress import relay

if TYPE_CHECKING:
    from napari_noise2score.report.findings import MeasureProgress


class ToReport(NamedTuple):
    """A page to write, on a noisy image and its clean one, and how the clean one was made."""

    page: Path
    noisy: ImageSource
    clean: ImageSource
    record: dict[str, Any]


def report_job(images: Sequence[ToReport], request: NoiseRequest, device: str) -> Job:
    """Write a page on each of the images."""
    yield Update(Stage.LOAD, 0.0)
    load_torch()
    from napari_noise2score.report.writing import report_steps

    for number, (page, noisy, clean, record) in enumerate(images):

        def update(done: MeasureProgress, number: int = number) -> Update:
            return Update(Stage.REPORT, (number + done.fraction) / len(images))

        with one_core_free():
            steps = report_steps(page, noisy, clean, request, record, device)
            verdict = yield from relay(steps, update)
        yield Reported(number, page, tuple(verdict.doubtful))
