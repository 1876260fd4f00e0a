"""Denoisers that learn nothing, with our blind noise estimate.

Most take a stack to the unit-noise coordinate, remove noise of about unit variance frame by frame,
and come back by the exact unbiased inverse (Makitalo & Foi 2013). BMND and ndsafir are given
photons, or the line of variance against level.
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


def bmnd(noisy: NDArray[np.uint8]) -> Stack:
    """BMND for Poisson noise (Duhme et al. 2026), frame by frame; (T, Y, X) grey levels.

    Read noise counts as photons of a constant light.
    """
    from bmnd import BM3DProfile, NoiseModel
    from bmnd import bmnd as clean

    gain, variance = variance_line(noisy)
    dark = -variance / gain
    counts = np.maximum((noisy - dark) / gain, 0).astype(np.float32)
    profile = BM3DProfile(noise_model=NoiseModel.POISSON)
    return np.stack([clean(plane, profile) for plane in counts]) * gain + dark


def ndsafir(noisy: NDArray[np.unsignedinteger]) -> Stack:
    """ndsafir in space and time (Boulanger et al., IEEE TMI 2010); (T, Y, X) grey levels."""
    from ndsafir import denoise_poisson_gaussian

    gain, variance = variance_line(noisy)
    values = noisy.astype(np.float32)
    clean = denoise_poisson_gaussian(values, axes='TYX', gains=[gain], offsets=[variance])
    return np.asarray(clean, np.float32)


def variance_line(noisy: NDArray[np.unsignedinteger]) -> tuple[float, float]:
    """Noise variance against the level, as a line: slope, and variance at level zero."""
    (channel,) = model_noise(ImageSource(noisy, 'TYX')).channels
    level = np.linspace(*np.percentile(noisy, [1, 99]), 64)
    slope, variance = np.polyfit(level, channel.family.variance(level), 1)
    return max(float(slope), 1e-6), float(variance)


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
