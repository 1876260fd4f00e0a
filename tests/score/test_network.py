import pytest
import torch

from napari_noise2score.errors import InputError
from napari_noise2score.score.network.parts import local_mean
from napari_noise2score.score.network.plain import ScoreNetwork
from napari_noise2score.settings import NetworkSettings

SMALL = NetworkSettings(channels=8, levels=3, blocks=1)


def awake(settings: NetworkSettings = SMALL) -> ScoreNetwork:
    """A network whose zero-initialised layers are not zero."""
    torch.manual_seed(0)
    network = ScoreNetwork(settings)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return network.eval()


def test_first_answer_is_the_local_mean():
    z = torch.randn(2, 1, 32, 48)
    torch.testing.assert_close(ScoreNetwork(SMALL)(z, torch.zeros(2, 1, 1, 1)), local_mean(z))


def test_local_mean_of_a_constant_is_the_constant():
    torch.testing.assert_close(
        local_mean(torch.full((1, 1, 9, 9), 3.0)), torch.full((1, 1, 9, 9), 3.0)
    )


@pytest.mark.parametrize('settings', [SMALL, NetworkSettings(8, 1, 2), NetworkSettings(8, 4, 1)])
def test_nothing_beyond_the_stated_radius_matters(settings):
    network = awake(settings).double()
    radius = network.receptive_radius
    size = 2 * (radius // network.size_multiple + 2) * network.size_multiple
    z = torch.randn(1, 1, size, size, dtype=torch.double, requires_grad=True)
    centre = size // 2
    sigma = torch.zeros(1, 1, 1, 1, dtype=torch.double)
    network(z, sigma)[0, 0, centre, centre].backward()
    rows, columns = torch.nonzero(z.grad[0, 0], as_tuple=True)
    reach = max((rows - centre).abs().max().item(), (columns - centre).abs().max().item())
    assert 2 < reach <= radius


def test_same_generator_same_weights():
    first, second = (
        ScoreNetwork(SMALL, torch.Generator().manual_seed(3)).state_dict() for _ in range(2)
    )
    for name, value in first.items():
        assert torch.equal(value, second[name])


@pytest.mark.parametrize(
    'arguments', [{'channels': 4}, {'levels': 0}, {'blocks': 9}, {'channels': 'a'}]
)
def test_sizes_out_of_range_are_refused(arguments):
    with pytest.raises(InputError, match='a whole number from'):
        NetworkSettings(**arguments)
