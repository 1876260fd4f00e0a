"""Real stacks with ground truth in a folder: reading them, and the FMD benchmark's scores.

A stack is NAME.tif (T, Y, X) beside NAME_gt.tif (Y, X), 8 bit. Protocol of Zhang et al., CVPR
2019: clip to 0..255, no rounding, PSNR with a range of 255, every frame counts once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray


def stacks(
    folder: Path, only: str = 'all'
) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.float64]]]:
    """Name, noisy (T, Y, X) and truth (Y, X) of every stack in ``folder``."""
    names = sorted(path.stem[:-3] for path in folder.glob('*_gt.tif'))
    if only != 'all':
        names = [name for name in only.split(',') if name in names]
    if not names:
        raise SystemExit(f'no NAME_gt.tif in {folder}')
    for name in names:
        truth = tifffile.imread(folder / f'{name}_gt.tif').astype(np.float64)
        yield name, tifffile.imread(folder / f'{name}.tif'), truth


def psnr(images: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """Mean PSNR in dB of (T, Y, X) against (Y, X), grey levels of 0 to 255."""
    error = np.clip(np.asarray(images, np.float64), 0, 255) - truth
    return float(np.mean(10 * np.log10(255**2 / np.mean(error**2, axis=(1, 2)))))
