"""A small noisy stack with known noise, and the panel in a viewer."""

from __future__ import annotations

from typing import Any

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


def panel_in(viewer: Any) -> Any:
    """The panel, opened in a viewer as the Plugins menu does."""
    _, panel = viewer.window.add_plugin_dock_widget('napari-noise2score', 'Noise2Score')
    return getattr(panel, '__wrapped__', panel)
