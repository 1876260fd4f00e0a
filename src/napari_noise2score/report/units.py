"""Whether a clean image has the grey levels of the noisy one, or others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_noise2score.report.sample import AS_IT_IS, Conversion, Pair

Array = NDArray[np.float64]

_BROAD = 8.0
"""Width of the smoothing after which noise no longer counts, pixels."""
_SAME = 0.05
"""Difference of the scales up to which they count as the same."""


@dataclass(frozen=True, slots=True)
class Units:
    """Grey levels of a clean image: ``clean = scale * noisy + offset`` on the average.

    Attributes
    ----------
    scale, offset : float
        1 and 0 for the same grey levels.
    same : bool
        Whether they are the same, up to 5 % and what noise may feign.
    """

    scale: float
    offset: float
    same: bool

    @property
    def conversion(self) -> Conversion:
        """What the clean levels are converted by; nothing if they are the same."""
        return AS_IT_IS if self.same else (self.scale, self.offset)


def units_of(pairs: Sequence[Pair]) -> Units:
    """The grey levels of clean planes, from both after a broad smoothing.

    A scale that cannot be measured, as there is no contrast, counts as 1.
    """
    noisy: list[Array] = []
    clean: list[Array] = []
    noise = []
    for pair in pairs:
        there = np.isfinite(pair.noisy) & np.isfinite(pair.clean)
        weight = ndimage.gaussian_filter(there.astype(float), _BROAD)
        inner = weight > 0.5
        for values, into in ((pair.noisy, noisy), (pair.clean, clean)):
            smooth = ndimage.gaussian_filter(np.where(there, values, 0.0), _BROAD)
            into.append(smooth[inner] / weight[inner])
        noise.append(np.nanmean((pair.noisy - pair.clean) ** 2))
    x, y = (np.concatenate(values) for values in (noisy, clean))
    left = 1 / (4 * np.pi * _BROAD**2)  # share of white noise that the smoothing leaves
    if x.size < 2 or x.var() < 20 * left * float(np.mean(noise)) or not y.var() > 0:
        spread_x, spread_y = (np.std(np.concatenate(v)) if x.size else 0.0 for v in (noisy, clean))
        if not spread_x > 0 or 0.1 < spread_y / spread_x < 10:
            return Units(1.0, 0.0, True)
    common = float(np.cov(x, y, bias=True)[0, 1])
    scale = common / float(x.var())
    if not scale > 0:
        return Units(1.0, 0.0, True)
    offset = float(y.mean() - scale * x.mean())
    step = abs(scale * float(x.mean()) + offset - float(x.mean())) / max(float(x.std()), 1e-30)
    # noise that is left in x makes the one too small, what y has lost of the image the other
    # too large: correlated noise is not smoothed away
    within = scale - _SAME < 1 < float(y.var()) / common + _SAME
    return Units(scale, offset, within and step < 0.25)
