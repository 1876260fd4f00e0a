"""Denoisers that learn nothing, in the unit-noise coordinate of our blind noise estimate.

Each takes a stack there, removes noise of about unit variance frame by frame, and comes back by
the exact unbiased inverse (Makitalo & Foi 2013).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from skimage.restoration import denoise_nl_means, denoise_wavelet, estimate_sigma

from napari_noise2score.images.source import ImageSource
from napari_noise2score.pipeline.prepare import model_noise

Plane = NDArray[np.float32]
Stack = NDArray[np.float32]


def bm3d(noisy: NDArray[np.uint8]) -> Stack:
    """BM3D with a standard deviation of one; (T, Y, X) grey levels."""
    from vst_bm3d import vst_bm3d  # needs the package bm3d

    (channel,) = model_noise(ImageSource(noisy, 'TYX')).channels
    return vst_bm3d(channel)


def non_local_means(noisy: NDArray[np.uint8]) -> Stack:
    """Non-local means with the settings of scikit-image's example; (T, Y, X) grey levels."""
    return _stabilised(noisy, _non_local_means)


def wavelets(noisy: NDArray[np.uint8]) -> Stack:
    """Soft wavelet thresholds, BayesShrink; (T, Y, X) grey levels."""
    return _stabilised(noisy, _bayes_shrink)


def _non_local_means(plane: Plane) -> Plane:
    sigma = float(estimate_sigma(plane))
    settings = {'patch_size': 5, 'patch_distance': 6, 'fast_mode': True}
    return np.asarray(denoise_nl_means(plane, h=0.8 * sigma, sigma=sigma, **settings))


def _bayes_shrink(plane: Plane) -> Plane:
    low, high = float(plane.min()), float(plane.max())
    scale = max(high - low, 1e-6)
    # it clips floating-point images to 0..1
    clean = denoise_wavelet(
        (plane - low) / scale, method='BayesShrink', mode='soft', rescale_sigma=True
    )
    return np.asarray(clean * scale + low)


def _stabilised(noisy: NDArray[np.uint8], clean: Callable[[Plane], Plane]) -> Stack:
    (channel,) = model_noise(ImageSource(noisy, 'TYX')).channels
    planes = [clean(channel.plane(index)) for index in range(channel.shape[0])]
    return channel.table.clean_value(np.stack(planes)).astype(np.float32)
