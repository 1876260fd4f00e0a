import numpy as np
import pytest

from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.noise.level_table import level_table
from napari_noise2score.noise.measured import measured_table
from napari_noise2score.noise.pairs import PlanePair

MODEL = PoissonGaussian(4.0, 20.0, 6.0)
SAME = PlanePair(0, 1)


def frames(excess: float, size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Two frames of a ramp whose photons have ``excess`` times the modelled variance."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(30, 600, size) * np.ones((size, 1))
    coordinate = MODEL.coordinate(600.0)
    first, second = (
        coordinate.forward(ramp + excess**0.5 * (MODEL.sample(ramp, rng) - ramp)) for _ in range(2)
    )
    return first, second


@pytest.mark.parametrize('excess', [0.7, 1.0, 1.4])
def test_excess_noise_is_measured_at_every_level(excess):
    table = level_table(MODEL, 600.0)
    measured = measured_table(table, [(*frames(excess), SAME)], np.inf)
    level = np.interp([100.0, 300.0, 500.0], table.clean, table.mean)
    np.testing.assert_allclose(measured.variance_at(level), excess, rtol=0.1)
    np.testing.assert_allclose(measured.clean_value(level), table.clean_value(level))


def test_what_moves_is_not_taken_for_noise():
    table = level_table(MODEL, 600.0)
    first, second = frames(1.0)
    moved = measured_table(table, [(first, second + 30, SAME)], np.inf)
    assert moved.variance.max() <= 2 * table.variance.max() + 1e-9


def test_clipped_pixels_are_left_out_and_few_pixels_change_nothing():
    table = level_table(MODEL, 600.0)
    first, second = frames(1.0)
    rail = float(np.quantile(first, 0.7))
    clipped = np.minimum(first, rail), np.minimum(second, rail)
    measured = measured_table(table, [(*clipped, SAME)], rail)
    level = np.interp([100.0, 300.0], table.clean, table.mean)
    np.testing.assert_allclose(measured.variance_at(level), 1, rtol=0.1)
    assert measured_table(table, [(first[:20, :20], second[:20, :20], SAME)], np.inf) is table
    assert measured_table(table, [], np.inf) is table
