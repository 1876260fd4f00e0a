"""Results that are saved while they are computed, or computed as a whole."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_noise2score._widget.jobs.events import Job, Result, Scored, Stage, Update
from napari_noise2score.images.acquisition import NOTHING_STATED, Acquisition
from napari_noise2score.images.footprint import check_footprint
from napari_noise2score.images.ome_zarr import Inherited, layout_for, write_steps
from napari_noise2score.images.ome_zarr.metadata import NOTHING_INHERITED
from napari_noise2score.images.storage import allocate
from napari_noise2score.progress import relay, seconds_left

if TYPE_CHECKING:
    from napari_noise2score.pipeline.clean_image import CleanImage
    from napari_noise2score.pipeline.results import Denoised
    from napari_noise2score.settings import DenoiseSettings


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a result is saved, and what its metadata state.

    Attributes
    ----------
    path : Path
        The OME-Zarr; there is nothing of that name.
    acquisition : Acquisition
        Sizes.
    inherited : Inherited
        Origin, and how it is displayed.
    """

    path: Path
    acquisition: Acquisition = NOTHING_STATED
    inherited: Inherited = NOTHING_INHERITED


def saved(
    result: Denoised,
    scored: Scored,
    destination: Destination,
    settings: DenoiseSettings,
    place: tuple[int, int],
) -> Job:
    """Save a result that is computed when it is read, and yield it.

    Its report, which is saved with it, has the checks of all planes. If the job is closed before
    its end, nothing of the result is left.

    Parameters
    ----------
    result : Denoised
        The result; nothing of it was read yet.
    scored : Scored
        Its score.
    destination : Destination
        Where it is saved.
    settings : DenoiseSettings
        Its settings, for the report.
    place : (int, int)
        Number of the image, and number of images.
    """
    from napari_noise2score.pipeline.stages import checked

    begin, image = time.perf_counter(), _clean_image(result)
    complete = result

    def record() -> dict[str, Any]:
        nonlocal complete
        complete = checked(result, settings, begin=begin)
        return complete.report

    def update(written: float) -> Update:
        share = image.done(written)
        left = seconds_left(begin, share)
        return Update(Stage.SAVE, (place[0] + share) / place[1], left=left)

    steps = write_steps(
        destination.path,
        image.read_steps,
        image.axes,
        layout_for(destination.path, image.axes, image.dtype, image.shape),
        destination.acquisition,
        inherited=destination.inherited,
        record=record,
    )
    yield update(0.0)
    yield from relay(steps, update)
    yield Result(result.number, scored, complete.corrected, complete.report, destination.path)


def computed(
    result: Denoised, scored: Scored, settings: DenoiseSettings, place: tuple[int, int]
) -> Job:
    """Compute a result that is computed when it is read as a whole, and yield it.

    The parameters are those of `saved`.
    """
    from napari_noise2score.pipeline.stages import checked

    begin, image = time.perf_counter(), _clean_image(result)
    source = result.score_map.prepared.source
    check_footprint(source, image.dtype)
    values = allocate(image.shape, image.dtype)
    sides = zip(image.axes, image.shape, strict=True)
    every = list(product(*(range(1 if letter in 'YX' else side) for letter, side in sides)))
    for done, others in enumerate(every):
        index = tuple(
            slice(None) if letter in 'YX' else at
            for letter, at in zip(image.axes, others, strict=True)
        )

        def update(share: float, done: int = done) -> Update:
            fraction = (done + share) / len(every)
            left = seconds_left(begin, fraction)
            return Update(Stage.CORRECT, (place[0] + fraction) / place[1], left=left)

        values[index] = yield from relay(image.read_steps(index), update)
    complete = checked(result, settings, begin=begin)
    corrected = replace(complete.corrected, image=values)
    yield Result(result.number, scored, corrected, complete.report)


def _clean_image(result: Denoised) -> CleanImage:
    image: Any = result.image
    assert hasattr(image, 'read_steps'), 'a result that is computed when it is read is needed'
    clean: CleanImage = image
    return clean
