"""Photon-transfer evidence: noise variance against intensity, binned by level.

Pixels are binned by a level that does not contain their own noise (the mean of their
neighbours), so that the mean intensity and the mean variance of a bin lie on the photon-transfer
line without bias, however noisy a pixel is. Binning by the pixel's own value would tilt the line.

Every frame (or pair of frames) may have its own offset: `offsets` estimates them as the shifts
between the lines of the frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_noise2score.noise.line_fit import ParallelFit, fit_line, fit_parallel, reweighted
from napari_noise2score.noise.photon_transfer import Method, PhotonTransfer, variance_weight
from napari_noise2score.noise.robust_weights import absolute

Array = NDArray[np.float64]

SECOND_DIFFERENCE = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6.0
"""Filter of unit energy that removes functions that are linear in y or x, and keeps the noise."""

_THIRD_SCATTER: dict[Method, float] = {
    # k-statistic of three or more frames; filtered residual cubed: 15 over the squared response
    'frame differences': 6.0 * 4,
    'single frames': 15 / float((SECOND_DIFFERENCE**3).sum()) ** 2,
}
_QUANTILES = np.unique(np.concatenate([np.linspace(0, 1, 41), 1 - 0.5 ** np.arange(2, 12)]))
_ROUNDING = 1e-9
"""Difference of keys, relative to the largest one, below which they are equal."""
_FEWEST, _ENOUGH, _FEWEST_BINS = 8, 50, 10
"""Minimum number of samples of a bin, in a small image and in others, and the number of bins that
a small image has if that leaves enough samples for each."""
_GROUP = 32
"""Number of samples in a mean of a median of means."""
_SIGNIFICANT = 5.0
"""Standard deviations by which a significant chi-square exceeds its mean, and a slope zero."""
_ROUNDS = 6
"""Number of fits of the lines of all frames; the first one has no weights."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Measurements at the N usable pixels of one frame or one pair of frames.

    Attributes
    ----------
    key : (N,) float64
        Level for the binning, without the noise of the pixel itself, grey levels.
    level : (N,) float64
        Intensity of the pixel, grey levels.
    variance : (N,) float64
        Squared noise of the pixel, squared grey levels.
    third : (N,) float64 or None
        Cubed noise of the pixel, cubed grey levels.
    """

    key: Array
    level: Array
    variance: Array
    third: Array | None = None

    def lowered(self, by: float) -> Sample:
        """The same with an offset that is lower by ``by`` grey levels."""
        return Sample(self.key - by, self.level - by, self.variance, self.third)


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Bins of equal count by key, finer towards bright levels."""

    edges: Array

    @classmethod
    def of(cls, key: Array, quantiles: Array | None = None) -> Bins:
        """Bins for these keys, by default as many as they are enough for.

        Keys that differ by rounding alone are equal, as those of few photons are: the rounding
        depends on the value of the pixel itself, and would sort the pixels by it.
        """
        if not key.size:
            return cls(np.array([0.0, 1.0]))
        edges = np.quantile(key, _apart(key.size) if quantiles is None else quantiles)
        if (step := _ROUNDING * float(np.abs(key).max())) > 0:
            edges = (np.round(edges / step) - 1) * step
        return cls(np.unique(edges))

    def __len__(self) -> int:
        return max(len(self.edges) - 1, 1)

    def index(self, key: Array) -> NDArray[np.intp]:
        """Number of the bin of every key."""
        number = np.searchsorted(self.edges, key, side='right') - 1
        return np.asarray(np.clip(number, 0, len(self) - 1))

    def groups(self, index: NDArray[np.intp], values: Array) -> list[Array]:
        """The values of every bin, in their order, given the numbers of their bins."""
        limits = np.cumsum(np.bincount(index, minlength=len(self)))[:-1]
        short = index.astype(np.uint16)  # sorted much faster
        return np.split(values[np.argsort(short, kind='stable')], limits)

    def means(self, key: Array, *values: Array) -> tuple[Array, ...]:
        """Mean of each of the values by bin, and last the number of samples by bin."""
        index = self.index(key)
        count = np.bincount(index, minlength=len(self)).astype(np.float64)
        totals = (np.bincount(index, weights=each, minlength=len(self)) for each in values)
        return *(total / np.maximum(count, 1) for total in totals), count

    def median_of_means(self, key: Array, values: Array) -> Array:
        """Median over groups of neighbouring samples of the group's mean, by bin; NaN if empty.

        It does not change if fewer than half of the groups contain an outlier. Unlike a median of
        single squares, it hardly depends on the shape of the distribution (Lugosi & Mendelson,
        2019).
        """
        medians = np.full(len(self), np.nan)
        for place, inside in enumerate(self.groups(self.index(key), values)):
            groups = len(inside) // _GROUP
            if groups:
                medians[place] = np.median(inside[: groups * _GROUP].reshape(-1, _GROUP).mean(1))
        return medians


def _apart(size: int) -> Array:
    """Those of `_QUANTILES` between which there are enough of so many samples."""
    apart = _least(size) / size
    kept = [0.0]
    for quantile in _QUANTILES:
        if kept[-1] + apart <= quantile <= 1 - apart:
            kept.append(float(quantile))
    return np.array([*kept, 1.0])


