"""Pairs of frames that show one scene: unchanged places, and changes of light and offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.noise.level_table import LevelTable, extended

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class StillBlocks:
    """Blocks in which two frames differ only by noise, light and offset.

    Attributes
    ----------
    blocks : (rows, columns) bool
        True where nothing else changed.
    shape : (int, int)
        Height and width of the part of the plane that was compared, pixels.
    corner : (int, int)
        First row and column of that part. Outside of it nothing is known, and the value is True.
    """

    blocks: Mask
    shape: tuple[int, int]
    corner: tuple[int, int] = (0, 0)

    def at(self, rows: ArrayLike, columns: ArrayLike) -> Mask:
        """(M, N) bool for M rows and N columns of the plane."""
        axes = zip((rows, columns), self.corner, self.shape, self.blocks.shape, strict=True)
        places, inside = [], []
        for pixels, first, length, count in axes:
            away = np.asarray(pixels, dtype=np.intp) - first
            inside.append((away >= 0) & (away < length))
            places.append(np.clip(away // (length // count), 0, count - 1))
        known = inside[0][:, None] & inside[1]
        return np.asarray(self.blocks[places[0][:, None], places[1]] | ~known)

    @property
    def pixels(self) -> Mask:
        """(Y, X) bool of the part that was compared."""
        (top, left), (height, width) = self.corner, self.shape
        return self.at(np.arange(top, top + height), np.arange(left, left + width))


@dataclass(frozen=True, slots=True, eq=False)
class FramePair:
    """Two frames of one scene with independent noise.

    A clean value ``x`` of the first frame is ``offset + light x`` in the second. Only clean values
    may be converted to the light of another frame, because noise would be scaled too.

    Attributes
    ----------
    first, second : int
        Numbers of the frames.
    offset : float
        Grey levels.
    light : float
        Light of the second frame relative to that of the first, > 0.
    still : StillBlocks or None
        Unchanged places; everywhere if None.
    """

    first: int
    second: int
    offset: float = 0.0
    light: float = 1.0
    still: StillBlocks | None = None

    @property
    def same_light(self) -> bool:
        """Whether the two have the same light and offset."""
        return self.offset == 0 and self.light == 1

    def change(self, table: LevelTable) -> LevelChange | None:
        """The change of the light in clean coordinates; None if there is no change."""
        if self.same_light:
            return None
        return LevelChange(table.mean, table.mean_of(self.offset + self.light * table.clean))


@dataclass(frozen=True, slots=True, eq=False)
class LevelChange:
    """Clean levels of one frame, converted to another frame; unit-noise coordinates.

    Attributes
    ----------
    first, second : (K,) float64
        Levels in the first and in the second frame, both increasing.
    """

    first: Array
    second: Array

    @property
    def reversed(self) -> LevelChange:
        """From the second to the first frame."""
        return LevelChange(self.second, self.first)

    def __call__(self, level: ArrayLike) -> Array:
        """Levels of the first frame, converted to the second; any shape."""
        return extended(np.asarray(level, dtype=np.float64), self.first, self.second)

    def slope(self, level: ArrayLike) -> Array:
        """Derivative of the second level with respect to the first, any shape."""
        centres = (self.first[1:] + self.first[:-1]) / 2
        slopes = np.diff(self.second) / np.diff(self.first)
        return np.interp(np.asarray(level, dtype=np.float64), centres, slopes)


@dataclass(frozen=True, slots=True, eq=False)
class PlanePair:
    """Two planes of a channel that show one scene, in its unit-noise coordinate.

    Of frames under different light the brighter one should be the first: its noise decreases when
    it is converted to the light of the other, and the conversion is almost linear.

    Attributes
    ----------
    first, second : int
        Numbers of the planes.
    change : LevelChange or None
        From the first to the second; None if their light is the same.
    still : StillBlocks or None
        Unchanged places; everywhere if None.
    """

    first: int
    second: int
    change: LevelChange | None = None
    still: StillBlocks | None = None

    @property
    def reversed(self) -> PlanePair:
        """The second plane first."""
        change = None if self.change is None else self.change.reversed
        return PlanePair(self.second, self.first, change, self.still)
