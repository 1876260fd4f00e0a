"""Traces of an earlier processing in an image that should be raw."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 8
"""Side of the blocks of JPEG, pixels."""
_FEWEST_LEVELS = 32
_GAPS = 0.15
"""Share of unused grey levels from which an image was stretched."""
_STEPS = 0.06
"""Excess of the differences at the borders of blocks from which an image was a JPEG."""


@dataclass(frozen=True, slots=True)
class Processing:
    """What an image shows of an earlier processing.

    Attributes
    ----------
    blocks : float
        By how much neighbouring pixels differ more across the borders of blocks of 8 x 8 pixels
        than inside; about 0 if the image was no JPEG.
    blocks_error : float
        Its standard error.
    gaps : float
        Share of the grey levels between the darkest and brightest 5 % that no pixel has, although
        their neighbours are frequent; 0 for values that are no integers.
    """

    blocks: float
    blocks_error: float
    gaps: float

    @property
    def was_jpeg(self) -> bool:
        """Whether the image was compressed as a JPEG, or by blocks of that size."""
        return self.blocks > max(_STEPS, 5 * self.blocks_error)

    @property
    def was_stretched(self) -> bool:
        """Whether the contrast of the image was changed after it was recorded."""
        return self.gaps > _GAPS

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON."""
        return {**asdict(self), 'jpeg': self.was_jpeg, 'stretched': self.was_stretched}


def processing_of(plane: NDArray[Any]) -> Processing:
    """Look for traces in a plane (Y, X) of an image."""
    values = np.asarray(plane, np.float64)
    results = [_at_borders(values), _at_borders(values.T)]
    best = max(results, key=lambda found: found[0] / max(found[1], 1e-9))
    return Processing(*best, _gaps(plane))


def _at_borders(values: NDArray[np.float64]) -> tuple[float, float]:
    """Excess of second differences at one phase of eight columns, and its standard error."""
    jump = np.abs(values[:, 3:] - 3 * values[:, 2:-1] + 3 * values[:, 1:-2] - values[:, :-3])
    columns = np.nanmean(jump, axis=0) if jump.size else np.zeros(0)
    if columns.size < 6 * _BLOCK:
        return 0.0, 0.0
    usable = columns[: columns.size // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    relative = usable / np.maximum(usable.mean(axis=1, keepdims=True), 1e-12)
    phase = relative.mean(axis=0)
    errors = relative.std(axis=0) / len(relative) ** 0.5
    best = int(np.argmax(phase))
    return float(phase[best] - np.median(phase)), float(errors[best])


def _gaps(plane: NDArray[Any]) -> float:
    """Share of grey levels that are missing among frequent ones."""
    if plane.dtype.kind == 'b':
        return 0.0
    values = plane[np.isfinite(plane)]
    if values.size == 0 or not np.array_equal(values, np.round(values)):
        return 0.0
    low, high = (int(v) for v in np.percentile(values, [5, 95]))
    if high - low < _FEWEST_LEVELS or high - low > values.size / 20:
        return 0.0
    inside = values[(values >= low) & (values <= high)].astype(np.int64)
    inside -= inside.min()
    step = max(1, int(np.gcd.reduce(np.unique(inside))))  # 12 bits in 16 are no gaps
    inside, high = inside // step, low + int(inside.max()) // step
    counts = np.bincount(inside, minlength=high - low + 1)
    return float((counts == 0).mean())