def _least(size: int) -> float:
    """Minimum number of samples of a bin, given the number of all."""
    return float(np.clip(size / _FEWEST_BINS, _FEWEST, _ENOUGH))


def robust_line(sample: Sequence[Sample]) -> tuple[float, float, float]:
    """Slope, intercept and minimum variance of an outlier-resistant photon-transfer line.

    A first approximation, used to detect outliers: a line of least absolute deviations through the
    median of means of each bin. The minimum variance is that of the lowest bin. If most groups of
    a bin have no photon, its median is zero and tells nothing: its mean is used.
    """
    key, level, variance = (
        np.concatenate([getattr(s, name) for s in sample]) for name in ('key', 'level', 'variance')
    )
    bins = Bins.of(key)
    y, x = bins.median_of_means(key, variance), bins.median_of_means(key, level)
    y = np.where(y == 0, bins.means(key, variance)[0], y)
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    if len(x) == 0 or not y.max() > 0:
        return 0.0, 0.0, 0.0
    least = max(float(y.min()), 1e-3 * float(np.median(y)), 1e-6 * float(y.max()))
    weight = 1 / np.maximum(y, least)
    slope, intercept = 0.0, float(np.median(y))
    if len(x) >= 3 and np.ptp(x) > 0:
        fit = reweighted(
            partial(fit_line, x, y),
            lambda fit: weight**2 * absolute(np.abs(fit.residual) * weight, 1e-3),
            weight**2,
            rounds=20,
        )
        slope, intercept = fit.slope, fit.intercept
    if slope <= 0:
        return 0.0, float(np.median(y)), least
    return slope, intercept, least


def offsets(sample: Sequence[Sample]) -> Array:
    """Offset of every frame (or pair) against their mean, grey levels; 0 if they do not differ.

    An analysis of covariance: one slope for all, an intercept for each. The intercepts give the
    distances between the lines of the frames along the level axis, which light, bleaching and
    motion do not change. The slope must be significant, and they must explain the points
    significantly better than a common intercept.
    """
    nothing = np.zeros(len(sample))
    if len(sample) < 2 or min(s.key.size for s in sample) < 20 * _GROUP:
        return nothing
    quantiles = np.linspace(0, 1, 17)
    level, variance, count, number = [], [], [], []
    for place, s in enumerate(sample):
        bins = Bins.of(s.key, quantiles)
        mean, square, n = bins.means(s.key, s.level, s.variance)
        level.append(mean[n > 0])
        variance.append(square[n > 0])
        count.append(n[n > 0])
        number.append(np.full(int((n > 0).sum()), place))
    x, y, n = np.concatenate(level), np.concatenate(variance), np.concatenate(count)
    which = np.concatenate(number)
    if np.ptp(x) == 0:
        return nothing

    def weights(fit: ParallelFit) -> Array:
        return variance_weight(np.maximum(fit.fitted, 0.05 * np.median(y)), n)

    separate, common = (
        reweighted(partial(fit_parallel, x, y, group=group), weights, np.ones_like(y), _ROUNDS)
        for group in (which, np.zeros_like(which))
    )
    freedom = len(sample) - 1
    spread = separate.chi_square
    gained = (common.chi_square - spread) / max(spread / (len(x) - freedom - 2), 1.0)
    steep = separate.slope > _SIGNIFICANT * separate.slope_error
    if not steep or gained < freedom + _SIGNIFICANT * (2 * freedom) ** 0.5:
        return nothing
    return np.asarray(-(separate.intercept - separate.intercept.mean()) / separate.slope)


def binned(
    sample: Sequence[Sample],
    method: Method,
    third: tuple[Array, Array] | None = None,
) -> PhotonTransfer:
    """Photon-transfer points of the samples.

    Parameters
    ----------
    sample : sequence of Sample
        At least one; offsets aligned.
    method : str
        Source of the samples.
    third : ((M,), (M,)) float64, optional
        Keys and third cumulants; by default those of the samples.
    """
    key, level, variance = (
        np.concatenate([getattr(s, name) for s in sample]) for name in ('key', 'level', 'variance')
    )
    bins = Bins.of(key)
    mean, square, count = bins.means(key, level, variance)
    if third is None:
        own = [s.third if s.third is not None else np.full(s.key.shape, np.nan) for s in sample]
        third = key, np.concatenate(own)
    skewness, thirds = bins.means(*third)
    skewness = np.where(thirds > 0, skewness, np.nan)
    populated = count >= _least(key.size) / 2
    if not populated.any():
        populated = count > 0
    scatter = _THIRD_SCATTER[method]
    return PhotonTransfer(
        mean[populated], square[populated], skewness[populated], scatter, count[populated], method
    )


def neighbour_mean(image: Array) -> Array:
    """Mean of the 5 x 5 neighbours of every pixel of (Y, X), without the pixel itself."""
    return np.asarray((scipy.ndimage.uniform_filter(image, 5, mode='mirror') * 25 - image) / 24)
