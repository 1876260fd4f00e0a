"""Slabs: planes in the middle of their context, and the losses that are learned from them."""

import numpy as np
import pytest
import torch

from napari_noise2score.noise.correlation import REACH, Correlation
from napari_noise2score.score.context import PLANES, context_in
from napari_noise2score.score.loss import Preconditioned, Sliced
from napari_noise2score.score.perturbation import noise_source
from napari_noise2score.score.planes import PlanesInMemory
from napari_noise2score.score.slabs import central_plane, without_context
from tests.score.helpers import ArrayPlanes

DISTANCE = np.arange(-REACH, REACH + 1)
BLURRED = Correlation(np.exp(-(DISTANCE[:, None] ** 2 + DISTANCE**2) / 4))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_held_slabs_have_a_plane_in_the_middle_of_its_context():
    array = np.random.default_rng(0).random((4, 1 + PLANES, 6, 7)).astype(np.float32)
    held = PlanesInMemory.like(ArrayPlanes(array[:, 0]), array)
    assert held.shape == held.alone.shape == (4, 6, 7)
    for index in range(4):
        np.testing.assert_array_equal(held.plane(index), array[index, PLANES // 2])
        np.testing.assert_array_equal(held.context(index), context_in(array[index]))
        np.testing.assert_array_equal(held.alone.plane(index), held.plane(index))
        assert held.alone.context(index) is None


def test_without_context_only_the_plane_itself_is_left():
    slabs = torch.randn(200, 9, 4, 4)
    found = without_context(slabs, seeded())
    hidden = found[:, 0, 0, 0].isnan()
    assert 0.15 < hidden.float().mean() < 0.35
    assert torch.equal(found[:, 4], slabs[:, 4])
    assert torch.equal(found[~hidden], slabs[~hidden])
    assert found[hidden][:, [0, 1, 2, 3, 5, 6, 7, 8]].isnan().all()


@pytest.mark.parametrize('correlation', [Correlation.white(), BLURRED], ids=['white', 'blurred'])
def test_the_noise_of_planes_is_independent(correlation):
    source, generator = noise_source(correlation), seeded()
    drawn = torch.stack([source.draw((32, 32), generator) for _ in range(300)])
    found = np.corrcoef(drawn.reshape(3, -1).numpy())
    # of the 102 400 pixels one in nine or so is independent under the blur
    np.testing.assert_allclose(found, np.eye(3), atol=5 / (1e5 / 9) ** 0.5)


@pytest.mark.parametrize('loss', [Preconditioned(), Sliced()], ids=lambda loss: loss.name)
def test_the_loss_is_least_at_the_posterior_mean_given_a_context(loss):
    """One Gaussian scene, seen in a plane, which is perturbed, and in two beside it."""
    power, draw = 2.0, seeded(3)
    scene = power**0.5 * torch.randn(400, 1, 32, 32, generator=draw)
    noisy = scene + torch.randn(400, 3, 32, 32, generator=draw)
    u = torch.zeros_like(noisy)
    u[:, 1] = torch.randn(400, 32, 32, generator=draw)

    def value(own: float, others: float) -> float:
        def network(z, sigma_a):
            precision = 1 / (1 + sigma_a**2)
            here, beside = central_plane(z), z[:, [0, 2]].sum(1, keepdim=True)
            known = own * precision * here + others * beside
            return known / (1 / power + precision + 2)

        return float(loss(network, noisy, u, torch.ones_like, 0.5, seeded(4)))

    least = value(1, 1)
    for own, others in ((1.1, 1), (0.9, 1), (1, 1.1), (1, 0.9), (1.3, 0.85), (3, 0)):
        assert value(own, others) > least
