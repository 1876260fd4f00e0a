"""Views of a slab that are averaged: what is perturbed in them, and what is not."""

from types import SimpleNamespace

import numpy as np
import torch

from napari_noise2score.score.context import PLANES
from napari_noise2score.score.precision import Precision
from napari_noise2score.score.view_average import ViewAverage
from tests.score.helpers import ArrayPlanes


def inputs_of(slab: torch.Tensor, *views: int) -> list[torch.Tensor]:
    """What a network is given of a slab, for views that are predicted apart."""
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
    for view in views:
        apart = ViewAverage(denoiser, ArrayPlanes(np.zeros((1, 32, 32))), [view], sigma_a=0.5)
        apart.begin(0, 0)
        apart.clean(slab)
    return seen


def test_the_plane_is_perturbed_and_its_context_is_not():
    slab = torch.full((1, 1 + PLANES, 32, 32), 7.0)
    slab[:, 0] = torch.nan  # there is no such plane
    (z,) = inputs_of(slab, 0)
    others = [n for n in range(1 + PLANES) if n != PLANES // 2]
    torch.testing.assert_close(z[:, others], slab[:, others], equal_nan=True)
    assert 0.4 < float(z[0, PLANES // 2].std()) < 0.6


def test_views_that_are_predicted_apart_are_perturbed_differently():
    one, same, other = (
        z[0, PLANES // 2] for z in inputs_of(torch.zeros(1, 1 + PLANES, 32, 32), 0, 0, 4)
    )
    assert torch.equal(one, same)
    back = torch.stack([torch.rot90(f, k) for f in (other, other.flip(1)) for k in range(4)])
    assert not any(torch.equal(one, turned) for turned in back)
