"""A small noisy stack with known noise."""

from __future__ import annotations

import numpy as np

from napari_noise2score.noise.families import PoissonGaussian

NOISE = PoissonGaussian(gain=4.0, offset=20.0, read_noise=3.0)


def noisy_stack(frames: int = 2, size: int = 64, seed: int = 0) -> np.ndarray:
    """(frames, size, size) uint16: one scene under photon and read noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    clean = 140 + 90 * np.sin(9 * x + seed) * np.cos(7 * y)
    noisy = NOISE.sample(np.broadcast_to(clean, (frames, size, size)), rng)
    return np.clip(np.rint(noisy), 0, 65535).astype(np.uint16)
