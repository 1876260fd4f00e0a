"""Offsets that pixels of a plane have in common: types for offsets of rows, columns and waves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STRAIGHT = 1e-3
"""Cycles per pixel below which a wave counts as constant along an axis."""


@dataclass(frozen=True, slots=True)
class Wave:
    """A single frequency that lies over whole planes, such as the hum of the mains.

    Attributes
    ----------
    frequency : (float, float)
        Cycles per pixel, down (Y) and across (X).
    variance : float
        Mean square of the wave, half its amplitude squared, grey levels squared.
    fixed : bool
        Whether it is the same in every frame.
    """

    frequency: tuple[float, float]
    variance: float
    fixed: bool = False

    @property
    def period(self) -> tuple[float, float]:
        """Distance of two crests, pixels, down (Y) and across (X); infinite along an axis without
        change.
        """
        down, across = (
            1 / abs(each) if abs(each) > _STRAIGHT else np.inf for each in self.frequency
        )
        return down, across

    @property
    def words(self) -> str:
        """Description of its period, such as ``a wave with a period of 7.3 x 12 pixels``."""
        down, across = self.period
        if np.isinf(across):
            length = f'{down:.3g} pixels down'
        elif np.isinf(down):
            length = f'{across:.3g} pixels across'
        else:
            length = f'{down:.3g} x {across:.3g} pixels'
        return f'a wave with a period of {length}'


@dataclass(frozen=True, slots=True)
class RowNoise:
    """Offsets that whole rows, whole columns, or the crests of a wave have in common.

    Attributes
    ----------
    rows, columns : float
        Variance of the offsets in a frame, grey levels squared; 0 where none were detected.
    noise : float
        Mean variance of the other noise.
    waves : tuple of Wave
        Single frequencies, the strongest first.
    fixed_rows, fixed_columns : float
        Part of the variances that is the same in every frame.
    """

    rows: float = 0.0
    columns: float = 0.0
    noise: float = 1.0
    waves: tuple[Wave, ...] = ()
    fixed_rows: float = 0.0
    fixed_columns: float = 0.0

    @property
    def detected(self) -> bool:
        """Whether any such offsets were detected."""
        return self.rows > 0 or self.columns > 0 or bool(self.waves)

    @property
    def variance(self) -> float:
        """Variance of all these offsets together."""
        return self.rows + self.columns + sum(wave.variance for wave in self.waves)

    @property
    def changing(self) -> RowNoise:
        """The part that differs between frames."""
        return RowNoise(
            max(self.rows - self.fixed_rows, 0.0),
            max(self.columns - self.fixed_columns, 0.0),
            self.noise,
            tuple(wave for wave in self.waves if not wave.fixed),
        )

    @property
    def words(self) -> str:
        """Description, such as ``row noise 7 % of the noise``; empty if nothing was detected."""
        named = [
            (f'{name} noise', value, fixed > value / 2)
            for name, value, fixed in (
                ('row', self.rows, self.fixed_rows),
                ('column', self.columns, self.fixed_columns),
            )
            if value > 0
        ]
        parts = [f'{name} {self._percent(value)}' for name, value, _ in named]
        parts += [f'{wave.words}, {self._percent(wave.variance)}' for wave in self.waves]
        if not parts:
            return ''
        fixed = [steady for *_, steady in named] + [wave.fixed for wave in self.waves]
        same = ', the same in every frame' if all(fixed) else ''
        return f'{", ".join(parts)} of the noise{same}'

    @property
    def sentence(self) -> str:
        """The description with an explanation, as the beginning of a sentence."""
        lines = ' and '.join(
            name for name, value in (('rows', self.rows), ('columns', self.columns)) if value
        )
        what = [f'offsets shared by whole {lines}'] if lines else []
        what += ['regular patterns over the whole image'] if self.waves else []
        words = self.words
        return f'{words[:1].upper()}{words[1:]}: {" and ".join(what)}'

    def scaled(self, by: float) -> RowNoise:
        """In another unit, of which one is ``by`` of the present ones."""
        square = by**2
        return RowNoise(
            self.rows * square,
            self.columns * square,
            self.noise * square,
            tuple(replace(wave, variance=wave.variance * square) for wave in self.waves),
            self.fixed_rows * square,
            self.fixed_columns * square,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON: variances as shares of that of the other noise."""
        return {
            'rows': self.rows / self.noise,
            'columns': self.columns / self.noise,
            'fixed_rows': self.fixed_rows / self.noise,
            'fixed_columns': self.fixed_columns / self.noise,
            'waves': [
                {
                    'frequency': list(wave.frequency),
                    'share': wave.variance / self.noise,
                    'fixed': wave.fixed,
                }
                for wave in self.waves
            ],
        }

    def _percent(self, variance: float) -> str:
        share = variance / self.noise
        return f'{100 * share:.2g} %' if share < 1 else f'{100 * share:.0f} %'


