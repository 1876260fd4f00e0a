import numpy as np
import pytest
import torch

from napari_noise2score.noise.correlation import NEAREST
from napari_noise2score.score.pretraining.synthetic_pairs import SyntheticPairs


@pytest.fixture(scope='module')
def batches():
    pairs = SyntheticPairs(32, np.random.default_rng(0), images=8)
    return [pairs.draw(16) for _ in range(40)]


def test_shapes(batches):
    z, clean, variance, near, sigma_a, weight = batches[0]
    assert z.shape == clean.shape == variance.shape == weight.shape == (16, 1, 32, 32)
    assert near.shape == (16, len(NEAREST))
    assert sigma_a.shape == (16, 1, 1, 1)
    assert all(part.dtype == torch.float32 for part in batches[0])


def test_noise_has_the_variance_stated_and_the_solution_its_mean(batches):
    """Averaged over many pairs: noise variance plus perturbation."""
    ratio, bias = [], []
    for z, clean, variance, _, sigma_a, _ in batches:
        noise = z - clean
        ratio += (
            (noise**2).mean((1, 2, 3)) / (variance.mean((1, 2, 3)) + sigma_a[:, 0, 0, 0] ** 2)
        ).tolist()
        bias += noise.mean((1, 2, 3)).tolist()
    assert np.mean(ratio) == pytest.approx(1, abs=0.05)
    assert np.mean(bias) == pytest.approx(0, abs=0.02)


def test_the_correlation_told_is_that_of_the_noise(batches):
    told, found = [], []
    for z, clean, _, near, _, _ in batches:
        noise = (z - clean)[:, 0]
        for patch, numbers in zip(noise, near, strict=True):
            told.append(float(numbers[0]))
            found.append(float((patch[:, 1:] * patch[:, :-1]).mean() / (patch**2).mean()))
    told, found = np.array(told), np.array(found)
    assert np.corrcoef(told, found)[0, 1] > 0.97
    assert (told == 0).mean() > 0.4
    assert told.max() > 0.5
