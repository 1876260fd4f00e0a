"""Detection of frames that show one scene: except for light and offset they differ only by noise.

Motion changes some places more than others; blocks with motion are excluded. Frames that differ in
most places, by motion, a jump of the stage, another scene or a dark frame, are not a pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.noise.correlation import RELEVANT
from napari_noise2score.noise.estimate.binning import Sample, neighbour_mean
from napari_noise2score.noise.estimate.displacement import displaced
from napari_noise2score.noise.estimate.frame_light import Line, light_line
from napari_noise2score.noise.estimate.outliers import away_from, unclipped
from napari_noise2score.noise.fill import filled
from napari_noise2score.noise.pairs import FramePair, StillBlocks
from napari_noise2score.noise.patterns.offsets import offsets_of, shared_noise
from napari_noise2score.noise.patterns.shared import Offsets

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLOCKS = 8
"""Minimum number of blocks along each side of an image that are tested for motion."""
SMALLEST_BLOCK, BLOCK = 16, 32
"""Minimum and maximum side of a block, pixels; all larger images have blocks of the maximum
side."""

_REACH = 2
"""Number of following frames among which a partner is searched, so that a dark frame or a flash is
skipped."""
_SEEN = 0.25
"""Minimum share of valid pixels of a block that is tested for motion."""
_MOVING = 0.1
_WIDE = 0.2
_MOVING_OVERALL = 0.035
"""Share of the variance explained by motion, over all blocks together, above which frames are not
a pair."""
_MOST_MOVING = 0.5
"""Maximum share of the blocks with noise that may be excluded."""
_GENTLE = 0.4
"""Change of the light, relative to the mean light, up to which no better partner is searched: a
factor of 1.5."""
_FURTHEST = 1.6
"""Change of the light beyond which frames are not compared: a factor of nine."""


@dataclass(slots=True, eq=False)
class Compared:
    """Two frames of one scene and their noise.

    Attributes
    ----------
    pair : FramePair
        Numbers of the frames, and their relative light.
    first, second : (Y, X) float64
        The frames.
    mean : (Y, X) float64
        Mean of the two frames; slightly lower if their light differs, so that the noise of the
        difference is that of this level.
    difference : (Y, X) float64
        First minus second, without the change of light and offset; its variance is twice that of a
        frame of the level ``mean``.
    mask : (Y, X) bool
        Places where the difference is noise only.
    line : Line
        Change of light and offset.
    moving : float
        Share of the blocks with noise that were excluded.
    shared : Offsets or None
        Offsets of rows and columns of the first frame minus those of the second; None if they
        have none. They are not in ``difference``.
    """

    pair: FramePair
    first: Array
    second: Array
    mean: Array
    difference: Array
    mask: Mask
    line: Line
    moving: float
    shared: Offsets | None = None
    _level: Array | None = None

    @property
    def similar_light(self) -> bool:
        """Whether the light of the two frames is similar."""
        return abs(self.line.change) <= _GENTLE

    @property
    def level(self) -> Array:
        """Mean of the neighbours of each pixel in `mean`, (Y, X)."""
        if self._level is None:
            self._level = neighbour_mean(self.mean)
        return self._level

    def level_at(self, mean: Array) -> None:
        """Set another image, (Y, X), as the mean of the two frames."""
        self.mean, self._level = mean, None

    def sample(self, square: Array, mask: Mask) -> Sample:
        """Measurements at the pixels of a mask."""
        return Sample(self.level[mask], self.mean[mask], square[mask])


def matched(frames: Sequence[Array], saturation: float) -> Iterator[Compared]:
    """Every frame with a following frame of the same scene, if there is one among the next two.

    A frame with a similar light is preferred.

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
            candidate = compare(number, other, frames[number], frames[other], saturation)
            if best is None or (candidate is not None and candidate.similar_light):
                best = candidate
            if best is not None and best.similar_light:
                break
        if best is not None:
            yield best


def compare(
    number: int, other: int, first: Array, second: Array, saturation: float
) -> Compared | None:
    """Compare two frames (Y, X); None if they do not show one scene in most places.

    NaN marks places without image. They may contain such places.
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
    # Each frame is scaled to the light of the mean. With q the square of half the change, the
    # variance of photon noise is 2 (1 - q) times that of a frame, that of read noise 2 (1 + q)
    # times. So it is 2 (1 + q) times that of a level lower by 2 q / (1 + q) of the light.
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
        # row noise is correlated over distances as large as motion
        weight = mask / max(float(difference[mask].var()) - rows.variance, 1e-300)
        level = difference - offsets_of(difference, weight, rows).plane
        blocks, moving, motion = _still(level, mean, noisy, side)
        if moving > _MOST_MOVING or motion > _MOVING_OVERALL:
            return None
    if displaced(first, second, mask):
        return None
    still = StillBlocks(blocks, (first.shape[0], first.shape[1]))
    if not blocks.all():
        mask &= still.pixels
    if not mask.any():
        return None
    offset, light = (0.0, 1.0) if line.same_light else (line.offset, line.light)
    pair = FramePair(number, other, offset, light, None if blocks.all() else still)
    return Compared(pair, first, second, mean, difference, mask, line, moving)


def _side(difference: Array) -> int:
    """Side of the blocks, pixels: smaller in a small image, unless the noise is correlated.

    A small block of correlated noise has too few independent values to detect motion.
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
    return BLOCK if usual > RELEVANT else side


def _still(difference: Array, mean: Array, noisy: Mask, side: int) -> tuple[Mask, float, float]:
    """Blocks of a frame difference that are noise only, share of the others, and remaining motion.

    The remaining motion is the share of the variance that it explains in the blocks of noise only.
    ``noisy`` marks the blocks that contain noise: padded frames have blocks without noise.

    Motion adds the gradient of the image to the difference, local bleaching adds its intensity. A
    structure that appears or disappears adds patches that are wider than any correlation of the
    noise.
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
    """Blocks (rows, height, columns, width); a remainder at the edges is excluded."""
    rows, columns = (max(1, size // side) for size in image.shape)
    height, width = image.shape[0] // rows, image.shape[1] // columns
    cut = image[: rows * height, : columns * width]
    return np.asarray(cut.reshape(rows, height, columns, width))


def _centred(image: Array, side: int) -> Array:
    """Blocks without their means."""
    cut = _blocks(image, side)
    return np.asarray(cut - cut.mean(axis=(1, 3), keepdims=True))


def _wide_correlation(noise: Array) -> Array:
    """Mean covariance at 5 to 8 pixels, by block; correlation of detector noise does not reach so
    far.
    """
    lags = [lag for lag in (5, 6, 7, 8) if lag < min(noise.shape[1], noise.shape[3])]
    down = [(noise[:, lag:] * noise[:, :-lag]).mean(axis=(1, 3)) for lag in lags]
    across = [(noise[..., lag:] * noise[..., :-lag]).mean(axis=(1, 3)) for lag in lags]
    if not lags:
        return np.zeros((noise.shape[0], noise.shape[2]))
    return np.asarray(np.mean(down + across, axis=0))
