"""Noise that is correlated between pixels: its autocorrelation.

The correlation is stationary in the unit-noise coordinate, where the variance is one everywhere.
White noise is the special case of a single one at the centre. Perturbing with noise of the *same*
correlation keeps the score's correction exact: ``E[x|y] = y + C s(y)``, with ``C s`` learned
directly (method, "Correlated noise").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_noise2score.noise.arrays import central

Array = NDArray[np.float64]

REACH = 8
"""Largest distance in pixels at which noise may be correlated."""

NEAREST = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0))
"""Distances in rows and columns of the correlations that a network is conditioned on."""

RELEVANT = 0.15
"""Correlation between neighbours below which noise is treated as white."""

DETECTABLE = 0.04
"""Correlation between neighbours below which it counts as zero: fine texture of a single image may
look like such a correlation."""

_FAR = 5
"""Distance in pixels that the correlation of a detector does not reach."""
_REACHING = 0.04
"""Root mean square of the correlations at that distance and beyond from which they reach it."""
_PEAKED = 1.5
"""Ratio of the first two steps of a correlation from which independent noise is on top of it."""
_DOUBT = 4.0
"""Correlations below this many standard errors are set to zero."""

_MOST_VALUES = 4_000_000
"""Maximum number of stored values of the measured noise, over all fields together."""


@dataclass(frozen=True, eq=False)
class Correlation:
    """Autocorrelation of the noise.

    Parameters
    ----------
    kernel : (2 R + 1, 2 R + 1) float64
        Correlation at every distance up to R rows and columns; 1 at the centre, symmetric.
    fields : tuple of (Y, X) float32
        The measured noise itself: fields of unit variance, NaN in excluded places (moving, hot or
        clipped). Empty if it was not measured from frame differences.
    """

    kernel: Array
    fields: tuple[NDArray[np.float32], ...] = ()

    @classmethod
    def white(cls) -> Correlation:
        """Independent pixels."""
        return cls(np.ones((1, 1)))

    @cached_property
    def neighbours(self) -> float:
        """Largest correlation of adjacent pixels in a row or column."""
        return max(self.along_rows, self.along_columns)

    @property
    def along_rows(self) -> float:
        """Correlation of adjacent pixels in a row."""
        centre = len(self.kernel) // 2
        return float(self.kernel[centre, centre + 1]) if centre else 0.0

    @property
    def along_columns(self) -> float:
        """Correlation of adjacent pixels in a column."""
        centre = len(self.kernel) // 2
        return float(self.kernel[centre + 1, centre]) if centre else 0.0

    @property
    def words(self) -> str:
        """Description of the correlation of adjacent pixels."""
        if not self.detectable:
            return 'independent pixels'
        slightly = 'slight ' if self.relevant.is_white else ''
        return (
            f'{slightly}correlation between neighbouring pixels {self.along_rows:.2f} along rows, '
            f'{self.along_columns:.2f} along columns'
        )

    @property
    def detectable(self) -> bool:
        """Whether the correlation of adjacent pixels is above `DETECTABLE`."""
        return self.neighbours > DETECTABLE

    @property
    def relevant(self) -> Correlation:
        """The correlation itself if that of adjacent pixels is above `RELEVANT`, else white."""
        return self if self.neighbours > RELEVANT else Correlation.white()

    @property
    def of_structure(self) -> bool:
        """Whether it is that of the structure of two scenes, with independent noise on top.

        It reaches far, as no detector's does, and falls more steeply next to the centre than
        farther away: noise that reaches far is smooth.
        """
        centre = len(self.kernel) // 2
        if centre < _FAR:
            return False
        away = np.abs(np.arange(-centre, centre + 1))
        far = np.maximum(away[:, None], away) >= _FAR
        reach = float((self.kernel[far] ** 2).mean()) ** 0.5
        one, two = (self.kernel[[centre, centre + n], [centre + n, centre]].mean() for n in (1, 2))
        return bool(reach > _REACHING and 1 - one > _PEAKED * (one - two))

    @property
    def is_white(self) -> bool:
        """Whether the pixels are independent."""
        return self.kernel.size == 1

    def turned(self, orientation: int) -> Correlation:
        """Correlation of an image rotated by ``orientation % 4`` quarter turns; mirrored from 4
        on.
        """
        kernel = np.rot90(self.kernel, orientation % 4)
        return Correlation(kernel[:, ::-1] if orientation >= 4 else kernel)

    @property
    def nearest(self) -> Array:
        """Correlations at `NEAREST`, (6,); all zero for independent pixels."""
        centre = len(self.kernel) // 2
        if centre < 2:
            return np.zeros(len(NEAREST))
        return np.array([self.kernel[centre + row, centre + column] for row, column in NEAREST])

    def power(self, shape: tuple[int, int]) -> Array:
        """Power spectrum on a periodic (Y, X) field, (Y, X // 2 + 1), of mean one, >= 0."""
        if self.is_white:
            return np.ones((shape[0], shape[1] // 2 + 1))
        field = np.zeros(shape)
        reach = len(self.kernel) // 2
        for row in range(-reach, reach + 1):
            for column in range(-reach, reach + 1):
                value = self.kernel[row + reach, column + reach]
                field[row % shape[0], column % shape[1]] += value
        spectrum = np.maximum(scipy.fft.fft2(field).real, 0.0)
        return np.asarray((spectrum / spectrum.mean())[:, : shape[1] // 2 + 1])

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Gaussian noise of variance one with this correlation, (..., Y, X)."""
        white: Array = rng.normal(size=shape)
        if self.is_white:
            return white
        root = np.sqrt(self.power((shape[-2], shape[-1])))
        return np.fft.irfft2(np.fft.rfft2(white) * root, s=shape[-2:])

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON, without the fields, and without zeros all around."""
        kernel = np.round(self.kernel, 4)
        centre = len(kernel) // 2
        reach = max(int(np.abs(at - centre).max()) for at in kernel.nonzero())
        inner = slice(centre - reach, centre + reach + 1)
        return {'neighbours': self.neighbours, 'kernel': kernel[inner, inner].tolist()}


def correlation_of(
    noise: Sequence[Array],
    masks: Sequence[NDArray[np.bool_]],
    *,
    most_values: int = _MOST_VALUES,
) -> Correlation:
    """Autocorrelation of fields of noise.

    Parameters
    ----------
    noise : sequence of (Y, X) float64
        Differences of frames of one scene, in the unit-noise coordinate.
    masks : sequence of (Y, X) bool
        Where they show noise only.
    most_values : int
        Values that are stored, over all fields together.

    Returns
    -------
    Correlation
        With the fields themselves, about 4 million values at most; white if it cannot be measured.
    """
    size = 2 * REACH + 1
    products, pairs = np.zeros((size, size)), np.zeros((size, size))
    for field, mask in zip(noise, masks, strict=True):
        if mask.any():
            products += lagged_products(np.where(mask, field - field[mask].mean(), 0.0))
            pairs += lagged_products(mask.astype(np.float64))
    power = products[REACH, REACH]
    if power <= 0 or pairs.min() < 1:
        return Correlation.white()
    kernel = (products / pairs) / (power / pairs[REACH, REACH])
    kernel[np.abs(kernel) < _DOUBT * pairs**-0.5] = 0.0
    return Correlation((kernel + kernel[::-1, ::-1]) / 2, _stored(noise, masks, most_values))


def _stored(
    noise: Sequence[Array], masks: Sequence[NDArray[np.bool_]], most_values: int
) -> tuple[NDArray[np.float32], ...]:
    """Evenly spaced fields of ``most_values`` values in all; the central part of a larger one."""
    places = [place for place, mask in enumerate(masks) if mask.any()]
    height, width = (max(noise[place].shape[axis] for place in places) for axis in (0, 1))
    rows = min(height, max(1, most_values // width))
    count = min(len(places), max(1, most_values // (rows * width)))
    fields = []
    for index in np.linspace(0, len(places) - 1, count).round().astype(int):
        field, mask = noise[places[index]], masks[places[index]]
        window = central(len(field), rows)
        inside = field[window][mask[window]]
        if inside.size and inside.std() > 0:
            unit = (field[window] - inside.mean()) / inside.std()
            fields.append(np.where(mask[window], unit, np.nan).astype(np.float32))
    return tuple(fields)


def lagged_products(field: Array, other: Array | None = None, reach: int = REACH) -> Array:
    """Sums of products of a field with itself, or with another one, shifted by up to ``reach`` in
    each direction.
    """
    shape = [scipy.fft.next_fast_len(side + reach, real=True) for side in field.shape]
    first = scipy.fft.rfft2(field, s=shape)
    second = first if other is None else scipy.fft.rfft2(other, s=shape)
    whole = scipy.fft.irfft2(first.conj() * second, s=shape)
    place = np.arange(-reach, reach + 1)
    return np.asarray(whole[np.ix_(place, place)])
