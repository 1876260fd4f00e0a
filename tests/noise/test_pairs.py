"""Pairs of frames of one scene: where they show the same, and what the light changed."""

import numpy as np
import pytest

from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.noise.pairs import FramePair, PlanePair, StillBlocks

MODEL = PoissonGaussian(3.0, 100.0, 4.0)
TABLE = MODEL.level_table(1000.0)


@pytest.mark.parametrize('light', [0.2, 0.9, 3.0])
def test_a_clean_level_is_brought_to_the_light_of_another_frame(light):
    """The mean coordinate of noisy values under the other light, however few the photons are."""
    change = FramePair(0, 1, 100 * (1 - light), light).change(TABLE)
    rng = np.random.default_rng(0)
    coordinate = MODEL.coordinate(1000.0)
    for photons in (0.5, 3.0, 30.0):
        mean = TABLE.mean_of(100 + 3 * photons)
        there = coordinate.forward(MODEL.sample(np.full(200_000, 100 + 3 * light * photons), rng))
        error = there.std() / there.size**0.5
        assert float(change(mean)) == pytest.approx(there.mean(), abs=5 * error + 0.005)
        assert float(change.reversed(change(mean))) == pytest.approx(float(mean), abs=1e-6)


def test_the_slope_is_that_of_the_change():
    change = FramePair(0, 1, -100.0, 2.0).change(TABLE)
    level = np.linspace(TABLE.mean[5], TABLE.mean[-5], 50)
    step = 0.05
    found = (change(level + step) - change(level - step)) / (2 * step)
    np.testing.assert_allclose(change.slope(level), found, rtol=0.03)
    bright = float(change.slope(TABLE.mean_of(450.0)))
    assert bright == pytest.approx(2**0.5, rel=0.02)  # the root of the light, as the noise grows


def test_under_one_light_there_is_no_change():
    assert FramePair(0, 1).change(TABLE) is None
    assert PlanePair(2, 5).reversed.change is None
    turned = PlanePair(2, 5, FramePair(0, 1, 1.0, 1.0).change(TABLE)).reversed
    assert (turned.first, turned.second) == (5, 2)
    assert float(turned.change(10.0)) < 10


def test_still_blocks_are_spread_over_the_part_that_was_compared():
    still = StillBlocks(np.array([[True, False], [True, True]]), (70, 65), (100, 10))
    inside = still.pixels
    assert inside.shape == (70, 65)
    assert not inside[:35, 32:].any()
    assert inside[35:].all()
    assert inside[:, :32].all()
    around = still.at(np.arange(300), np.arange(100))  # nothing is known outside
    assert around.shape == (300, 100)
    assert int((~around).sum()) == int((~inside).sum())
