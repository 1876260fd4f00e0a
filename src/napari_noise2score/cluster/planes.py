"""One image whose planes are computed by several workers, each of which writes its own shards."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby, product
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.cluster.parcel import packed, unpacked
from napari_noise2score.cluster.scheduler import Cluster, Remembered
from napari_noise2score.cluster.stored_image import StoredImage
from napari_noise2score.cluster.target import SharedOmeZarr, check_shared
from napari_noise2score.images.ome_zarr.layout import Layout, Sizes, layout_for
from napari_noise2score.images.ome_zarr.location import is_ome_zarr
from napari_noise2score.images.ome_zarr.pyramid import Window
from napari_noise2score.images.ome_zarr.writer import Writer, WrittenLimits
from napari_noise2score.images.storage import allocate
from napari_noise2score.images.unfinished import UnfinishedImage
from napari_noise2score.pipeline.clean_image import CleanImage
from napari_noise2score.pipeline.correct import CorrectionPlan, ImageCorrection
from napari_noise2score.pipeline.results import Denoised, Progress
from napari_noise2score.pipeline.stages import checked
from napari_noise2score.settings import DenoiseSettings

_UNIT_BYTES = 1 << 23
"""Bytes of the planes that a worker returns at once, about, where it does not write them."""

Plane: TypeAlias = tuple[int, int]
"""Number of a channel, and number of its plane."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Planes that one worker computes, and the parts of the array that they fill.

    The ``windows`` are shards, which differ in rows and columns only; the first of them has the
    number ``first`` among all. There are none if the planes are returned.
    """

    planes: tuple[Plane, ...]
    windows: tuple[Window, ...] = ()
    first: int = 0

    @property
    def numbered(self) -> Iterator[tuple[int, Window]]:
        """The windows with their numbers."""
        return enumerate(self.windows, self.first)


@dataclass(frozen=True, slots=True)
class Done:
    """What a worker returns of a unit: checks of its planes, limits, or the planes themselves."""

    checks: list[Any]
    limits: WrittenLimits | None = None
    values: list[NDArray[Any]] = field(default_factory=list)


def computed_on(
    cluster: Cluster,
    stored: StoredImage,
    path: Path,
    result: Denoised,
    settings: DenoiseSettings,
    sizes: Sizes | None = None,
    unfinished: UnfinishedImage | None = None,
) -> Generator[Progress | Denoised, None, None]:
    """Compute an image on a cluster.

    Parameters
    ----------
    cluster : Cluster
        The workers.
    stored : StoredImage
        The noisy image, as the workers open it.
    path : path or URL
        Where the result goes. The shards of an OME-Zarr are written by the workers.
    result : Denoised
        The result, with planes that are computed on demand.
    settings : DenoiseSettings
        Settings of the result.
    sizes : Sizes, optional
        Sizes of the parts of an OME-Zarr.
    unfinished : UnfinishedImage, optional
        Where an OME-Zarr is written until it is complete, to continue from there after an
        interruption; it has begun.

    Yields
    ------
    Progress
        At least once a second.
    Denoised
        The result with a complete report. The image is an array, or a `SharedOmeZarr`, which has
        to be finished before the next event.

    Raises
    ------
    Exception
        The first error of a worker.
    """
    clean: Any = result.image
    if not isinstance(clean, CleanImage):  # what has no noise is computed already
        yield result
        return
    correction, begin = clean.correction, time.perf_counter()
    if not is_ome_zarr(path):
        image = allocate(correction.shape, correction.dtype)

        def keep(unit: Unit, done: Done) -> None:
            for (channel, index), values in zip(unit.planes, done.values, strict=True):
                correction.channels[channel].write(index, values, image)

        units = list(_in_turn(correction))
        yield from _planes(cluster, stored, correction, units, keep)
        yield checked(result, settings, begin=begin, image=image)
        return
    lies = layout_for(path, clean.axes, clean.dtype, clean.shape, sizes)
    with closing(SharedOmeZarr(path, lies, clean.shape, unfinished)) as target:

        def note(unit: Unit, done: Done) -> None:
            assert done.limits is not None  # the worker wrote the planes
            target.writer.include_limits(done.limits)
            for number, window in unit.numbered:
                target.note(number, window)

        units = [unit for unit in _by_shards(correction, lies) if not _is_there(unit, target)]
        yield from _planes(cluster, stored, correction, units, note, target)
        yield from _smaller(cluster, target)
        yield checked(result, settings, begin=begin, image=target)


def _planes(
    cluster: Cluster,
    stored: StoredImage,
    correction: ImageCorrection,
    units: Sequence[Unit],
    accept: Callable[[Unit, Done], object],
    target: SharedOmeZarr | None = None,
) -> Generator[Progress, None, None]:
    """Compute all planes, which the workers write into the ``target`` if there is one."""
    source = correction.source
    score_map = replace(correction.plan.score_map, evaluations=())
    plan = replace(correction.plan, score_map=score_map)
    own = None if target is None else (target.writer, target.folder)
    shared = pickle.dumps((stored, packed((plan, correction.dtype, own), source)))
    done = 0
    for one in cluster.results(compute, iter(enumerate(units)), shared):
        if one is not None:
            number, outcome = one
            done += 1
            if isinstance(outcome, Exception):
                raise outcome
            correction.take_checks(outcome.checks, new=True)
            accept(units[number], outcome)
        yield Progress('correct', done / len(units))


def _smaller(cluster: Cluster, target: SharedOmeZarr) -> Generator[Progress, None, None]:
    """The smaller levels of the pyramid, one after the other."""
    writer = target.writer
    for level in range(1, len(target.lies.shapes)):
        parts = list(enumerate((level, window) for window in writer.smaller(level)))
        shared = pickle.dumps((writer, target.folder))
        for one in cluster.results(reduce, iter(parts), shared):
            if one is not None and isinstance(one[1], Exception):
                raise one[1]
            yield Progress('correct', 1.0)


def _in_turn(correction: ImageCorrection) -> Iterator[Unit]:
    """Units of planes that are returned."""
    planes = [(n, i) for n, one in enumerate(correction.channels) for i in range(one.shape[0])]
    rows, columns = correction.channels[0].shape[1:]
    step = max(1, _UNIT_BYTES // (rows * columns * correction.dtype.itemsize))
    for first in range(0, len(planes), step):
        yield Unit(tuple(planes[first : first + step]))


def _by_shards(correction: ImageCorrection, lies: Layout) -> Iterator[Unit]:
    """Units of planes that fill shards of an array; no two units share a shard."""
    first = 0
    for among, windows in groupby(lies.shards(), key=lambda window: window[:-2]):
        places = product(*(range(part.start, part.stop) for part in among))
        planes = [correction.place_of(dict(zip(lies.axes, at, strict=False))) for at in places]
        unit = Unit(tuple(planes), tuple(windows), first)
        first += len(unit.windows)
        yield unit


def _is_there(unit: Unit, target: SharedOmeZarr) -> bool:
    """Whether all parts of a unit are there from an earlier run."""
    return all(target.holds(number, window) for number, window in unit.numbered)


def _opened(shared: bytes) -> tuple[CorrectionPlan, np.dtype[Any], Any]:
    stored, parcel = pickle.loads(shared)
    _, source = stored.open()
    plan, dtype, own = unpacked(parcel, source)
    return plan, dtype, own


_JOB = Remembered(_opened)
_WRITER = Remembered(pickle.loads)


def compute(shared: bytes, unit: Unit) -> Done:
    """Compute the planes of a unit, and write them where that is wanted; on a worker."""
    plan, dtype, own = _JOB.of(shared)
    correction = ImageCorrection(plan, dtype)
    values = [correction.plane(number, index) for number, index in unit.planes]
    checks = correction.new_checks()
    if own is None:
        return Done(checks, values=values)
    writer, folder = own
    check_shared(folder)
    lengths = [part.stop - part.start for part in unit.windows[0][:-2]]
    block = np.stack(values).reshape([*lengths, *values[0].shape])
    for window in unit.windows:
        rows, columns = window[-2:]
        writer.write(window, block[..., rows, columns])
    return Done(checks, writer.limits)


def reduce(shared: bytes, part: tuple[int, Window]) -> None:
    """Fill a part of a smaller level; on a worker."""
    writer: Writer
    writer, folder = _WRITER.of(shared)
    check_shared(folder)
    writer.reduce(*part)
