"""A plane that is corrected block by block, because it is too large to be held several times.

The values of a pixel follow from its surroundings, but for two numbers that all pixels of a plane
have in common: the range of its noisy values, and the mean light. So the plane is computed twice:
the network gives an estimate of each block, which is stored in a file; then any window of the
plane is made from the files. The result is that of a plane which is corrected at once; only sums
over all pixels are added up in another order.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_noise2score.errors import InputError
from napari_noise2score.images.blank_places import Unchanged
from napari_noise2score.images.block_files import BlockFiles
from napari_noise2score.images.blocks import Window, is_large
from napari_noise2score.images.footprint import plane_at_most
from napari_noise2score.images.storage import as_dtype
from napari_noise2score.memory import LIMIT, in_words
from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.level_bias import LevelBias, MeanShift
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.pipeline.levels import LevelsOnDemand
from napari_noise2score.pipeline.plane_checks import PlaneCheck
from napari_noise2score.pipeline.prepared import Prepared, PreparedChannel
from napari_noise2score.pipeline.residual_parts import ResidualPart, sums_of_parts
from napari_noise2score.progress import relay
from napari_noise2score.score.predict import PredictProgress

Array = NDArray[np.float64]


def in_blocks(channel: PreparedChannel) -> bool:
    """Whether the planes of a channel are large, and can be corrected block by block.

    Offsets of rows and noise of single pixels are measured on whole planes.
    """
    return is_large(channel.shape) and not channel.costly


def check_whole_planes(prepared: Prepared) -> None:
    """Raise `InputError` if large planes have to be corrected at once, and do not fit."""
    for channel in prepared.channels:
        needed, free = plane_at_most(channel.shape), LIMIT.spare()
        if in_blocks(channel) or not is_large(channel.shape) or needed <= free:
            continue
        rows, columns = channel.shape[1:]
        what = 'the noise of its pixels differs' if channel.even else 'its rows have offsets'
        raise InputError(
            f'{channel.channel.name}: {what}, which is measured on whole planes; planes of '
            f'{rows} x {columns} need {in_words(needed)} of memory, but only {in_words(free)} '
            'are free; choose regions (--region, such as Y0:2048,X0:2048), or give the command '
            'more memory (--max-memory)'
        )


@dataclass(frozen=True, eq=False)
class LargePlane:
    """One plane of a channel.

    Attributes
    ----------
    index : int
        Number of the plane.
    levels : LevelsOnDemand
        Clean levels of the channel.
    family, form, bias
        As of `PreparedChannel.correct`.
    files : BlockFiles
        Estimates of the blocks, grey levels, before they have the range and the mean of the noisy
        plane.
    """

    index: int
    levels: LevelsOnDemand
    family: NoiseFamily
    form: Correction
    bias: LevelBias | None
    files: BlockFiles

    @property
    def _channel(self) -> PreparedChannel:
        return self.levels.channel

    def steps(self) -> Generator[PredictProgress, None, None]:
        """Estimate the blocks that have no file."""
        blocks = self.files.blocks
        for number, block in enumerate(blocks):
            if self.files.known(number) is not None:
                yield PredictProgress(number + 1, len(blocks))
                continue

            def of_all(tile: PredictProgress, number: int = number) -> PredictProgress:
                return PredictProgress(number * tile.total + tile.done, len(blocks) * tile.total)

            steps = self.levels.window_steps(self.index, block)
            level = yield from relay(steps, of_all)
            raw, blank = self._raw(block)
            noisy = raw.astype(np.float64)
            there = slice(None) if blank is None else ~blank
            values = noisy.copy()
            if blank is None or not blank.all():
                values[there] = self._channel.estimated(
                    noisy[there], level[there], self.family, self.form, self.bias
                )
            self.files.write(number, values)

    def window(self, window: Window, dtype: DTypeLike) -> NDArray[Any]:
        """Clean values of a window, (Y, X)."""
        values = np.empty(window.shape, dtype)
        for block in self.files.blocks:
            part = block.common(window)
            if part is not None:
                values[part.within(window)] = self._values(part, dtype)[0]
        return values

    def check(self, dtype: DTypeLike) -> PlaneCheck:
        """The check of the plane, if its result has this data type."""
        blocks = self.files.blocks
        return PlaneCheck(
            sum(self._values(block, dtype)[1] for block in blocks),
            Unchanged.of_parts([Unchanged.of(*self._raw(block)) for block in blocks]),
            sums_of_parts(self._residuals, self.family, self._shift.lacked),
        )

    def _raw(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Values of the image in a window, and where they are blank."""
        part = self._channel.part(window)
        raw = part.channel.raw_plane(self.index)
        return raw, part.blanks.of(self.index, raw)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """Lowest and highest clean value."""
        lowest, highest = np.inf, -np.inf
        for block in self.files.blocks:
            raw, blank = self._raw(block)
            there = raw if blank is None else raw[~blank]
            if there.size:
                lowest, highest = min(lowest, there.min()), max(highest, there.max())
        if lowest > highest:
            return -np.inf, np.inf
        return self._channel.ends_of(np.array([lowest, highest], np.float64))

    @cached_property
    def _shift(self) -> MeanShift:
        def parts() -> Iterator[tuple[Array, Array]]:
            for block in self.files.blocks:
                raw, blank = self._raw(block)
                clean = np.clip(self.files.window(block), *self._ends)
                noisy = raw.astype(np.float64)
                there = slice(None) if blank is None else ~blank
                yield noisy[there], clean[there]

        return MeanShift.of(parts, self.family, self._channel.rail)

    def _clean(self, window: Window) -> Array:
        """Clean grey levels of a window, in places that are not blank."""
        clean = np.clip(self.files.window(window), *self._ends)
        return np.clip(self._shift.applied(clean, self.family), *self._ends)

    def _values(self, window: Window, dtype: DTypeLike) -> tuple[NDArray[Any], int]:
        """Values of a window of the result, and how many of them were clipped."""
        raw, blank = self._raw(window)
        clean = self._clean(window)
        if blank is not None:
            clean[blank] = raw[blank]
        values, clipped = as_dtype(clean, dtype)
        if blank is not None:
            values[blank] = raw[blank]
        return values, clipped

    def _residuals(self) -> Iterator[ResidualPart]:
        height, width = self._channel.shape[1:]
        for block in self.files.blocks:
            rows, columns = block
            wider = Window(
                slice(rows.start, min(height, rows.stop + 1)),
                slice(columns.start, min(width, columns.stop + 1)),
            )
            raw, blank = self._raw(wider)
            noisy, clean = raw.astype(np.float64), self._clean(wider)
            if blank is not None:
                noisy[blank] = clean[blank] = np.nan
            yield ResidualPart(noisy, clean, block.shape)
