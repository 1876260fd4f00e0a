"""Places where a clean image agrees least with the noisy one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.report.sample import Pair

Array = NDArray[np.float64]

SIDE = 16
"""Height and width of a place, pixels."""
MOST = 3
FAR = 7.0
"""Spreads of all places beyond which one stands out."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place of a plane.

    Attributes
    ----------
    plane, row, column : int
        Number of the plane, and the first row and column of the place in it.
    power : float
        Mean square of what was removed there, relative to the noise.
    far : float
        How far it stands out from the other places, in their spread.
    """

    plane: int
    row: int
    column: int
    power: float
    far: float

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return asdict(self)


def worst_places(pairs: Sequence[Pair], corner: tuple[int, int] = (0, 0)) -> list[Place]:
    """The places that stand out most, at most `MOST`, the worst first.

    ``corner`` is the first row and column of the pairs in their planes.
    """
    every: list[tuple[Array, Array]] = [_blocks(pair.residual) for pair in pairs]
    powers = np.concatenate([power[np.isfinite(power)] for power, _ in every])
    if powers.size < 10:
        return []
    found = []
    scales = [_centre_and_spread(np.concatenate([e[i].ravel() for e in every])) for i in (0, 1)]
    for pair, blocks in zip(pairs, every, strict=True):
        apart = [
            np.nan_to_num((values - centre) / spread)
            for values, (centre, spread) in zip(blocks, scales, strict=True)
        ]
        far = np.maximum(apart[0], np.abs(apart[1]))
        for at in np.argsort(far, axis=None)[::-1][:MOST]:
            row, column = np.unravel_index(at, far.shape)
            if far[row, column] > FAR:
                power = float(blocks[0][row, column])
                place = Place(
                    pair.number,
                    corner[0] + int(row) * SIDE,
                    corner[1] + int(column) * SIDE,
                    power,
                    float(far[row, column]),
                )
                found.append(place)
    return sorted(found, key=lambda place: -place.far)[:MOST]


def _blocks(residual: Array) -> tuple[Array, Array]:
    """Mean square and mean of each block; NaN where more than a half is missing."""
    rows, columns = (length // SIDE for length in residual.shape)
    cut = residual[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE)
    there = np.isfinite(cut)
    count = there.sum(axis=(1, 3))
    number = np.where(count > SIDE**2 // 2, count, np.nan)
    filled = np.where(there, cut, 0.0)
    return (filled**2).sum(axis=(1, 3)) / number, filled.sum(axis=(1, 3)) / number


def _centre_and_spread(values: Array) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    centre = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - centre)))
    return centre, max(spread, 1e-6)
