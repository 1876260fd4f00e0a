"""Offsets that whole rows, or whole columns, have in common: detection and measurement.

Such noise arises when a row is read out. It is independent from row to row, and constant along a
row. Nothing else in an image has both properties: correlation of neighbouring pixels does not
reach from one part of a row to a distant part, and structure is smooth from row to row, or lies in
few rows, or in parts of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from napari_noise2score.noise.patterns.shared import RowNoise

Array = NDArray[np.float64]

_PARTS = 8
"""Parts of a row that are compared with each other; adjacent parts are not compared."""
_NARROWEST, _FEWEST_PARTS = 8, 3
"""Minimum width of a part, pixels, and minimum number of parts; shorter rows are not tested."""
_FEWEST_ROWS = 32
_SEEN = 0.5
"""Minimum share of a part with valid pixels."""
_FAR = 3.0
"""Limit, in standard deviations, to which the value of a part is clipped: structure is larger."""
_OUTLYING = 4.0
"""Standard deviations beyond which a row is excluded: a straight edge along it."""
_SIGNIFICANT = 4.0
"""Significance threshold of row noise, standard errors."""
_WHITE, _SIGNIFICANT_NEXT = 0.5, 3.0
"""Minimum share of the variance that adjacent rows have to confirm, and its significance
threshold, standard errors: an offset that is not white from row to row is structure."""
_SHIFTS, _FEWEST_SHIFTS = 64, 8
"""Number of shifts of the parts against each other, from which the standard error is measured:
over all fields, and the minimum for each field."""
_WAVES = 7
"""Adjacent frequencies over which the power of the remaining noise is averaged."""
_LEAST_LEFT = 0.05
"""Share of the noise left in the residual at a frequency for which offsets get the weight 1/2."""
_MAD = 1.4826
"""Standard deviation of Gaussian values over the median of their absolute values."""


class _Parts(NamedTuple):
    """Second differences from row to row of the parts of a field, and their weights, (n, B)."""

    values: Array
    weights: Array


class _Variance(NamedTuple):
    """A variance, and its standard error under the null hypothesis of no offsets."""

    value: float
    error: float


class _Product(NamedTuple):
    """Products of second differences of parts of rows with the distance ``apart``.

    For offsets of variance one that are white from row to row they are ``expected``, and for white
    noise they scatter by ``scatter`` times the sum of their weights (squares of correlations of
    the second differences of neighbouring rows: 1, -2/3, 1/6).
    """

    apart: int
    expected: float
    scatter: float


_OWN = _Product(0, 1.5, 3.89)
_NEXT = _Product(1, -1.0, 2.72)


def row_noise(fields: Sequence[Array], weights: Sequence[Array], noise: float) -> RowNoise:
    """Variance of the offsets that rows and columns have in common; 0 if it is not significant.

    Parameters
    ----------
    fields : sequence of (Y, X) float64
        Noise, on an image or alone, such as differences of frames over the root of 2.
    weights : sequence of (Y, X) float64
        One over the noise variance of each pixel, but for a factor; 0 where it does not count.
    noise : float
        Mean variance of the noise.

    Returns
    -------
    RowNoise
        In the unit of the fields.

    Notes
    -----
    With ``m_ib`` the mean of part ``b`` of row ``i``, and ``d`` its second difference along the
    column, ``E d_ib d_ic = 1.5 s^2`` for two parts of one row that are not adjacent, ``E d_ib d_jc
    = -s^2`` for those of the next row. Both have to give a positive variance ``s^2``. Noise that
    is correlated between pixels adds nothing; a gradient has no second difference; smooth
    structure along a whole row, such as stripes of the sample, makes the second product positive.
    The standard error is measured on the same parts, shifted against each other by many rows.
    """
    pairs = list(zip(fields, weights, strict=True))
    rows = _common([_parts(field, weight) for field, weight in pairs])
    columns = _common([_parts(field.T, weight.T) for field, weight in pairs])
    return RowNoise(rows, columns, noise)


def _parts(field: Array, weight: Array) -> _Parts | None:
    """Second differences of the parts of a field; None where there are too few."""
    rows, width = field.shape
    count = min(_PARTS, width // _NARROWEST)
    if count < _FEWEST_PARTS or rows < _FEWEST_ROWS:
        return None
    side = width // count

    def summed(image: Array) -> Array:
        cut = image[:, : count * side].reshape(rows, count, side)
        return np.asarray(cut.sum(axis=2))

    seen = summed(weight)
    there = summed((weight > 0).astype(np.float64)) > _SEEN * side
    centre = float(np.average(field, weights=weight)) if weight.any() else 0.0
    mean = np.divide(summed((field - centre) * weight), seen, out=np.zeros_like(seen), where=there)
    there = there[1:-1] & there[:-2] & there[2:]
    spread = np.divide(1, seen, out=np.zeros_like(seen), where=seen > 0)
    spread = spread[1:-1] + (spread[:-2] + spread[2:]) / 4
    unit = np.zeros_like(spread)
    np.divide(mean[1:-1] - (mean[:-2] + mean[2:]) / 2, spread**0.5, out=unit, where=there)
    scale = np.array([_scale(unit[:, part][there[:, part]]) for part in range(count)])
    there &= scale > 0
    limit = _FAR * scale
    values = np.clip(unit, -limit, limit) * spread**0.5
    weights = np.zeros_like(values)
    np.divide(1, spread * scale**2, out=weights, where=there)
    total = weights.sum(axis=1)
    whole = np.divide(
        (weights * values).sum(axis=1), total, out=np.zeros(rows - 2), where=total > 0
    )
    usual = np.abs(whole) <= _OUTLYING * _scale(whole[total > 0])
    return _Parts(values, weights * usual[:, None])


def _scale(values: Array) -> float:
    """Robust standard deviation of values of mean 0."""
    return _MAD * float(np.median(np.abs(values))) if values.size else 0.0


def _common(parts: Sequence[_Parts | None]) -> float:
    """Variance of the offsets that rows of some fields have in common; 0 if not significant."""
    fields = [each for each in parts if each is not None]
    own = _measured(fields, _OWN)
    if own.value <= _SIGNIFICANT * own.error:
        return 0.0
    following = _measured(fields, _NEXT)
    if following.value <= max(_SIGNIFICANT_NEXT * following.error, _WHITE * own.value):
        return 0.0
    return own.value


def _measured(fields: Sequence[_Parts], which: _Product) -> _Variance:
    """Variance from the products of parts of rows, relative to their expected value."""
    power = total = chance = 0.0
    shifts = max(_FEWEST_SHIFTS, _SHIFTS // max(len(fields), 1))
    for field in fields:
        product, weight = _products(field, which.apart)
        power, total = power + product, total + weight
        # shifted parts have the same structure, and no common offset
        moved = _products_of_shifted(field, which.apart, shifts)
        chance += max(float(np.mean(moved**2)), which.scatter * weight)
    if total == 0:
        return _Variance(0.0, np.inf)
    return _Variance(power / total / which.expected, chance**0.5 / total / abs(which.expected))


def _products(field: _Parts, apart: int) -> tuple[float, float]:
    """Sum of the products of parts that are not adjacent, and sum of their weights."""
    far = _far(field.values.shape[1])
    rows = len(field.values) - apart
    first, second = field.weights[:rows], field.weights[apart:]
    one, other = first * field.values[:rows], second * field.values[apart:]
    return float(((one @ far) * other).sum()), float(((first @ far) * second).sum())


def _products_of_shifted(field: _Parts, apart: int, shifts: int) -> Array:
    """The same sum, (shifts,), with every part shifted by another number of rows, cyclically.

    They are all taken from the cyclic correlations of the parts with each other.
    """
    rows, count = field.values.shape
    waves = fft.rfft(field.weights * field.values, axis=0)
    products = fft.irfft(waves.conj()[:, :, None] * waves[:, None, :], rows, axis=0)
    steps = (rows / (2 * count)) * (1 + (np.arange(shifts) + 0.5) / shifts)
    by = np.round(steps[:, None] * np.arange(count)).astype(int)
    distance = (apart + by[:, :, None] - by[:, None, :]) % rows
    first, second = np.nonzero(_far(count))
    return np.asarray(products[distance[:, first, second], first, second].sum(axis=1))


def _far(count: int) -> NDArray[np.bool_]:
    """Pairs of so many parts that are not adjacent, (B, B)."""
    place = np.arange(count)
    return np.asarray(np.abs(place[:, None] - place) > 1)


def row_offsets(residual: Array, weight: Array, variance: float, smear: float) -> Array:
    """Offsets of the rows of a residual, (Y,), given the clean image of the plane.

    The mean of the offsets given the clean image (a Gaussian unknown in Gaussian noise): the mean
    of the residual over a row, times ``s^2 / (s^2 + u)`` for its own variance ``u``. So they are
    never larger than the mean of the residual. Slow variations of the offsets cannot be separated
    from structure, because the clean image contains them, as it contains slow variations of the
    noise: they are not estimated.

    Parameters
    ----------
    residual : (Y, X) float64
        Noisy minus clean, grey levels.
    weight : (Y, X) float64
        One over the noise variance of each pixel; 0 where it does not count.
    variance : float
        Variance of the offsets, ``s^2``.
    smear : float
        Variance of the mean of a row, relative to that for independent pixels.
    """
    seen = weight.sum(axis=1)
    if variance <= 0 or not seen.any():
        return np.zeros(len(seen))
    share = variance * seen / (variance * seen + smear)
    total = (residual * weight).sum(axis=1)
    mean = np.divide(total, seen, out=np.zeros(len(seen)), where=seen > 0)
    offsets = np.where(seen > 0, share * (mean - np.average(mean, weights=seen)), 0.0)
    left = _left_over(residual, weight, mean, smear)
    if left is not None:
        waves = fft.dct(offsets, norm='ortho')
        offsets = np.asarray(fft.idct(waves * left / (left + _LEAST_LEFT), norm='ortho'))
    return np.asarray(np.where(seen > 0, offsets - np.average(offsets, weights=seen), 0.0))


def _left_over(residual: Array, weight: Array, mean: Array, smear: float) -> Array | None:
    """Share of the noise power left in a residual, by frequency along the column, (Y,).

    It compares the differences of parts of a row from its ``mean``, (Y,), with the variance of
    noise, which is one over the weight. Frequencies are those of the cosine transform; None where
    the rows are too short.
    """
    rows, width = residual.shape
    count = min(_PARTS, width // _NARROWEST)
    if count < _FEWEST_PARTS:
        return None
    side = width // count
    inner = np.s_[:, : count * side]
    parts = weight[inner].reshape(rows, count, side).sum(axis=2)
    whole = parts.sum(axis=1)
    there = whole > 0
    away = (weight * (residual - mean[:, None]))[inner].reshape(rows, count, side).sum(axis=2)
    away = np.divide(away, whole[:, None], out=np.zeros_like(away), where=there[:, None])
    power = (fft.dct(away, axis=0, norm='ortho') ** 2).sum(axis=1) * count / (count - 1)
    chance = smear * float((1 / whole[there]).sum()) / rows
    smooth = ndimage.uniform_filter1d(power, _WAVES, mode='nearest')
    return np.asarray(np.minimum(smooth / chance, 1.0))
