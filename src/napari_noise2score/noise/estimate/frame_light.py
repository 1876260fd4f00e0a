"""Change of light and offset between two frames of one scene, as a straight line.

A lamp that flickers, fluorophores that bleach and an offset that drifts change every pixel
linearly in its intensity. Places that change otherwise are not on that line, and must not change
its slope, even if they are bright.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.line_fit import fit_line
from napari_noise2score.noise.robust_weights import biweight, biweight_loss

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_CELL = 8
"""Side of the cells whose means the line is fitted to, pixels."""
_FEWEST = 16
"""Minimum number of cells to fit a line; from fewer cells only an offset is estimated."""
_LEVELS = 8
"""Maximum number of intensity ranges in which the scatter of the cells is measured."""
_SIGNIFICANT = 4.0
"""Standard errors from which a change is significant."""
_ROUNDS = 20
_CONVERGED = 1e-3
"""Change of the line, standard deviations, below which the fit has converged."""


class Line(NamedTuple):
    """``first - second = base + change * mean``.

    Attributes
    ----------
    base : float
        Grey levels.
    change : float
        Lost light, relative to that of the mean of the two frames: -2 to 2 if both have light. 0
        if the change is not significant.
    same_light : bool
        Whether neither is significant.
    """

    base: float
    change: float
    same_light: bool

    @property
    def light(self) -> float:
        """Light of the second frame relative to that of the first."""
        return (1 - self.change / 2) / (1 + self.change / 2)

    @property
    def offset(self) -> float:
        """``second = offset + light * first``, grey levels."""
        return -self.base / (1 + self.change / 2)


def light_line(difference: Array, mean: Array, mask: Mask) -> Line:
    """The line, fitted to the means of cells.

    Parameters
    ----------
    difference, mean : (Y, X) float64
        First frame minus the second, and the mean of the two, grey levels.
    mask : (Y, X) bool
        Valid pixels.

    Notes
    -----
    Iterated weighted least squares with Tukey's biweight: it starts once from the unweighted fit
    and once from a constant light, and the better result is returned. For photon noise the errors
    of the mean and of the difference are uncorrelated, so the noise does not change the slope of
    the line.
    """
    cells = _cells(difference, mean, mask)
    if cells is None:
        inside = difference[mask]
        if inside.size == 0:
            return Line(0.0, 0.0, same_light=True)
        base = float(inside.mean())
        same_light = abs(base) < _SIGNIFICANT * float(inside.std()) / inside.size**0.5
        return Line(base, 0.0, same_light)
    starts = cells.weighted(np.ones_like(cells.y)), np.array([np.median(cells.y), 0.0])
    fits = [cells.fit(line) for line in starts]
    scatter = np.minimum(*(cells.scatter(cells.rest(line)) for line in fits))
    best = min(fits, key=lambda line: float(biweight_loss(cells.rest(line) / scatter).sum()))
    rest = cells.rest(best)
    weight = biweight(rest / scatter) / scatter**2
    centre = float(np.average(cells.x, weights=weight))
    # sandwich estimate: the noise of a cell grows with its level
    pull, lever = (weight * rest) ** 2, (cells.x - centre) ** 2
    error = (pull * lever).sum() ** 0.5 / max(float((weight * lever).sum()), 1e-300)
    if abs(best[1]) >= _SIGNIFICANT * error:
        return Line(float(best[0]), float(best[1]), same_light=False)
    base = float(np.average(cells.y, weights=weight))
    error = float((weight**2 * (cells.y - base) ** 2).sum() ** 0.5 / weight.sum())
    return Line(base, 0.0, same_light=abs(base) < _SIGNIFICANT * error)


class _Cells:
    """Means of the difference ``y`` and of the mean ``x`` in cells."""

    def __init__(self, x: Array, y: Array) -> None:
        self.x, self.y = x, y
        count = min(_LEVELS, max(1, len(x) // (2 * _FEWEST)))
        self._groups = np.array_split(np.argsort(x, kind='stable'), count)
        self._centres = np.array([x[group].mean() for group in self._groups])

    def rest(self, line: Array) -> Array:
        """Residual from a line with an intercept and a slope."""
        return np.asarray(self.y - line[0] - line[1] * self.x)

    def weighted(self, weight: Array) -> Array:
        """Intercept and slope by weighted least squares."""
        fit = fit_line(self.x, self.y, weight)
        return np.array([fit.intercept, fit.slope])

    def scatter(self, rest: Array) -> Array:
        """Standard deviation about a line at every x, from the median: noise increases with
        light.
        """
        widths = np.array([1.4826 * np.median(np.abs(rest[group])) for group in self._groups])
        least = max(1e-3 * float(widths.max()), 1e-12 * float(np.abs(self.x).max()), 1e-300)
        return np.asarray(np.interp(self.x, self._centres, np.maximum(widths, least)))

    def fit(self, line: Array) -> Array:
        """The line of the iteration that starts from another line."""
        for _ in range(_ROUNDS):
            rest = self.rest(line)
            scatter = self.scatter(rest)
            weight = biweight(rest / scatter) / scatter**2
            if np.count_nonzero(weight) < _FEWEST / 2:
                break
            last, line = line, self.weighted(weight)
            moved = (line - last) @ np.array([[1, 1], [self.x.min(), self.x.max()]])
            if np.abs(moved).max() < _CONVERGED * float(np.median(scatter)):
                break
        return line


def _cells(difference: Array, mean: Array, mask: Mask) -> _Cells | None:
    """The complete cells in which two frames differ; None if there are too few."""
    rows, columns = (side // _CELL for side in difference.shape)

    def means(image: NDArray[np.generic]) -> Array:
        cut = image[: rows * _CELL, : columns * _CELL].astype(np.float64, copy=False)
        return np.asarray(cut.reshape(rows, _CELL, columns, _CELL).mean(axis=(1, 3)).ravel())

    whole = (means(mask) == 1) & (means(difference != 0) > 0)
    if int(whole.sum()) < _FEWEST:
        return None
    return _Cells(means(mean)[whole], means(difference)[whole])
