"""Maps of a camera whose pixels differ (sCMOS): offset and read noise, from dark frames."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_noise2score.noise.calibration_frames import MOST_FRAMES, inliers
from napari_noise2score.noise.digits import digits

Array = NDArray[np.float64]

FEWEST_FRAMES = 20
"""Minimum number of dark frames to measure single pixels."""
_SAMPLE = 65536
"""Number of pixels with which the levels of frames are compared."""
_SIGNIFICANT = 5.0
"""Standard errors from which pixels differ."""
_MORE = 1.1
"""Measured spread, relative to that of identical pixels, from which differences are relevant."""
_OUTLYING = 1e-7
"""Probability of a variance above which a pixel counts as an outlier."""
_OWN, _OWN_HOT = 24.0, 4.0
"""Squared standard errors from which the offset of a pixel is not shrunk to the mean: of any
pixel, and of one whose variance is an outlier."""
_LEAST = 1e-6
"""Minimum of the variance of a pixel, relative to the median."""
_ROUNDED = 1 / 12
"""Variance that rounding to integers adds."""
_NOTHING = 1e6
"""Variance of a stuck pixel, relative to the median: its value does not count."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelMaps:
    """Offset and read noise of every pixel of a camera.

    Attributes
    ----------
    offset : (Y, X) float32
        Grey level without light.
    variance : (Y, X) float32
        Read-noise variance, squared grey levels, plus the variance of the error of the offset.
    frames : int
        Number of dark frames that were measured.
    stuck : int
        Number of pixels that never changed and are far from the others; their variance is so large
        that their values do not count.
    """

    offset: NDArray[np.float32]
    variance: NDArray[np.float32]
    frames: int
    stuck: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X)."""
        rows, columns = self.variance.shape
        return rows, columns

    @property
    def base(self) -> float:
        """Read noise of the median pixel, grey levels; the others are resampled with it."""
        return math.sqrt(float(np.median(self.variance)))

    @property
    def words(self) -> str:
        """Description, such as ``read noise per pixel: median 1.2, 99th percentile 36``."""
        high = float(np.quantile(self.variance, 0.99)) ** 0.5
        low, top = np.quantile(self.offset, [0.01, 0.99])
        return (
            f'read noise per pixel: median {digits(self.base, 0, 3)}, 99th percentile '
            f'{digits(high, 0, 3)} grey levels; offset {low:.1f} to {top:.1f} in 98 % of them'
        )

    @property
    def sentence(self) -> str:
        """The description as a sentence."""
        description = f'{self.words[0].upper()}{self.words[1:]}'
        stuck = f' {self.stuck} pixels are stuck and are not used.' if self.stuck else ''
        return (
            f'{description}; used as maps for images of {self.shape[0]} x {self.shape[1]}.{stuck}'
        )

    def excess(self, read_noise: float) -> Array:
        """Variance beyond that of a read noise, (Y, X) squared grey levels; below 0 if quieter."""
        return self.variance.astype(np.float64) - read_noise**2

    def part(self, rows: slice, columns: slice) -> PixelMaps:
        """Maps of a part of the pixels."""
        return PixelMaps(
            self.offset[rows, columns], self.variance[rows, columns], self.frames, self.stuck
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON: a summary of the maps."""
        percentiles = (1, 50, 99)
        noise = np.sqrt(np.percentile(self.variance, percentiles))
        offset = np.percentile(self.offset, percentiles)
        names = [f'percentile_{number}' for number in percentiles]
        return {
            'shape': list(self.shape),
            'frames': self.frames,
            'stuck': self.stuck,
            'read_noise': dict(zip(names, map(float, noise), strict=True)),
            'offset': dict(zip(names, map(float, offset), strict=True)),
        }


