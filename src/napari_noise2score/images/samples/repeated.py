"""The scenes of `synthetic`, each as four frames at 30 photons."""

from __future__ import annotations

import numpy as np

from napari_noise2score.images.drawing import PIXEL_SIZE
from napari_noise2score.images.samples.sample import Sample
from napari_noise2score.images.synthetic import synthetic_stack


def repeated(scene: str, seed: int) -> Sample:
    """Four frames of 512 x 512 pixels of a scene, as `synthetic_stack` makes them."""
    stack = synthetic_stack(scene, seed=seed)
    return Sample(
        name=scene,
        about=f'{len(stack.noisy)} frames of {scene} at 30 photons',
        noisy=stack.noisy,
        truth=np.broadcast_to(stack.truth, stack.noisy.shape),
        axes='TYX',
        noise=stack.noise,
        seed=seed,
        spacing={'T': (1.0, 's'), 'Y': (PIXEL_SIZE, 'µm'), 'X': (PIXEL_SIZE, 'µm')},
        still=True,
    )
