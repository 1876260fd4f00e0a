import numpy as np
import pytest
import torch

from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.noise.pairs import FramePair
from napari_noise2score.score.light_changes import LightChanges

CPU = torch.device('cpu')


def test_levels_are_brought_to_the_light_of_the_other_frame_patch_by_patch():
    table = PoissonGaussian(3.0, 100.0, 4.0).level_table(900.0)
    change = FramePair(0, 1, 60.0, 0.4).change(table)
    light = LightChanges([change, None, change.reversed], CPU)
    level = torch.linspace(4, 25, 30).expand(3, 1, 1, 30).clone().requires_grad_(True)
    found = light.brought(level)
    plain = level[0, 0, 0].detach().numpy()
    np.testing.assert_allclose(found[0, 0, 0].detach(), change(plain), atol=1e-4)
    np.testing.assert_allclose(found[1].detach(), level[1].detach())
    np.testing.assert_allclose(found[2, 0, 0].detach(), change.reversed(plain), atol=1e-4)
    found[0].sum().backward()
    np.testing.assert_allclose(level.grad[0, 0, 0], change.slope(plain), rtol=0.03)
    before, slope = light.taken_back(found.detach())
    np.testing.assert_allclose(before, level.detach(), atol=1e-3)
    np.testing.assert_allclose(slope[0, 0, 0], change.slope(plain), rtol=0.03)
    assert not LightChanges([None, None], CPU).some


@pytest.mark.parametrize('read_noise', [10.0, 50.0, 100.0, 400.0])
def test_dark_levels_keep_their_slope_under_strong_read_noise(read_noise):
    """Near the offset the levels of a table are closer than single precision can tell."""
    table = PoissonGaussian(1.0, 100.0, read_noise).level_table(2000.0)
    change = FramePair(0, 1, 30.0, 0.7).change(table)
    dark = table.mean[0] - np.linspace(0, 3, 8)
    level = torch.from_numpy(dark.astype(np.float32)).reshape(1, 1, 1, -1)
    light = LightChanges([change], CPU)
    np.testing.assert_allclose(light.brought(level)[0, 0, 0], change(dark), atol=0.02)
    _, slope = light.taken_back(light.brought(level))
    np.testing.assert_allclose(slope[0, 0, 0], 0.7, rtol=0.02)
