"""Sums of a `ResidualCheck` over a plane whose parts are not in memory together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.families import NoiseFamily
from napari_noise2score.noise.standardised import standardised

Array = NDArray[np.float64]


class ResidualPart(NamedTuple):
    """A part of a plane with the next row and the next column, if there are any.

    ``noisy`` and ``clean`` are grey levels, NaN where there is no noise; ``shape`` is that of the
    part without the row and the column.
    """

    noisy: Array
    clean: Array
    shape: tuple[int, int]

    @property
    def inner(self) -> tuple[slice, slice]:
        """The part without the row and the column."""
        return slice(self.shape[0]), slice(self.shape[1])


Parts: TypeAlias = Callable[[], Iterable[ResidualPart]]
"""Gives all parts of a plane; it is called several times."""


def sums_of_parts(parts: Parts, family: NoiseFamily, lacked: float) -> tuple[float, ...] | None:
    """The sums of `ResidualSums.of_plane` over a plane, up to rounding.

    Parameters
    ----------
    parts : callable
        The parts of the plane.
    family : NoiseFamily
        The noise.
    lacked : float
        What was added to the mean of the clean plane, grey levels.

    Returns
    -------
    tuple of float or None
        None for a plane without noise.
    """
    noise, count = 0.0, 0
    for part in parts():
        variance = _variance(family, part.clean[part.inner])
        noise, count = noise + float(np.nansum(variance)), count + _known(variance)
    if not count:
        return None
    usual = noise / count
    total, power, square, removed_sum, light = np.zeros(5)
    pairs = np.zeros((2, 3))
    dark = family.without_light
    for part in parts():
        variance = _variance(family, part.clean)
        removed = part.noisy - part.clean
        unit = standardised(removed, variance, usual)
        inner = part.inner
        total += np.nansum(unit[inner])
        power += np.nansum(unit[inner] ** 2)
        square += np.nansum(removed[inner] ** 2)
        removed_sum += np.nansum(removed[inner])
        light += np.nan if dark is None else np.nansum(part.clean[inner] - dark)
        rows, columns = part.shape
        pairs[0] += _products(unit[1:, :columns], unit[:-1, :columns])
        pairs[1] += _products(unit[:rows, 1:], unit[:rows, :-1])
    mean = total / count
    down, right = (product - mean * sums + mean**2 * number for product, sums, number in pairs)
    return (
        float(count),
        float(total),
        float(square / usual) if usual > 0 else 0.0,
        float(down),
        float(right),
        float(power - count * mean**2),
        float(square),
        float(light),
        float(removed_sum),
        float(count * lacked),
        float(noise),
    )


def _products(one: Array, other: Array) -> tuple[float, float, int]:
    """Sum of the products of pairs of pixels, sum of their values, and number of the pairs."""
    both = np.isfinite(one) & np.isfinite(other)
    one, other = one[both], other[both]
    return float((one * other).sum()), float((one + other).sum()), one.size


def _variance(family: NoiseFamily, clean: Array) -> NDArray[Any]:
    return np.asarray(family.variance(clean), np.float64)


def _known(values: NDArray[Any]) -> int:
    return int(np.count_nonzero(np.isfinite(values)))
