"""Scores of an image against its ground truth, and stacks to score on.

Protocol: the image is clipped to the range of the truth, not rounded, and every frame counts once.
Grey levels of 0 to 255 are those of the FMD benchmark (Zhang et al., CVPR 2019); Noise2Score's
tables (Kim & Ye 2021) have images of 0 to 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.metrics import structural_similarity

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from stacks import stacks

__all__ = ['psnr', 'ssim', 'stacks']

GREY_LEVELS = 255.0


def psnr(
    images: ArrayLike, truth: ArrayLike, top: float = GREY_LEVELS, *, clip: bool = True
) -> float:
    """Mean PSNR in dB of an image or frames of it, (T, ...), against a truth of 0 to ``top``.

    The truth is (Y, X) or, in colour, (Y, X, S); the error is the mean over all of its values.
    """
    reference = np.asarray(truth, np.float64)
    error = _frames(images, top if clip else None, reference.ndim) - reference
    each = np.mean(error.reshape(len(error), -1) ** 2, axis=1)
    return float(np.mean(10 * np.log10(top**2 / each)))


def ssim(images: ArrayLike, truth: ArrayLike, top: float = GREY_LEVELS) -> float:
    """Mean SSIM (scikit-image's) of frames (Y, X) or (T, Y, X) against a truth (Y, X)."""
    reference = np.asarray(truth, np.float64)
    frames = _frames(images, top, reference.ndim)
    return float(np.mean([structural_similarity(f, reference, data_range=top) for f in frames]))


def _frames(images: ArrayLike, top: float | None, axes: int) -> NDArray[np.float64]:
    frames = np.asarray(images, np.float64)
    frames = frames if top is None else np.clip(frames, 0, top)
    return frames[None] if frames.ndim == axes else frames