def measure_pixels(frames: Iterable[NDArray[Any]]) -> PixelMaps | None:
    """Offset and read noise of each pixel, if pixels differ significantly.

    Parameters
    ----------
    frames : iterable of (Y, X) arrays
        Dark frames of one shape, grey levels; each is read once. At most 512 are used, and
        repeated ones are excluded. It needs memory for three frames in double precision.

    Returns
    -------
    PixelMaps or None
        None for fewer than 20 frames, and if all pixels have the same read noise and offset.

    Notes
    -----
    The logarithm of a variance of ``n`` frames has the variance ``trigamma((n - 1) / 2)`` by
    chance; the variance beyond it is that of the pixels (after Smyth, Stat. Appl. Genet. Mol.
    Biol. 3:3, 2004, sec. 6.2, with a log-normal prior). Each logarithm is shrunk to the mean by
    Wiener's factor of the two variances, and converted to the posterior mean of the variance: it
    is hardly shrunk if pixels differ widely, and becomes the mean if they do not differ. Offsets
    are shrunk to their mean according to their standard error. The mean level of each frame is
    subtracted first. Integer data do not show variances below that of their rounding, which images
    contain too.
    """
    sums = _Sums()
    for number, frame in enumerate(frames):
        if number == MOST_FRAMES:
            break
        sums.add(frame)
    if sums.count < FEWEST_FRAMES:
        return None
    mean, variance, count = sums.mean, sums.variance, sums.count
    if sums.whole:
        variance = np.maximum(variance, _ROUNDED)
    median = float(np.median(variance))
    if not median > 0:
        return None
    variance = np.maximum(variance, _LEAST * median)
    there = inliers(mean)
    stuck = ~sums.changed & ~there
    freedom = count - 1
    # a single outlier counts, and so does a single stuck pixel
    far = float(scipy.special.chdtri(freedom, _OUTLYING)) / freedom * median * 2
    spread = _log_spread(variance[~stuck], freedom)
    spread_of_offsets = _offset_spread(mean, variance / count)
    if not (spread or spread_of_offsets or stuck.any() or (variance > far).any()):
        return None
    chance = float(scipy.special.polygamma(1, freedom / 2))
    bias = np.log(freedom / 2) - float(scipy.special.digamma(freedom / 2))
    log = np.log(variance) + bias
    centre = float(log[~stuck & (variance <= far)].mean()) if not spread else float(log.mean())
    shrinkage = np.where(variance > far, 1.0, spread / (spread + chance))
    variance = np.exp(centre + shrinkage * (log - centre) + shrinkage * chance / 2)
    centre = float(mean[there].mean())
    unknown = variance / count
    own = (mean - centre) ** 2 - unknown
    least = np.where(variance > far, _OWN_HOT, _OWN) * unknown
    prior = np.where(own > least, np.maximum(own, spread_of_offsets), spread_of_offsets)
    shrinkage = np.divide(prior, prior + unknown)
    offset = centre + shrinkage * (mean - centre)
    variance = np.where(stuck, _NOTHING * median, variance + shrinkage * unknown)
    return PixelMaps(
        offset.astype(np.float32), variance.astype(np.float32), count, int(stuck.sum())
    )


class _Sums:
    """Mean and variance of frames; each frame is read once."""

    def __init__(self) -> None:
        self.count = 0
        self.whole = True
        self.changed: Any = False
        self._seen: set[bytes] = set()
        self._first: Array | None = None
        self._sum: Any = 0.0
        self._square: Any = 0.0

    def add(self, frame: NDArray[Any]) -> None:
        digest = hashlib.blake2b(frame.tobytes(), digest_size=16).digest()
        if digest in self._seen:
            return
        self._seen.add(digest)
        values = frame.astype(np.float64)
        self.whole = self.whole and bool((values == np.rint(values)).all())
        if self._first is None:
            self._first = values
        away = values - self._first
        self.changed = self.changed | (away != 0)
        some = np.sort(away.ravel()[:: -(-away.size // _SAMPLE)])
        cut = len(some) // 10
        away -= float(some[cut : len(some) - cut].mean())
        self._sum = self._sum + away
        self._square = self._square + away**2
        self.count += 1

    @property
    def mean(self) -> Array:
        assert self._first is not None  # there are frames
        return np.asarray(self._first + self._sum / self.count)

    @property
    def variance(self) -> Array:
        own = (self._square - self._sum**2 / self.count) / (self.count - 1)
        return np.asarray(np.maximum(own, 0.0))


def _log_spread(variance: Array, freedom: int) -> float:
    """Variance of the logarithms of the true variances; 0 if it is not significant."""
    chance = float(scipy.special.polygamma(1, freedom / 2))
    measured = float(np.log(variance).var())
    error = 2 * chance * (2 / variance.size) ** 0.5
    least = max(_MORE * chance, chance + _SIGNIFICANT * error)
    return measured - chance if measured > least else 0.0


def _offset_spread(mean: Array, unknown: Array) -> float:
    """Variance of the true offsets; 0 if it is not significant."""
    valid = inliers(mean) & (unknown <= np.median(unknown) * 4)
    away = mean[valid] - mean[valid].mean()
    chance = unknown[valid]
    measured = float((away**2).mean() - chance.mean())
    error = float((2 * chance**2).mean() / away.size) ** 0.5
    return measured if measured > max(_SIGNIFICANT * error, (_MORE - 1) * chance.mean()) else 0.0
