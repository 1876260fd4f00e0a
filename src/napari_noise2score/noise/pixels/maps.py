"""Maps of a camera whose pixels differ (sCMOS): offset and read noise, from dark frames."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from napari_noise2score.noise.calibration_frames import MOST_FRAMES, inliers
from napari_noise2score.noise.digits import digits

Array = NDArray[np.float64]

FEWEST_FRAMES = 20
"""Dark frames from which pixels are looked at one by one."""
_SAMPLE = 65536
"""Pixels by which the levels of frames are compared, and what chance gives is tested."""
_SIGNIFICANT = 5.0
"""Standard errors from which pixels differ."""
_MORE = 1.1
"""Spread of what was measured, over that of chance, from which pixels differ enough to matter."""
_OUTLYING = 1e-7
"""Chance of a variance as large as that of a pixel that stands out by itself."""
_OWN, _OWN_HOT = 24.0, 4.0
"""Squared standard errors from which an offset that is far from the others is its own: of any
pixel, and of one whose noise stands out by itself."""
_LEAST = 1e-6
"""Least variance of a pixel, as a share of the median one."""
_ROUNDED = 1 / 12
"""Variance of what rounding to whole numbers adds to a value."""
_NOTHING = 1e6
"""Variance of a pixel that tells nothing, in usual ones: its value does not count."""


@dataclass(frozen=True, slots=True, eq=False)
class PixelMaps:
    """Offset and read noise of every pixel of a camera.

    Attributes
    ----------
    offset : (Y, X) float32
        Grey level without light.
    variance : (Y, X) float32
        Read-noise variance, squared grey levels, with what is left unknown of the offset.
    frames : int
        Dark frames that they were measured on.
    stuck : int
        Pixels that never changed and are far from the others; their variance stands for a value
        that tells nothing.
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
        """Read noise of the median pixel, grey levels: what the others are brought to."""
        return math.sqrt(float(np.median(self.variance)))

    @property
    def words(self) -> str:
        """What they say, such as ``read noise per pixel: median 1.2, 99th percentile 36``."""
        high = float(np.quantile(self.variance, 0.99)) ** 0.5
        low, top = np.quantile(self.offset, [0.01, 0.99])
        return (
            f'read noise per pixel: median {digits(self.base, 0, 3)}, 99th percentile '
            f'{digits(high, 0, 3)} grey levels; offset {low:.1f} to {top:.1f} in 98 % of them'
        )

    @property
    def sentence(self) -> str:
        """The same as a sentence."""
        told = f'{self.words[0].upper()}{self.words[1:]}'
        stuck = f' {self.stuck} pixels are stuck and are not used.' if self.stuck else ''
        return f'{told}; used as maps for images of {self.shape[0]} x {self.shape[1]}.{stuck}'

    def excess(self, read_noise: float) -> Array:
        """Variance beyond that of a read noise, (Y, X) squared grey levels; below 0 if quieter."""
        return self.variance.astype(np.float64) - read_noise**2

    def part(self, rows: slice, columns: slice) -> PixelMaps:
        """Those of a part of the pixels."""
        return PixelMaps(
            self.offset[rows, columns], self.variance[rows, columns], self.frames, self.stuck
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON: not the maps, but what they are like."""
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
    """Offset and read noise pixel by pixel, where pixels differ by more than chance.

    Parameters
    ----------
    frames : iterable of (Y, X) arrays
        Dark frames of one shape, grey levels; each is asked for once, at most 512 are used and
        repeated ones left out. Needs room for three frames in double precision.

    Returns
    -------
    PixelMaps or None
        None from fewer than 20 frames, and where all pixels have one read noise and one offset.

    Notes
    -----
    The logarithm of a variance of ``n`` frames has the variance ``trigamma((n - 1) / 2)`` by
    chance; what they scatter by beyond it is that of the pixels (after Smyth, Stat. Appl. Genet.
    Mol. Biol. 3:3, 2004, sec. 6.2, with a log-normal prior). Each is moved towards the mean by
    Wiener's factor of the two, and stands for the mean of the variances that it may be: not at
    all where pixels differ widely, all the way where they do not. An offset is moved towards the
    mean by how uncertain it is. What differs between frames as a whole is taken off first.
    Whole numbers do not tell variances below that of their rounding, which images have too.
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
    middle = float(np.median(variance))
    if not middle > 0:
        return None
    variance = np.maximum(variance, _LEAST * middle)
    there = inliers(mean)
    stuck = ~sums.changed & ~there
    freedom = count - 1
    # a single pixel of many that stands out counts, and so does one that is stuck
    far = float(special.chdtri(freedom, _OUTLYING)) / freedom * middle * 2
    spread = _log_spread(variance[~stuck], freedom)
    spread_of_offsets = _offset_spread(mean, variance / count)
    if not (spread or spread_of_offsets or stuck.any() or (variance > far).any()):
        return None
    chance = float(special.polygamma(1, freedom / 2))
    bias = np.log(freedom / 2) - float(special.digamma(freedom / 2))
    log = np.log(variance) + bias
    centre = float(log[~stuck & (variance <= far)].mean()) if not spread else float(log.mean())
    kept = np.where(variance > far, 1.0, spread / (spread + chance))
    variance = np.exp(centre + kept * (log - centre) + kept * chance / 2)
    centre = float(mean[there].mean())
    unknown = variance / count
    own = (mean - centre) ** 2 - unknown
    least = np.where(variance > far, _OWN_HOT, _OWN) * unknown
    prior = np.where(own > least, np.maximum(own, spread_of_offsets), spread_of_offsets)
    kept = np.divide(prior, prior + unknown)
    offset = centre + kept * (mean - centre)
    variance = np.where(stuck, _NOTHING * middle, variance + kept * unknown)
    return PixelMaps(
        offset.astype(np.float32), variance.astype(np.float32), count, int(stuck.sum())
    )


class _Sums:
    """Mean and variance of frames, each seen once."""

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
    """Variance of the logarithms of the variances themselves; 0 if they are one."""
    chance = float(special.polygamma(1, freedom / 2))
    found = float(np.log(variance).var())
    error = 2 * chance * (2 / variance.size) ** 0.5
    least = max(_MORE * chance, chance + _SIGNIFICANT * error)
    return found - chance if found > least else 0.0


def _offset_spread(mean: Array, unknown: Array) -> float:
    """Variance of the offsets themselves; 0 if they are one as far as can be told."""
    kept = inliers(mean) & (unknown <= np.median(unknown) * 4)
    away = mean[kept] - mean[kept].mean()
    chance = unknown[kept]
    found = float((away**2).mean() - chance.mean())
    error = float((2 * chance**2).mean() / away.size) ** 0.5
    return found if found > max(_SIGNIFICANT * error, (_MORE - 1) * chance.mean()) else 0.0
