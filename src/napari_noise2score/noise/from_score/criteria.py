r"""Noise2Score's search for a noise parameter: criteria of a clean estimate without the truth.

For each candidate value the image is corrected with the learned score, and the value with the
smallest ``Q`` is selected (Kim & Ye, NeurIPS 2021, arXiv 2106.07009; terms and weights as in the
authors' code). Every criterion takes the estimate ``x`` and the noisy image ``y``, ``(..., Y,
X)``, scaled to intensities of 0 to 1 with 0 where there is no light, and returns one number for
each image, shape ``(...)``.

**Bias.** Total variation does not separate detail from noise and prefers a too smooth estimate,
that is too much noise. The fidelity terms act in the opposite direction, and dominate where
photons are few: with ``c`` times the true gain the Poisson term grows as ``c^2 g / 2``, the total
variation decreases by ``0.23 c sqrt(g x)``, so below about 20 photons per pixel the gain is too
small. The Gamma term is smallest at ``y / x = 1/2``, independent of the true value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

SMALLEST = 1e-3
"""Lower limit of intensities in a logarithm or a denominator."""


def total_variation(x: Array) -> Array:
    """Mean absolute difference of adjacent pixels, down plus right; ``(..., Y, X)`` to
    ``(...)``.
    """
    down = np.abs(np.diff(x, axis=-2)).mean(axis=(-2, -1))
    right = np.abs(np.diff(x, axis=-1)).mean(axis=(-2, -1))
    return np.asarray(down + right)


def gaussian(x: Array, y: Array) -> Array:
    """``TV(x)``."""
    return total_variation(x)


def poisson(x: Array, y: Array) -> Array:
    """``0.1 TV(x) + mean(x - y log x)``; values below the dark level count as dark."""
    safe = np.maximum(x, SMALLEST)
    fidelity = safe - np.maximum(y, 0) * np.log(safe)
    return np.asarray(0.1 * total_variation(x) + fidelity.mean(axis=(-2, -1)))


def gamma(x: Array, y: Array) -> Array:
    """``TV(x) + mean(log x + y/x + (y/x)^2)``."""
    safe = np.maximum(x, SMALLEST)
    ratio = y / safe
    fidelity = np.log(safe) + ratio + ratio**2
    return np.asarray(total_variation(x) + fidelity.mean(axis=(-2, -1)))
