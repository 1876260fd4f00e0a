"""What was smoothed in time or depth: how a clean plane follows the noisy planes around it.

The mean of squares of 5 x 5 pixels of the clean planes is a linear combination of those of the
noisy planes at the same place, up to a few planes before and after; its coefficients are fitted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.images.source import Channel
from napari_noise2score.noise.blank import blank_everywhere
from napari_noise2score.report.sample import AS_IT_IS, Conversion, window_of

Array = NDArray[np.float64]

REACH = 4
"""Planes before and after that may have a part."""
_PLANES, _SIDE, _SQUARE = 48, 256, 5
_FEWEST = 8
"""Planes that are needed."""
_UNSTEADY = 0.9
"""Share of the places that count as steady."""


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """Parts that the planes around a plane have in it.

    Attributes
    ----------
    axis : str
        ``T`` or ``Z``.
    distance : (2 R + 1,) int
        Distance of a plane.
    steady, unsteady : (2 R + 1,) float
        Part of each plane: where little changes, and at the tenth of the places that changes most.
    """

    axis: str
    distance: NDArray[np.int64]
    steady: Array
    unsteady: Array

    def own(self, which: str) -> float:
        """Part of the plane itself, ``which`` is ``steady`` or ``unsteady``."""
        return float(getattr(self, which)[REACH])

    def beside(self, which: str) -> float:
        """Part of the planes around it."""
        return float(getattr(self, which).sum()) - self.own(which)

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {
            name: value if isinstance(value, str) else value.tolist()
            for name, value in asdict(self).items()
        }


def response_of(
    noisy: Channel, clean: Channel, conversion: Conversion = AS_IT_IS
) -> Response | None:
    """The response of a movie or volume; None if it has too few planes.

    Planes that are blank everywhere are as if they had not been recorded. The grey levels of the
    clean planes are converted.
    """
    axis = next((a for a in 'TZ' if len(noisy.series(0, a)) >= _FEWEST), None)
    if axis is None:
        return None
    numbers = list(noisy.series(0, axis))
    first = max(0, (len(numbers) - _PLANES) // 2)
    window, (scale, _) = window_of(noisy, _SIDE), conversion
    some = numbers[first : first + _PLANES]
    numbers = [n for n in some if not blank_everywhere(noisy.window(n, window))]
    if len(numbers) < _FEWEST:
        return None
    before, after = (
        np.stack([_squares(one.window(n, window).astype(np.float64)) for n in numbers])
        for one in (noisy, clean)
    )
    usable = np.isfinite(before).all(axis=0) & np.isfinite(after).all(axis=0)
    y, c = before[:, usable], after[:, usable]
    if y.shape[1] < 20:
        return None
    y, c = y - y.mean(axis=0), (c - c.mean(axis=0)) / scale
    spread = (y**2).mean(axis=0)
    steady = spread <= np.quantile(spread, _UNSTEADY)
    parts = [_fitted(y[:, mask], c[:, mask]) for mask in (steady, ~steady)]
    return Response(axis, np.arange(-REACH, REACH + 1), *parts)


def _squares(plane: Array) -> Array:
    rows, columns = (length // _SQUARE for length in plane.shape)
    cut = plane[: rows * _SQUARE, : columns * _SQUARE]
    return np.asarray(cut.reshape(rows, _SQUARE, columns, _SQUARE).mean(axis=(1, 3))).ravel()


def _fitted(y: Array, c: Array) -> Array:
    """Coefficients of the planes ``y`` (T, N) around each plane of ``c`` (T, N)."""
    reach = min(REACH, (len(y) - 3) // 2)
    inner = range(reach, len(y) - reach)
    matrix = np.stack([[y[t + k] for t in inner] for k in range(-reach, reach + 1)]).reshape(
        2 * reach + 1, -1
    )
    wanted = np.stack([c[t] for t in inner]).ravel()
    found, *_ = np.linalg.lstsq(matrix.T, wanted, rcond=None)
    return np.pad(np.asarray(found), REACH - reach)