NO_ROW_NOISE = RowNoise()
"""No common offsets were detected."""


@dataclass(frozen=True, slots=True)
class Sinusoid:
    """``Re(amplitude exp(2 pi i (f_y y + f_x x)))`` at row ``y`` and column ``x``."""

    frequency: tuple[float, float]
    amplitude: complex

    def on(self, shape: tuple[int, int]) -> Array:
        """Its values on a plane, (Y, X)."""
        down, across = carriers(self.frequency, shape)
        return np.asarray((self.amplitude * down[:, None] * across).real)

    def from_corner(self, row: int, column: int) -> Sinusoid:
        """The same wave with another pixel as origin."""
        turns = self.frequency[0] * row + self.frequency[1] * column
        return replace(self, amplitude=complex(self.amplitude * np.exp(2j * np.pi * turns)))


def carriers(
    frequency: tuple[float, float], shape: tuple[int, int]
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """``exp(2 pi i f y)`` for each row, (Y,), and the same for each column, (X,)."""
    down, across = (
        np.exp(2j * np.pi * each * np.arange(side))
        for each, side in zip(frequency, shape, strict=True)
    )
    return down, across


@dataclass(frozen=True, slots=True, eq=False)
class Offsets:
    """Offsets of one plane, grey levels: of its rows (Y,), its columns (X,), its waves."""

    rows: Array
    columns: Array
    waves: tuple[Sinusoid, ...] = ()

    @property
    def plane(self) -> Array:
        """Sum of the offsets at each pixel, (Y, X)."""
        plane = self.rows[:, None] + self.columns
        for wave in self.waves:
            plane += wave.on((len(self.rows), len(self.columns)))
        return plane

    def part(self, rows: slice, columns: slice) -> Offsets:
        """Offsets of a part of the plane."""
        corner = (
            slice_.indices(len(line))[0]
            for slice_, line in ((rows, self.rows), (columns, self.columns))
        )
        row, column = corner
        waves = tuple(wave.from_corner(row, column) for wave in self.waves)
        return Offsets(self.rows[rows], self.columns[columns], waves)

    def beyond(self, last: Offsets, share: float) -> Offsets:
        """Extrapolation from ``last`` over these by a share of the step; both have the same
        waves.
        """
        waves = self.waves
        if last.waves:
            waves = tuple(
                replace(wave, amplitude=wave.amplitude + share * (wave.amplitude - old.amplitude))
                for wave, old in zip(self.waves, last.waves, strict=True)
            )
        return Offsets(
            self.rows + share * (self.rows - last.rows),
            self.columns + share * (self.columns - last.columns),
            waves,
        )


class PlaneOffsets:
    """Offsets of planes, estimated on first request.

    Parameters
    ----------
    find : callable, optional
        Estimates the offsets of a plane from its number; without it planes have none.
    """

    def __init__(self, find: Callable[[int], Offsets] | None = None) -> None:
        self._find = find
        self._known: dict[int, Offsets] = {}

    @property
    def any(self) -> bool:
        """Whether planes may have offsets."""
        return self._find is not None

    def of(self, index: int) -> Offsets | None:
        """Offsets of plane number ``index``; None if it has none."""
        if self._find is not None and index not in self._known:
            self._known[index] = self._find(index)
        return self._known.get(index)

    def part(self, rows: slice, columns: slice) -> PlaneOffsets:
        """Offsets of a part of every plane."""
        find = self._find
        if find is None:
            return self

        def of_part(index: int) -> Offsets:
            whole = self.of(index)
            assert whole is not None  # `find` is given
            return whole.part(rows, columns)

        return PlaneOffsets(of_part)


NO_OFFSETS = PlaneOffsets()
"""Offsets of planes that have none."""
