import numpy as np
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
