"""Which frames show one scene: apart from light and offset they differ by noise alone.

Motion changes some places more than others; blocks where it shows are left out. Frames that
differ in most places, by motion, a jump of the stage, another scene or a dark frame, are no pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.correlation import NOTICED
from napari_noise2score.noise.estimate.binning import Sample, neighbour_mean
from napari_noise2score.noise.estimate.frame_light import Line, light_line
from napari_noise2score.noise.estimate.outliers import away_from, unclipped
from napari_noise2score.noise.fill import filled
from napari_noise2score.noise.pairs import FramePair, StillBlocks
from napari_noise2score.noise.patterns.offsets import offsets_of, shared_noise

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLOCKS = 8
"""Blocks along each side of an image, at least, that are tested for motion."""
SMALLEST_BLOCK, BLOCK = 16, 32
"""Their least and greatest side in pixels; the greatest is that of all larger images."""

_REACH = 2
"""Frames ahead among which a partner is looked for, so that a dark one or a flash is stepped
over."""
_SEEN = 0.25
"""Least share of a block that must be image, so that it says whether it moved."""
_MOVING = 0.1
_WIDE = 0.2
_MOVING_OVERALL = 0.035
"""Share explained by motion, over all blocks together, that rules a pair out."""
_MOST_MOVING = 0.5
"""Share of the blocks with noise that may be left out."""
_GENTLE = 0.4
"""Change of the light, as a share of the mean one, up to which no better partner is looked for: a
factor of one and a half."""
_FURTHEST = 1.6
"""Change beyond which frames have little in common: a factor of nine."""


@dataclass(slots=True, eq=False)
class Compared:
    """Two frames of one scene and their noise.

    Attributes
    ----------
    pair : FramePair
        Which frames, and the light between them.
    first, second : (Y, X) float64
        The frames.
    mean : (Y, X) float64
        Mean of the two frames; a little less where their light differs, so that the noise of the
        difference is that of this level.
    difference : (Y, X) float64
        First minus second, without what light and offset changed; its variance is twice that of
        a frame of the level ``mean``.
    mask : (Y, X) bool
        Where it is noise alone.
    line : Line
        What light and offset changed.
    moving : float
        Share of the blocks with noise that were left out.
    """

    pair: FramePair
    first: Array
    second: Array
    mean: Array
    difference: Array
    mask: Mask
    line: Line
    moving: float
    _level: Array | None = None

    @property
    def gentle(self) -> bool:
        """Whether the light of the two is much the same."""
        return abs(self.line.change) <= _GENTLE

    @property
    def level(self) -> Array:
        """Mean of the neighbours in the mean of the two frames, (Y, X)."""
        if self._level is None:
            self._level = neighbour_mean(self.mean)
        return self._level

    def level_at(self, mean: Array) -> None:
        """Take another image, (Y, X), for the mean of the two frames."""
        self.mean, self._level = mean, None

    def sample(self, square: Array, mask: Mask) -> Sample:
        """Measurements at the pixels of a mask."""
        return Sample(self.level[mask], self.mean[mask], square[mask])


def matched(frames: Sequence[Array], saturation: float) -> Iterator[Compared]:
    """Every frame with the next one that shows the same scene, if there is one near.

    One under much the same light is taken before one under another.

    Parameters
    ----------
    frames : sequence of (Y, X) float64
        In time order, none repeated; NaN where there is no image.
    saturation : float
        Grey level at and above which values are clipped; ``inf`` if none are.
    """
    for number in range(len(frames)):
        best: Compared | None = None
        for other in range(number + 1, min(number + _REACH, len(frames) - 1) + 1):
            found = compare(number, other, frames[number], frames[other], saturation)
            if best is None or (found is not None and found.gentle):
                best = found
            if best is not None and best.gentle:
                break
        if best is not None:
            yield best


def compare(
    number: int, other: int, first: Array, second: Array, saturation: float
) -> Compared | None:
    """Compare two frames (Y, X); None if they do not show one scene in most places.

    NaN is no image. Each of the two may be.
    """
    blank = np.isnan(first) | np.isnan(second)
    there = away_from(blank)
    if not there.any():
        return None
    first, second = filled(first), filled(second)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    mask = unclipped(np.maximum(first, second), saturation) & there
    difference, mean = first - second, (first + second) / 2
    line = light_line(difference, mean, mask)
    if abs(line.change) > _FURTHEST:
        return None
    raw = difference.copy()
    changed = line.base + line.change * mean
    difference -= changed
    # Each is scaled to the light of the mean. With q the square of half the change, the variance
    # of photon noise is 2 (1 - q) times that of a frame, that of read noise 2 (1 + q) times. So
    # it is 2 (1 + q) times that of a level lower by 2 q / (1 + q) of the light.
    surplus = 1 + line.change**2 / 4
    difference /= surplus**0.5
    mean -= changed * (line.change / 2) / surplus
    side = _side(difference)
    noisy = np.abs(_centred(raw, side)).max(axis=(1, 3)) > 0
    noisy &= _blocks(there.astype(np.float64), side).mean(axis=(1, 3)) >= _SEEN
    blocks, moving, motion = _still(difference, mean, noisy, side)
    if moving > _MOST_MOVING or motion > _MOVING_OVERALL:
        rows = shared_noise([difference], [mask.astype(np.float64)], [mean], 1.0)
        if not rows.detected:
            return None
        # offsets that whole rows have in common reach as far as what moves does
        weight = mask / max(float(difference[mask].var()) - rows.variance, 1e-300)
        level = difference - offsets_of(difference, weight, rows).plane
        blocks, moving, motion = _still(level, mean, noisy, side)
        if moving > _MOST_MOVING or motion > _MOVING_OVERALL:
            return None
    still = StillBlocks(blocks, (first.shape[0], first.shape[1]))
    if not blocks.all():
        mask &= still.pixels
    if not mask.any():
        return None
    offset, light = (0.0, 1.0) if line.alike else (line.offset, line.light)
    pair = FramePair(number, other, offset, light, None if blocks.all() else still)
    return Compared(pair, first, second, mean, difference, mask, line, moving)


def _side(difference: Array) -> int:
    """Side of the blocks, pixels: in a small image smaller ones, unless the noise is correlated.

    A block of correlated noise holds too few independent values to tell motion by.
    """
    side = int(np.clip(min(difference.shape) // BLOCKS, SMALLEST_BLOCK, BLOCK))
    if side == BLOCK:
        return side
    noise = _centred(difference, side)
    power = (noise**2).mean(axis=(1, 3))
    down = (noise[:, 1:] * noise[:, :-1]).mean(axis=(1, 3))
    across = (noise[..., 1:] * noise[..., :-1]).mean(axis=(1, 3))
    some = power > 0
    if not some.any():
        return side
    usual = max(float(np.median(beside[some] / power[some])) for beside in (down, across))
    return BLOCK if usual > NOTICED else side


def _still(difference: Array, mean: Array, noisy: Mask, side: int) -> tuple[Mask, float, float]:
    """Which blocks of a frame difference hold noise alone, and what share of the others there is.

    Last comes the share of motion in those that hold noise alone.

    ``noisy`` says which hold any: where frames are padded there is none.

    Something that moves leaves its gradient in the difference, something that bleaches unlike
    the rest its intensity; what appears or vanishes leaves patches wider than any correlation
    of the noise.
    """
    smooth = ndimage.gaussian_filter(mean, 1.5)
    images = difference, smooth, *np.gradient(smooth)
    noise, *causes = (_centred(image, side) for image in images)
    power = (noise**2).mean(axis=(1, 3))
    normal = np.array([[(a * b).mean(axis=(1, 3)) for a in causes] for b in causes])
    common = np.array([(a * noise).mean(axis=(1, 3)) for a in causes])
    inverse = np.linalg.pinv(np.moveaxis(normal, (0, 1), (2, 3)), hermitian=True)
    explained = np.einsum('aij,bij,ijab->ij', common, common, inverse)
    usable = np.maximum(power, 1e-300)
    explained, wide = explained / usable, _wide_correlation(noise) / usable
    still = noisy & (explained < _MOVING) & (wide < _WIDE)
    moving = 1 - int(still.sum()) / max(int(noisy.sum()), 1)
    if not still.any():
        return still, moving, 1.0
    per_block = noise.shape[1] * noise.shape[3]
    motion = max(explained[still].mean() - 3 / per_block, wide[still].mean())
    return still, moving, float(motion)


def _blocks(image: Array, side: int) -> Array:
    """(rows, height, columns, width): blocks; what is left over is cut off."""
    rows, columns = (max(1, size // side) for size in image.shape)
    height, width = image.shape[0] // rows, image.shape[1] // columns
    cut = image[: rows * height, : columns * width]
    return np.asarray(cut.reshape(rows, height, columns, width))


def _centred(image: Array, side: int) -> Array:
    """Blocks without their means."""
    cut = _blocks(image, side)
    return np.asarray(cut - cut.mean(axis=(1, 3), keepdims=True))


def _wide_correlation(noise: Array) -> Array:
    """Mean covariance at distances of 5 to 8 pixels, which no detector noise reaches, by block."""
    lags = [lag for lag in (5, 6, 7, 8) if lag < min(noise.shape[1], noise.shape[3])]
    down = [(noise[:, lag:] * noise[:, :-lag]).mean(axis=(1, 3)) for lag in lags]
    across = [(noise[..., lag:] * noise[..., :-lag]).mean(axis=(1, 3)) for lag in lags]
    if not lags:
        return np.zeros((noise.shape[0], noise.shape[2]))
    return np.asarray(np.mean(down + across, axis=0))
