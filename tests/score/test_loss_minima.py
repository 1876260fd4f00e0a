"""Minima with known answers: Wiener's weight and filter, Stein's risk, kinks of the network."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from napari_noise2score.noise.correlation import Correlation
from napari_noise2score.score.loss import LOSSES, Preconditioned, Published, Sliced
from napari_noise2score.score.perturbation import Perturbation
from tests.score.test_loss import constant, seeded

SIDE = 32


class FixedStrength(Preconditioned):
    anew = 1.0, 1.0


class SmallStep(Sliced):
    sigma_a = 0.05


def correlation_of_neighbours() -> Correlation:
    """A Gaussian blur of white noise: 0.61 between neighbours."""
    place = np.arange(-4, 5)
    return Correlation(np.exp(-(place[:, None] ** 2 + place**2) / 2.0))


def gaussian_prior(loss, p: float, v: float, mean: float):
    """Network whose score is that of pixels N(mean, p) with noise v and the perturbation."""

    def network(z: Tensor, sigma_a: Tensor) -> Tensor:
        score = (mean - z) / (p + v + sigma_a**2)
        return z + (1 if isinstance(loss, Published) else v + sigma_a**2) * score

    return network


@pytest.mark.parametrize('v', [1.0, 0.4])
@pytest.mark.parametrize('name', list(LOSSES))
def test_minimum_over_gaussian_priors_is_wieners_weight(name, v):
    """Pixels N(3, q) in noise v: E[x|t] = 3 + q / (q + v) (t - 3)."""
    loss, q, mean = LOSSES[name](), 2.0, 3.0
    generator = seeded(1)
    noisy = mean + math.sqrt(q + v) * torch.randn(256, 1, SIDE, SIDE, generator=generator)
    u = torch.randn(noisy.shape, generator=generator)

    def value(p: float) -> float:
        network = gaussian_prior(loss, p, v, mean)
        return float(loss(network, noisy, u, constant(v), 0.0, seeded(2)))

    p = minimize_scalar(value, bounds=(0.2, 20.0), method='bounded').x
    one = torch.full((1, 1, 1, 1), mean + 1.0)
    output = gaussian_prior(loss, p, v, mean)(one, torch.zeros(1))
    weight = float(loss.parameterisation.clean(output, one, torch.full_like(one, v))) - mean
    assert weight == pytest.approx(q / (q + v), abs=0.015)


def bands() -> Tensor:
    """(4, Y, X // 2 + 1) indicators of rings of spatial frequency."""
    rows, columns = torch.fft.fftfreq(SIDE)[:, None], torch.fft.rfftfreq(SIDE)
    radius = (rows**2 + columns**2).sqrt()
    edges = torch.tensor([0.0, 0.1, 0.2, 0.3, 1.0])
    return torch.stack([(a <= radius) & (radius < b) for a, b in pairwise(edges)]).float()


def filtered(fields: Tensor, response: Tensor) -> Tensor:
    return torch.fft.irfft2(torch.fft.rfft2(fields) * response, s=fields.shape[-2:])


@pytest.mark.parametrize('v', [1.0, 0.4])
@pytest.mark.parametrize('correlation', [Correlation.white(), correlation_of_neighbours()])
@pytest.mark.parametrize(
    'loss', [FixedStrength(), Sliced(), SmallStep()], ids=lambda loss: type(loss).__name__
)
def test_minimum_over_filters_is_wieners_filter(loss, correlation, v):
    """Stationary image and noise v C: in every band of frequencies P_x / (P_x + (v + a^2) C)."""
    rings = bands()
    noise = torch.from_numpy(correlation.power((SIDE, SIDE))).float()
    image = (rings * torch.tensor([8.0, 2.0, 0.5, 0.1])[:, None, None]).sum(0)
    generator = seeded(4)
    perturbation = Perturbation([correlation], SIDE, generator)
    which = torch.zeros(256, dtype=torch.long)
    clean = filtered(torch.randn(256, 1, SIDE, SIDE, generator=generator), image.sqrt())
    noisy = clean + math.sqrt(v) * perturbation.draw(which, torch.zeros_like(which))
    u = perturbation.draw(which, torch.zeros_like(which))

    def value(gains: Tensor) -> Tensor:
        response = (rings * gains[:, None, None]).sum(0)
        network = lambda z, sigma_a: filtered(z, response)  # noqa: E731
        return loss(network, noisy, u, constant(v), 0.0, seeded(5))

    start = torch.zeros(4, requires_grad=True)
    (slope,) = torch.autograd.grad(value(start), start)
    gains = -torch.linalg.solve(torch.autograd.functional.hessian(value, start), slope)
    left = loss.anew[1] if isinstance(loss, Preconditioned) else loss.sigma_a
    both = torch.full((SIDE // 2 + 1,), 2.0)
    both[[0, -1]] = 1.0  # columns of the half plane that stand for themselves alone
    power = (rings * image * both).sum((1, 2))
    expected = power / (power + (v + left**2) * (rings * noise * both).sum((1, 2)))
    torch.testing.assert_close(gains, expected, atol=0.03, rtol=0)


@pytest.mark.parametrize('v', [1.0, 0.3])
@pytest.mark.parametrize('correlation', [Correlation.white(), correlation_of_neighbours()])
def test_sliced_is_steins_risk_and_the_true_risk_of_any_filter(correlation, v):
    """SURE / (n v) = |D - z|^2 / (n v) + 2 tr(C A) / n - 1, in the mean |D - x|^2 / (n v)."""
    response = torch.fft.rfft2(torch.randn(SIDE, SIDE, generator=seeded(7)) / 100)
    perturbation = Perturbation([correlation], SIDE, seeded(8))
    which = torch.zeros(512, dtype=torch.long)
    clean = torch.linspace(-1, 1, SIDE).expand(512, 1, SIDE, SIDE)
    noisy = clean + math.sqrt(v) * perturbation.draw(which, torch.zeros_like(which))
    u = perturbation.draw(which, torch.zeros_like(which))
    loss = SmallStep()(lambda z, s: filtered(z, response), noisy, u, constant(v), 0.0, seeded(0))

    impulse = torch.zeros(SIDE, SIDE)
    impulse[0, 0] = 1.0
    spectrum = torch.from_numpy(correlation.power((SIDE, SIDE))).float()
    divergence = filtered(filtered(impulse, response), spectrum)[0, 0]
    z, total = noisy + SmallStep.sigma_a * u, v + SmallStep.sigma_a**2
    result = filtered(z, response)
    stein = ((result - z) ** 2).mean() / total + 2 * divergence - 1
    assert float(loss) == pytest.approx(float(stein), abs=0.03)
    risk = ((result - clean) ** 2).mean() / total
    assert float(stein) == pytest.approx(float(risk), abs=0.03)


def test_gradient_of_sliced_sees_the_kinks_of_the_network():
    """Soft threshold: the derivative of the divergence by the threshold is all in the kinks."""
    generator = seeded(3)
    noisy = 2 * torch.randn(512, 1, SIDE, SIDE, generator=generator)
    u = torch.randn(noisy.shape, generator=generator)

    def value(threshold: Tensor) -> Tensor:
        network = lambda z, s: z.sign() * torch.relu(z.abs() - threshold)  # noqa: E731
        return SmallStep()(network, noisy, u, constant(1.0), 0.0, seeded(0))

    at = torch.tensor(1.0, requires_grad=True)
    (slope,) = torch.autograd.grad(value(at), at)
    # loss = E min(t^2, h^2) + 2 P(|t| > h) - 1, t ~ N(0, 4), by h at h = 1
    outside = math.erfc(0.5 / math.sqrt(2))
    density = math.exp(-0.125) / (2 * math.sqrt(2 * math.pi))
    assert float(slope) == pytest.approx(2 * outside - 4 * density, abs=0.06)
