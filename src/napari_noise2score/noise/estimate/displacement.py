"""Frames that show one scene at different places, after a jump of the sample or the stage.

Structure that moves by more than its own width leaves differences that look like correlated noise:
no gradient explains them, and they reach no farther than the structure. But the two frames agree
better if one of them is shifted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from napari_noise2score.noise.arrays import central

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
    shape = [fft.next_fast_len(side + reach, real=True) for side in mask.shape]
    product = fft.irfft2(fft.rfft2(one, shape).conj() * fft.rfft2(other, shape), shape) / power
    shift = np.arange(-reach, reach + 1)
    tested = np.maximum(np.abs(shift)[:, None], np.abs(shift)) >= _NEAREST
    best = float(product[np.ix_(shift, shift)][tested].max())
    return best > _ALIKE and best > product[0, 0] + _BETTER
