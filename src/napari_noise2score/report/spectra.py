r"""Power spectra before and after, and how much of the details was kept.

With the Fourier transforms ``Y`` of the noisy image and ``C`` of the clean one, and the power
``N`` of the noise, the share of the amplitude of the structures that was kept lies between

.. math:: \frac{\langle C Y^*\rangle - N}{\langle |Y|^2\rangle - N}
          \quad\text{and}\quad \frac{\langle C Y^*\rangle}{\langle |Y|^2\rangle - N},

because the clean image has between nothing and all of the noise. Where structures stand far above
the noise the two are close together, whatever program made the clean image. ``Re <(Y - C) C^*> /
<|C|^2>`` is negative only if something was added to the image, or sharpened: to leave noise in an
image, and to blur it, make it positive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.report.sample import Pair

Array = NDArray[np.float64]

SIDE = 64
"""Height and width of the windows, pixels; a half of that in small images."""
VISIBLE = 4.0
"""Power of structures relative to that of the noise from which they are clearly visible."""


@dataclass(frozen=True, slots=True, eq=False)
class Spectra:
    """Mean power by spatial frequency, grey levels squared.

    Attributes
    ----------
    frequency : (F,) float
        Cycles per pixel, up to 0.5.
    noisy, clean, removed, noise : (F,) float
        Power of the noisy image, the clean one, what was removed, and of the noise model.
    least, most : (F,) float
        Limits of the share of the amplitude of structures that was kept; NaN where the structures
        are weaker than the noise.
    added : (F,) float
        ``Re <(Y - C) C*> / <|C|^2>``: negative if something was added.
    kept_error, added_error : (F,) float
        Standard errors.
    """

    frequency: Array
    noisy: Array
    clean: Array
    removed: Array
    noise: Array
    least: Array
    most: Array
    kept_error: Array
    added: Array
    added_error: Array

    @property
    def visible(self) -> NDArray[np.bool_]:
        """Frequencies at which structures stand clearly above the noise, (F,)."""
        return self.noisy - self.noise > VISIBLE * self.noise

    def to_dict(self) -> dict[str, Any]:
        """Plain representation for JSON; None where there is no value."""
        return {
            name: [None if not np.isfinite(v) else float(f'{v:.6g}') for v in values]
            for name, values in asdict(self).items()
        }


def spectra(pairs: Sequence[Pair], correlation: Correlation) -> Spectra | None:
    """Spectra of the planes; None if they are too small."""
    side = SIDE if min(pairs[0].noisy.shape) >= SIDE else SIDE // 2
    parts: list[list[Array]] = [[] for _ in range(5)]
    variances = []
    for noisy, clean, variance in _windows(pairs, side):
        y, c = (fft.rfft2(a) for a in (noisy, clean))
        r = y - c
        products = ((y, y), (c, c), (r, r), (c, y), (r, c))
        for into, (one, other) in zip(parts, products, strict=True):
            into.append(_rings((one * other.conj()).real, side))
        variances.append(variance)
    if len(variances) < 2:
        return None
    yy, cc, rr, cy, rc = (np.stack(part) for part in parts)
    power = _rings(correlation.power((side, side)), side)
    noise_each = np.multiply.outer(np.array(variances), power)
    noise = noise_each.mean(axis=0)
    structure = yy.mean(axis=0) - noise
    below = structure <= noise
    least, most = (
        np.where(below, np.nan, (cy.mean(axis=0) - part) / np.where(below, 1.0, structure))
        for part in (noise, 0.0)
    )
    kept = np.where(below, 0.0, np.nan_to_num(most))
    added = rc.mean(axis=0) / np.maximum(cc.mean(axis=0), 1e-30)
    return Spectra(
        frequency=np.arange(1, side // 2 + 1) / side,
        noisy=yy.mean(axis=0),
        clean=cc.mean(axis=0),
        removed=rr.mean(axis=0),
        noise=noise,
        least=np.maximum(least, 0.0),
        most=most,
        kept_error=_error(cy, yy - noise_each, kept),
        added=added,
        added_error=_error(rc, cc, added),
    )


def _windows(pairs: Sequence[Pair], side: int) -> Iterator[tuple[Array, Array, float]]:
    """Tapered windows of noisy and clean planes without their mean, and their noise variance."""
    taper = np.hanning(side + 2)[1:-1]
    taper = np.outer(taper, taper)
    taper /= np.sqrt((taper**2).mean()) * side
    for pair in pairs:
        height, width = pair.noisy.shape
        for top in range(0, height - side + 1, side // 2):
            for left in range(0, width - side + 1, side // 2):
                where = np.s_[top : top + side, left : left + side]
                noisy, clean = pair.noisy[where], pair.clean[where]
                if not (np.isfinite(noisy).all() and np.isfinite(clean).all()):
                    continue
                variance = float(pair.variance[where].mean())
                yield taper * (noisy - noisy.mean()), taper * (clean - clean.mean()), variance


def _rings(power: Array, side: int) -> Array:
    """Mean of a half spectrum (side, side // 2 + 1) over rings of frequency, (side // 2,)."""
    down = fft.fftfreq(side)[:, None]
    across = fft.rfftfreq(side)[None]
    ring = np.round(np.hypot(down, across) * side).astype(int)
    total = np.bincount(ring.ravel(), power.ravel())
    number = np.bincount(ring.ravel())
    return np.asarray((total / number)[1 : side // 2 + 1])


def _error(above: Array, below: Array, ratio: Array) -> Array:
    """Standard error of a ratio of two sums over windows, (F,); windows overlap by a half."""
    spread = np.sqrt(((above - ratio * below) ** 2).sum(axis=0))
    return np.asarray(2 * spread / np.maximum(np.abs(below.sum(axis=0)), 1e-30))
