import numpy as np
import pytest
import torch

from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.noise.families import Gaussian
from napari_noise2score.progress import finish
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.plain import ScoreNetwork
from napari_noise2score.score.score_samples import BLOCK, sample_score
from napari_noise2score.settings import NetworkSettings

from .helpers import noisy_planes

UNIT = Gaussian(1.0)
TABLE = UNIT.level_table(20.0)


class Pulling(ScoreNetwork):
    """``D = level + slope (z - level)``: as if a Gaussian prior of this slope."""

    def __init__(self, level: float, slope: float) -> None:
        super().__init__(NetworkSettings(8, 2, 1))
        self.level, self.slope = level, slope

    def forward(self, z: torch.Tensor, *told: torch.Tensor) -> torch.Tensor:
        return self.level + self.slope * (z - self.level)


def samples_of(network, planes, loss='preconditioned', **options):
    model = ScoreModel(network.eval(), loss, {})
    steps = sample_score(model, planes, TABLE, device='cpu', **options)
    return finish(steps)


def test_variance_and_slope_are_told_as_the_theory_says():
    """With slope b the total variance is over by 1 / (1 - b), the perturbation's is taken off."""
    slope = 0.1
    samples = samples_of(Pulling(10.0, slope), noisy_planes(2, 96))
    _, variance = samples.noise_variance()
    expected = (1 + samples.smoothing**2) / (1 - slope) - samples.smoothing**2
    np.testing.assert_allclose(variance, expected, rtol=1e-3)
    local = samples.local_score(UNIT.coordinate(20.0), TABLE)
    np.testing.assert_allclose(local.clean, 10.0, atol=2e-3)


def test_a_loss_without_a_smoothed_score_is_read_at_the_image():
    samples = samples_of(Pulling(10.0, 0.0), noisy_planes(1, 64), 'published', draws=1)
    assert samples.smoothing == 0
    np.testing.assert_array_equal(samples.z, samples.noisy)


def test_a_network_that_does_nothing_shows_no_finite_noise():
    samples = samples_of(Pulling(10.0, 1.0), noisy_planes(1, 64), draws=1)
    _, variance = samples.noise_variance()
    assert variance.min() >= 900


@pytest.mark.parametrize('size', [20, 70, 300])
def test_any_size_is_cut_into_blocks(size):
    samples = samples_of(Pulling(10.0, 0.0), noisy_planes(1, size), draws=1)
    side = min(size, BLOCK)
    blocks = max(1, min(size, 256) // BLOCK) ** 2
    assert samples.noisy.shape == (1, blocks, side, side)
    assert samples.without(0, 16).noisy.shape[1] == blocks - len(range(0, blocks, 16))


def test_the_perturbation_has_the_correlation_of_the_noise():
    kernel = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5])
    noise = Correlation(kernel).sample((4, 128, 128), np.random.default_rng(0))
    assert noise.var() == pytest.approx(1, abs=0.03)
    assert (noise[:, 1:] * noise[:, :-1]).mean() == pytest.approx(0.5, abs=0.03)
