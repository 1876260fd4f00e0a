"""Networks that are conditioned on the noise of each image of a batch."""

import numpy as np
import pytest
import torch

from napari_noise2score.noise.correlation import NEAREST, REACH, Correlation
from napari_noise2score.noise.level_table import VarianceCurve
from napari_noise2score.score.context import PLANES
from napari_noise2score.score.denoiser import Denoiser, NoiseConditioning
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.network.choice import network_of
from napari_noise2score.score.network.parts import Network
from napari_noise2score.score.parameterisation import CleanImage, ScoreCorrection
from napari_noise2score.score.precision import Precision
from napari_noise2score.settings import NetworkSettings
from tests.score.helpers import FLAT, ArrayPlanes

CPU = torch.device('cpu')


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def image(curve: VarianceCurve = FLAT, correlation: Correlation | None = None) -> ArrayPlanes:
    return ArrayPlanes(np.zeros((1, 8, 8)), curve, correlation)


def along_rows(strength: float) -> Correlation:
    """Noise that is correlated between neighbours in a row only."""
    values = np.zeros((2 * REACH + 1, 2 * REACH + 1))
    values[REACH, REACH - 1 : REACH + 2] = strength, 1, strength
    return Correlation(values)


def network(*, context: bool = False) -> Network:
    """One whose output depends on all that it is given."""
    made = network_of(NetworkSettings(8, 2, 1, context), seeded())
    for layer in (made.tail, made.correlated):
        torch.nn.init.normal_(layer.weight, 0, 0.1, generator=seeded(1))
    return made.eval().requires_grad_(False)


def images() -> list[ArrayPlanes]:
    falling = VarianceCurve(-10.0, 10.0, np.linspace(1.0, 0.2, 8))
    return [image(), image(falling), image(falling, along_rows(0.3))]


# the noise of the images


def test_each_image_has_its_own_curve_interpolated_and_held_at_the_ends():
    first = VarianceCurve(0.0, 4.0, np.array([0.2, 0.4, 0.6, 0.8, 1.0]))
    second = VarianceCurve(-10.0, 10.0, np.array([2.0, 2.5, 3.0, 3.5, 4.0]))
    noise = NoiseConditioning([image(first), image(second)], CPU)
    levels = torch.tensor([-9.0, 0.0, 0.5, 3.75, 9.0])
    both = torch.stack([levels, levels])[:, None, None]
    found = noise.variance(both, torch.tensor([0, 1]))
    assert found.shape == both.shape
    expected = [
        np.interp(levels, np.linspace(c.start, c.stop, 5), c.values) for c in (first, second)
    ]
    np.testing.assert_allclose(found[:, 0, 0], np.stack(expected), atol=2e-3)


def test_correlations_turn_with_the_patches():
    noise = NoiseConditioning([image(correlation=along_rows(0.3))], CPU)
    upright, turned = noise.correlation(torch.tensor([0, 0]), torch.tensor([0, 1]))
    assert upright[NEAREST.index((0, 1))] == pytest.approx(0.3)
    assert turned[NEAREST.index((1, 0))] == pytest.approx(0.3)
    assert upright.sum() == turned.sum()


def test_the_variance_is_positive_if_it_is_to_divide_by():
    denoiser = Denoiser(
        network(),
        CleanImage(),
        NoiseConditioning([image(VarianceCurve(0.0, 1.0, np.zeros(4)))], CPU),
    )
    level = torch.zeros(1, 1, 2, 2)
    assert denoiser.variance(level).min() > 0.04
    assert torch.equal(denoiser.variance(level, positive=False), level)


# the denoiser


@pytest.mark.parametrize('parameterisation', [CleanImage(), ScoreCorrection()])
def test_without_a_description_the_noise_is_white_and_of_variance_one(parameterisation):
    z, sigma_a = torch.randn(2, 1, 32, 32, generator=seeded()), torch.zeros(2, 1, 1, 1)
    plain = Denoiser(network(), parameterisation)
    described = Denoiser(network(), parameterisation, NoiseConditioning([image()], CPU))
    output = plain.output(z, sigma_a)
    assert torch.equal(output, network()(z, sigma_a))
    assert torch.equal(output, described.output(z, sigma_a))
    assert torch.equal(plain.clean(output, z), described.clean(output, z))


def test_the_output_is_conditioned_on_the_image_of_each_patch():
    one = torch.randn(1, 1, 32, 32, generator=seeded())
    z, sigma_a = one.expand(3, -1, -1, -1), torch.zeros(3, 1, 1, 1)
    denoiser = Denoiser(network(), CleanImage(), NoiseConditioning(images(), CPU))
    output = denoiser.output(z, sigma_a, torch.tensor([0, 1, 2]))
    for number, described in enumerate(images()):
        alone = Denoiser(network(), CleanImage(), NoiseConditioning([described], CPU))
        torch.testing.assert_close(output[number : number + 1], alone.output(one, sigma_a[:1]))
    assert len({float(each.sum()) for each in output}) == 3


def test_several_batches_in_a_row_are_conditioned_alike():
    z = torch.randn(3, 1, 32, 32, generator=seeded())
    there = (torch.rand(3, 1, 32, 32, generator=seeded(1)) > 0.1).float()
    sigma_a, number = torch.zeros(3, 1, 1, 1), torch.tensor([2, 0, 1])
    denoiser = Denoiser(network(), CleanImage(), NoiseConditioning(images(), CPU))
    for where in (None, there):
        once = denoiser.output(z, sigma_a, number, there=where)
        twice = denoiser.output(
            torch.cat([z, -z]), sigma_a.repeat(2, 1, 1, 1), number, there=where
        )
        torch.testing.assert_close(twice[:3], once)


@pytest.mark.parametrize('parameterisation', [CleanImage(), ScoreCorrection()])
def test_clean_levels_are_those_of_tweedie_with_the_variance_of_their_image(parameterisation):
    slabs = torch.randn(3, 1 + PLANES, 32, 32, generator=seeded())
    number = torch.tensor([2, 0, 1])
    noise, exact = NoiseConditioning(images(), CPU), Precision(CPU, reduced=False)
    denoiser = Denoiser(network(context=True), parameterisation, noise, exact)
    output = denoiser.output(slabs, torch.zeros(3, 1, 1, 1), number)
    z, v = slabs[:, [PLANES // 2]], denoiser.variance(output, number)
    expected = output if isinstance(parameterisation, CleanImage) else z + v * (output - z)
    for at_once in (2, 16):
        torch.testing.assert_close(denoiser.denoise(slabs, number, at_once), expected)


@pytest.mark.parametrize('loss', ['preconditioned', 'published', 'sliced'])
def test_a_model_is_read_as_its_loss_has_trained_it(loss):
    model = ScoreModel(network(), loss, {})
    denoiser = model.denoiser(images(), CPU)
    assert denoiser.network is model.network
    assert denoiser.device == CPU
    kind = ScoreCorrection if loss == 'published' else CleanImage
    assert isinstance(denoiser.parameterisation, kind)
