"""Muon, by what its papers say of it."""

import pytest
import torch
from torch import nn

from napari_noise2score.score.pretraining import muon
from napari_noise2score.score.pretraining.muon import MOMENTUM, Muon, nearest_orthogonal

SHAPES = [(16, 40), (40, 16), (24, 24)]


def drawn(shape, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=[False, True], ids=['float32', 'bfloat16'])
def fast_bfloat16(request, monkeypatch):
    monkeypatch.setattr(muon, 'has_fast_bfloat16', lambda device: request.param)
    return request.param


@pytest.mark.parametrize('shape', SHAPES)
def test_singular_values_come_near_one_and_directions_stay(shape, fast_bfloat16):
    matrix = drawn(shape)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    assert values.max() / values[values > 0.3 * values.max()].min() > 1.5  # there is work to do
    found = nearest_orthogonal(matrix)
    assert found.dtype == torch.float32
    within = left.T @ found @ right.T  # diagonal, if the directions are the same
    diagonal = within.diagonal()
    strong = values > 0.05 * values.max()
    assert ((diagonal[strong] > 0.6) & (diagonal[strong] < 1.3)).all()
    tolerance = 0.1 if fast_bfloat16 else 1e-4
    torch.testing.assert_close(within, torch.diag(diagonal), atol=tolerance, rtol=0)


def test_nothing_comes_of_nothing(fast_bfloat16):
    assert torch.equal(nearest_orthogonal(torch.zeros(16, 20)), torch.zeros(16, 20))


def test_precisions_agree(monkeypatch):
    found = []
    for fast in (False, True):
        monkeypatch.setattr(muon, 'has_fast_bfloat16', lambda device, fast=fast: fast)
        found.append(nearest_orthogonal(drawn((32, 96))))
    assert 0 < float((found[0] - found[1]).norm() / found[0].norm()) < 0.03


@pytest.mark.parametrize('shape', SHAPES)
def test_a_step_is_as_large_as_one_of_adam_and_goes_against_the_gradient(shape):
    weight = nn.Parameter(drawn(shape))
    before = weight.detach().clone()
    weight.grad = drawn(shape, 1)
    Muon([weight], lr=0.01).step()
    change = weight.detach() - before
    assert float(change.square().mean().sqrt()) == pytest.approx(0.2 * 0.01, rel=0.25)
    assert float((change * weight.grad).sum()) < 0


def test_the_momentum_looks_ahead():
    """Nesterov's: the gradient and the memory of it, which has the gradient already."""
    weight = nn.Parameter(torch.zeros(16, 20))
    optimiser = Muon([weight], lr=1.0)
    first, second = drawn((16, 20), 1), drawn((16, 20), 2)
    memory = torch.zeros(16, 20)
    expected = torch.zeros(16, 20)
    for gradient in (first, second):
        weight.grad = gradient.clone()
        optimiser.step()
        memory = MOMENTUM * memory + (1 - MOMENTUM) * gradient
        ahead = MOMENTUM * memory + (1 - MOMENTUM) * gradient
        expected -= 0.2 * 20**0.5 * nearest_orthogonal(ahead)
    torch.testing.assert_close(weight.detach(), expected, atol=1e-4, rtol=1e-3)


def test_a_matrix_without_gradient_stays():
    weight = nn.Parameter(drawn((16, 20)))
    before = weight.detach().clone()
    Muon([weight], lr=0.1).step()
    assert torch.equal(weight.detach(), before)
