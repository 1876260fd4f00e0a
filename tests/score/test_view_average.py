"""Views of a slab that are averaged: what is perturbed in them, and what is not."""

from types import SimpleNamespace

import numpy as np
import torch

from napari_noise2score.score.context import PLANES
from napari_noise2score.score.precision import Precision
from napari_noise2score.score.view_average import ViewAverage
from tests.score.helpers import ArrayPlanes


def test_the_plane_is_perturbed_and_its_context_is_not():
    seen = []

    def output(z, sigma_a, image, orientation, there):
        seen.append(z)
        return z[:, PLANES // 2 : PLANES // 2 + 1]

    device = torch.device('cpu')
    denoiser = SimpleNamespace(
        device=device,
        precision=Precision(device),
        network=torch.nn.Conv2d(1, 1, 1),
        output=output,
        clean=lambda output, z: output,
    )
    views = ViewAverage(denoiser, ArrayPlanes(np.zeros((1, 32, 32))), [0], sigma_a=0.5)
    slab = torch.full((1, 1 + PLANES, 32, 32), 7.0)
    slab[:, 0] = torch.nan  # there is no such plane
    views.begin(0, 0)
    views.clean(slab)
    (z,) = seen
    others = [n for n in range(1 + PLANES) if n != PLANES // 2]
    torch.testing.assert_close(z[:, others], slab[:, others], equal_nan=True)
    assert 0.4 < float(z[0, PLANES // 2].std()) < 0.6
