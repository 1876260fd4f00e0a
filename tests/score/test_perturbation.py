import numpy as np
import torch

from napari_noise2score.noise.correlation import REACH, Correlation
from napari_noise2score.score.perturbation import Perturbation

DISTANCE = np.arange(-REACH, REACH + 1)
BLURRED = Correlation(np.exp(-(DISTANCE[:, None] ** 2 + DISTANCE**2) / 4))


def neighbours(noise: torch.Tensor) -> float:
    return float((noise[..., 1:] * noise[..., :-1]).mean() / (noise**2).mean())


def test_each_patch_has_unit_variance_and_the_correlation_of_its_image():
    perturbation = Perturbation(
        [Correlation.white(), BLURRED], 32, torch.Generator().manual_seed(0)
    )
    image = torch.arange(400) % 2
    noise = perturbation.draw(image, torch.zeros_like(image))
    assert noise.shape == (400, 1, 32, 32)
    for number, correlation in ((0, 0.0), (1, np.exp(-1 / 4))):
        part = noise[image == number]
        # blurring leaves an eighth of the independent values
        assert abs(float(part.var()) - 1) < 5 * (2 * 8 / part.numel()) ** 0.5
        assert abs(neighbours(part) - correlation) < 0.02


def test_white_is_drawn_as_it_is():
    perturbation = Perturbation([Correlation.white()], 16, torch.Generator().manual_seed(4))
    expected = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(4))
    assert torch.equal(perturbation.draw(*torch.zeros(2, 3, dtype=torch.long))[:, 0], expected)


def test_noise_is_turned_with_its_patch():
    rows = Correlation(np.exp(-(DISTANCE[:, None] ** 2 / 0.1 + DISTANCE**2 / 4)))
    perturbation = Perturbation([rows], 32, torch.Generator().manual_seed(0))
    image = torch.zeros(300, dtype=torch.long)
    upright, turned = (perturbation.draw(image, torch.full((300,), way)) for way in (0, 1))
    assert neighbours(upright) > 0.6
    assert neighbours(turned) < 0.1
    assert neighbours(turned.transpose(2, 3)) > 0.6


def test_measured_noise_is_drawn_from_itself_without_its_holes():
    field = np.random.default_rng(0).choice([-1.0, 1.0], (80, 90)).astype(np.float32)
    field[30:40, 30:40] = np.nan
    correlation = Correlation(BLURRED.kernel, (field,))
    noise = Perturbation([correlation], 16, torch.Generator().manual_seed(0)).draw(
        torch.zeros(50, dtype=torch.long), torch.arange(50) % 8
    )
    assert set(noise.unique().tolist()) == {-1.0, 1.0}
    holes = Correlation(BLURRED.kernel, (np.full((80, 90), np.nan, np.float32),))
    drawn = Perturbation([holes], 16, torch.Generator().manual_seed(0)).draw(
        torch.zeros(50, dtype=torch.long), torch.zeros(50, dtype=torch.long)
    )
    assert neighbours(drawn) > 0.7
