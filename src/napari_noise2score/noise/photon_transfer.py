"""Photon transfer: noise variance against intensity, as measured points and as a line.

These are the types that the parts of the noise estimate share: `estimate.binning` measures the
points, `estimate.photon_transfer_fit` fits the line, and noise families take their parameters from
both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.patterns.shared import NO_ROW_NOISE, RowNoise

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Method = Literal['frame differences', 'single frames']

_LEAST_VARIANCE = 0.02
"""Minimum of the noise variance in weights, relative to its mean."""


@dataclass(frozen=True, slots=True)
class Disturbances:
    """Effects in the data other than noise, which were excluded or corrected.

    Attributes
    ----------
    moving : float
        Share of the places of the frame differences that were excluded because of motion.
    other_scenes : float
        Share of the pairs of adjacent frames that do not show one scene.
    unsteady : bool
        Whether there was too much motion to compare frames.
    bleaching : float
        Share of the light lost from the first to the last frame (negative: gained).
    flicker : float
        Largest relative deviation of the light of a frame from the trend of all frames.
    offset_range : float
        Largest minus smallest offset of a frame, grey levels; 0 if they do not differ.
    hot : float
        Share of values that were excluded because they differ from all their neighbours (hot or
        blinking pixels, cosmic rays).
    """

    moving: float = 0.0
    unsteady: bool = False
    other_scenes: float = 0.0
    bleaching: float = 0.0
    flicker: float = 0.0
    offset_range: float = 0.0
    hot: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class PhotonTransfer:
    """Binned noise statistics.

    Attributes
    ----------
    level : (K,) float64
        Mean intensity of a bin, grey levels.
    variance : (K,) float64
        Mean noise variance, squared grey levels.
    third : (K,) float64
        Mean third cumulant, cubed grey levels; NaN where it could not be measured.
    third_scatter : float
        Variance of one measurement of the third cumulant, in units of the noise variance cubed.
    count : (K,) float64
        Independent measurements in the bin.
    method : str
        Source of the points: ``'frame differences'`` or ``'single frames'``.
    correlation : Correlation or None
        Correlation of the noise between pixels: from frame differences, or, for single frames,
        from their flattest patches. None if noise cannot be separated from structure.
    disturbances : Disturbances
        Effects besides noise.
    rows : RowNoise
        Offsets that rows, columns or waves have in common; the variances are without them.
    """

    level: Array
    variance: Array
    third: Array
    third_scatter: float
    count: Array
    method: Method
    correlation: Correlation | None = None
    disturbances: Disturbances = Disturbances()
    rows: RowNoise = NO_ROW_NOISE

    @property
    def error(self) -> Array:
        """Standard error of the variances, (K,); a mean of N squares scatters by ``3 / N``."""
        return np.asarray(self.variance * np.sqrt(3 / self.count))

    @property
    def mean_level(self) -> float:
        """Mean intensity of the measurements, grey levels."""
        return float(np.average(self.level, weights=self.count))

    @property
    def mean_variance(self) -> float:
        """Mean noise variance of the measurements, squared grey levels."""
        return float(np.average(self.variance, weights=self.count))

    def weight(self, level: Array, mask: Mask) -> Array:
        """One over the noise variance at a level, any shape; 0 outside of the mask."""
        variance = np.interp(level, self.level, self.variance)
        least = _LEAST_VARIANCE * self.mean_variance or 1.0
        return np.asarray(mask / np.maximum(variance, least))


def variance_weight(variance: Array, count: Array) -> Array:
    """Weight of a measured noise variance: one over its own variance, ``3 variance^2 / count``.

    Parameters
    ----------
    variance : (K,) float64
        Expected noise variance, squared grey levels. The measured variance would give too much
        weight to points that are low by chance.
    count : (K,) float64
        Independent measurements, each the square of a noise value.
    """
    return np.asarray(count / (3 * variance**2))


@dataclass(frozen=True, slots=True)
class PhotonTransferLine:
    """Noise variance as a straight line, ``slope (x - offset) + read_noise^2`` at the level ``x``.

    Attributes
    ----------
    slope : float
        Increase of the variance per grey level, which is the gain of a photon detector, grey
        levels per photon. 0 if the variance does not depend on the intensity.
    offset : float
        Grey level of a pixel without light; 0 if the slope is 0.
    read_noise : float
        Standard deviation of the noise without light, grey levels; if the slope is 0, of all
        noise.
    slope_error, offset_error, read_noise_error : float
        Standard errors, in the unit of each. If no read noise was found, its error is the read
        noise that goes with an offset that is higher by its error.
    zero_error : float
        Standard error of the level at which the variance is zero, grey levels.
    """

    slope: float
    offset: float
    read_noise: float
    slope_error: float = 0.0
    offset_error: float = 0.0
    read_noise_error: float = 0.0
    zero_error: float = 0.0

    @property
    def rises(self) -> bool:
        """Whether the variance depends on the intensity."""
        return self.slope > 0

    @property
    def zero(self) -> float:
        """Level at which the variance is zero, grey levels; only for a line that rises."""
        return self.offset - self.read_noise**2 / self.slope

    def scaled(self, share: float) -> PhotonTransferLine:
        """The line of ``share`` times the variance."""
        root = share**0.5
        return PhotonTransferLine(
            share * self.slope,
            self.offset,
            root * self.read_noise,
            share * self.slope_error,
            self.offset_error,
            root * self.read_noise_error,
            self.zero_error,
        )

    def variance(self, level: ArrayLike) -> Array:
        """Variance at a clean level, any shape, squared grey levels; not below 0."""
        height = np.asarray(level, dtype=np.float64) - self.offset
        return np.asarray(np.maximum(self.slope * height + self.read_noise**2, 0.0))
