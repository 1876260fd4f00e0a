"""Frames that show one scene at different places, after a jump of the sample or the stage.

Structure that moves by more than its own width leaves differences that look like correlated noise:
no gradient explains them, and they reach no farther than the structure. But the two frames agree
better if one of them is shifted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_noise2score.noise.arrays import central
from napari_noise2score.noise.correlation import lagged_products

_LARGEST = 512
"""Height and width of the part of the frames that is compared, pixels."""
_FARTHEST = 32
"""Largest tested shift, pixels; a quarter of the frame if it is smaller."""
_NEAREST = 2
"""Smallest tested shift: smaller ones are explained by the gradient."""
_ALIKE, _BETTER = 0.5, 0.1
"""Minimum correlation of the shifted frames, and by how much it exceeds that without a shift. By
chance it exceeds it only where noise hides the structure, and the correlation is low."""


def displaced(
    first: NDArray[np.float64], second: NDArray[np.float64], mask: NDArray[np.bool_]
) -> bool:
    """Whether two frames (Y, X) agree better if one of them is shifted, in the places of a mask.

    The measure is the correlation coefficient, which does not depend on light and offset.
    """
    window = tuple(central(side, _LARGEST) for side in first.shape)
    mask = mask[window]
    if not mask.any():
        return False
    one, other = (np.where(mask, f[window] - f[window][mask].mean(), 0) for f in (first, second))
    power = float(((one**2).sum() * (other**2).sum()) ** 0.5)
    reach = min(_FARTHEST, min(mask.shape) // 4)
    if power == 0 or reach < _NEAREST:
        return False
    alike = lagged_products(one, other, reach) / power
    away = np.abs(np.arange(-reach, reach + 1))
    best = float(alike[np.maximum(away[:, None], away) >= _NEAREST].max())
    return best > _ALIKE and best > float(alike[reach, reach]) + _BETTER
