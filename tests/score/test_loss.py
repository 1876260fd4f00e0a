import math

import pytest
import torch

from napari_noise2score.score.loss import LOSSES, Preconditioned, Published, Sliced
from napari_noise2score.score.network.plain import ScoreNetwork
from napari_noise2score.settings import NetworkSettings


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def white(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(like.shape, generator=generator)


def constant(v: float):
    """Noise of one variance at every level."""
    return lambda level: torch.full_like(level, v)


unit = constant(1.0)


@pytest.mark.parametrize('name', list(LOSSES))
def test_identity_network_has_the_trivial_loss(name):
    """D(z) = z is the score 0, and E |u|^2 = 1."""
    noisy = torch.randn(64, 1, 32, 32)
    generator = torch.Generator().manual_seed(0)
    loss = LOSSES[name]()(lambda z, s: z, noisy, white(noisy, generator), unit, 0.5, generator)
    assert float(loss) == pytest.approx(1.0, abs=5 * math.sqrt(2 / noisy.numel()))


def test_true_score_of_gaussian_data_is_the_minimum():
    """Data N(0, q), noise 1: D = q z / (q + 1 + sigma_a^2) (1 + sigma_a^2 shrunk from z)."""
    q = 4.0
    noisy = math.sqrt(q + 1) * torch.randn(
        256, 1, 32, 32, generator=torch.Generator().manual_seed(1)
    )
    losses = {}
    for shrink in (0.8, 1.0, 1.25):

        def network(z, s, shrink=shrink):
            score = -z / (q + 1 + s**2) * shrink
            return z + (1 + s**2) * score

        losses[shrink] = float(
            Preconditioned()(
                network,
                noisy,
                white(noisy, seeded(3)),
                unit,
                0.5,
                torch.Generator().manual_seed(2),
            )
        )
    assert losses[1.0] < losses[0.8]
    assert losses[1.0] < losses[1.25]


def test_minimiser_does_not_depend_on_the_variance_it_is_read_with():
    """A network that makes up for v gives the same loss: v is a coordinate, not an assumption."""
    noisy = torch.randn(16, 1, 32, 32, generator=torch.Generator().manual_seed(1))

    def loss_with(v: float) -> float:
        def network(z, s):
            return z + (v + s**2) * (-z / (2 + s**2))

        return float(
            Preconditioned()(
                network,
                noisy,
                white(noisy, seeded(3)),
                lambda d: v * torch.ones_like(d),
                0.0,
                torch.Generator().manual_seed(5),
            )
        )

    assert loss_with(0.2) == pytest.approx(loss_with(1.0), rel=1e-5)


@pytest.mark.parametrize(('pretrained', 'low', 'high'), [(False, 1.0, 2.0), (True, 0.3, 1.0)])
def test_sigma_a_stays_in_its_range_and_fills_it(pretrained, low, high):
    loss = Preconditioned(pretrained=pretrained)
    drawn = loss.draw_sigma_a(4000, 0.3, torch.Generator().manual_seed(0))
    assert drawn.shape == (4000, 1, 1, 1)
    assert low <= float(drawn.min()) < 1.02 * low
    assert 0.98 * high < float(drawn.max()) <= high
    middle = math.sqrt(low * high)
    assert float((drawn < middle).float().mean()) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize('name', list(LOSSES))
def test_pixels_that_are_held_back_teach_nothing(name):
    """What stands there as a target does not matter; the others count as if there were no more."""
    noisy = torch.randn(4, 1, 16, 16, generator=seeded(1))
    u = white(noisy, seeded(2))
    weight = torch.ones_like(noisy)
    weight[:, :, 4:9, 2:7] = 0
    loss = LOSSES[name]()

    def value(target, weight=weight):
        network = lambda z, s: 0.5 * z  # noqa: E731
        return float(loss(network, noisy, target, unit, 0.0, seeded(9), weight))

    other = torch.where(weight > 0, u, 3 * u)
    assert value(u) == value(other)
    assert value(u, torch.ones_like(weight)) != value(other, torch.ones_like(weight))
    assert value(u, torch.ones_like(weight)) == pytest.approx(
        float(loss(lambda z, s: 0.5 * z, noisy, u, unit, 0.0, seeded(9))), rel=1e-5
    )


def test_published_schedule_anneals():
    """|N(0, s^2)| has the mean s sqrt(2 / pi); s goes from 0.5 to 0.01 on a straight line."""
    for progress, strength in ((0.0, 0.5), (0.5, 0.255), (1.0, 0.01)):
        drawn = Published().draw_sigma_a(40_000, progress, torch.Generator().manual_seed(0))
        expected = strength * math.sqrt(2 / math.pi)
        assert float(drawn.mean()) == pytest.approx(expected, rel=0.02)


def test_clean_levels_and_scores_of_all_parameterisations():
    z, output, v = torch.tensor([2.0]), torch.tensor([3.0]), torch.tensor([0.5])
    sigma_a = torch.tensor([1.0])
    for loss, clean, score in (
        (Preconditioned, 3.0, 1 / 1.5),
        (Published, 2.5, 1.0),
        (Sliced, 3.0, 1 / 1.5),
    ):
        read = loss.parameterisation
        assert read.clean(output, z, v).item() == clean
        assert read.score(output, z, sigma_a, v).item() == pytest.approx(score)


@pytest.mark.parametrize('name', list(LOSSES))
def test_same_generator_same_loss(name):
    noisy = torch.randn(4, 1, 16, 16)
    values = [
        LOSSES[name]()(
            lambda z, s: 0.5 * z, noisy, noisy, unit, 0.0, torch.Generator().manual_seed(9)
        )
        for _ in range(2)
    ]
    assert torch.equal(*values)


@pytest.mark.parametrize('name', list(LOSSES))
def test_a_loss_below_the_trivial_one_means_something_only_where_trivial_is_finite(name):
    """The true score of noise 1 around one level, at the end of the training."""
    noisy = torch.randn(64, 1, 32, 32, generator=seeded(1))
    loss = LOSSES[name]()

    def network(z, s):
        return z - z / (1 + s**2) if name == 'published' else torch.zeros_like(z)

    value = float(loss(network, noisy, white(noisy, seeded(2)), unit, 1.0, seeded(3)))
    if math.isfinite(loss.trivial):
        assert value < 0.6 * loss.trivial
    else:
        assert value == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize('name', list(LOSSES))
def test_gradients_in_bfloat16_are_those_of_float32(name):
    network = ScoreNetwork(NetworkSettings(8, 2, 1), seeded(1))
    torch.nn.init.normal_(network.tail.weight, std=0.1, generator=seeded(2))
    noisy = 10 + 2 * torch.randn(8, 1, 32, 32, generator=seeded(3))

    def gradient(enabled: bool) -> torch.Tensor:
        network.zero_grad()
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            u = white(noisy, seeded(4))
            loss = LOSSES[name]()(network, noisy, u, constant(0.5), 0.5, seeded(5))
        assert loss.dtype == torch.float32
        loss.backward()
        return torch.cat([w.grad.flatten() for w in network.parameters() if w.grad is not None])

    half, whole = gradient(True), gradient(False)
    assert half.isfinite().all()
    assert float(torch.cosine_similarity(half, whole, dim=0)) > 0.98
