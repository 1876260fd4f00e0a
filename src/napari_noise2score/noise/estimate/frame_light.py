"""Change of light and offset between two frames of one scene, as a straight line.

A lamp that flickers, fluorophores that bleach and an offset that drifts change every pixel
linearly in its intensity. Places that change otherwise are not on that line, and must not change
its slope, even if they are bright.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from napari_noise2score.noise.line_fit import fit_line
from napari_noise2score.noise.robust_weights import biweight, biweight_loss, biweight_slope

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
    weight = biweight(cells.rest(best) / scatter) / scatter**2
    base = float(np.average(cells.y, weights=weight))
    base_error, slope_error = cells.errors(best, base, scatter)
    if abs(best[1]) >= _SIGNIFICANT * slope_error:
        return Line(float(best[0]), float(best[1]), same_light=False)
    return Line(base, 0.0, same_light=abs(base) <= _SIGNIFICANT * base_error)


class _Cells:
    """Means of the difference ``y`` and of the mean ``x`` in cells."""

    def __init__(self, x: Array, y: Array) -> None:
        self.x, self.y = x, y
        count = min(_LEVELS, max(1, min(2, len(x) // _FEWEST), len(x) // (2 * _FEWEST)))
        self._groups = np.array_split(np.argsort(x, kind='stable'), count)
        self._centres = np.array([np.median(x[group]) for group in self._groups])

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
        variances = np.maximum(widths, least) ** 2
        rise = max(fit_line(self._centres, variances, variances**-2.0).slope, 0.0)
        beyond = np.maximum(self.x - self._centres[-1], 0.0)  # a few bright cells, on their own
        return np.asarray((np.interp(self.x, self._centres, variances) + rise * beyond) ** 0.5)

    def errors(self, line: Array, base: float, scatter: Array) -> tuple[float, float]:
        """Standard errors of a constant difference ``base`` and of the slope of ``line``.

        They hold for noise that grows with the level ("sandwich" of Huber, with the residuals of
        MacKinnon and White, which count what a cell contributes to its own line), and are widened
        where cells are few, so that 4 of them are as improbable as of a Gaussian variable.
        """
        away = self.rest(line) / scatter
        weight, bent = biweight(away) / scatter**2, biweight_slope(away) / scatter**2
        lever = (self.x - np.average(self.x, weights=weight)) ** 2
        height = weight / weight.sum()
        tilt = weight * lever / max(float((weight * lever).sum()), 1e-300)
        constant = _error(weight * (self.y - base), height, bent, weight)
        slope = _error(
            weight * self.rest(line) * lever**0.5, height + tilt, bent * lever, weight * lever
        )
        return constant * _widening(len(self.x) - 1), slope * _widening(len(self.x) - 2)

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


def _error(pull: Array, own: Array, bent: Array, weight: Array) -> float:
    """Standard error of a robust fit from the pull of its points.

    ``own`` is the share of a point in its own fitted value, ``bent`` the second derivative of the
    loss; if outliers make it nearly 0, at least a tenth of that of the weighted squares counts.
    """
    known = max(float(bent.sum()), 0.1 * float(weight.sum()), 1e-300)
    return float(((pull / (1 - np.minimum(own, 0.99))) ** 2).sum() ** 0.5 / known)


def _widening(degrees: int) -> float:
    """Limit of Student's t that is as probable as `_SIGNIFICANT` Gaussian deviations, over it."""
    return float(special.stdtrit(max(degrees, 1), special.ndtr(_SIGNIFICANT))) / _SIGNIFICANT


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
