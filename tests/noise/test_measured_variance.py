import numpy as np
import pytest

from napari_noise2score.noise.estimate.measured_variance import measured_table
from napari_noise2score.noise.families import Poisson, PoissonGaussian
from napari_noise2score.noise.pairs import FramePair, PlanePair, StillBlocks

MODEL = PoissonGaussian(4.0, 20.0, 6.0)
SAME = PlanePair(0, 1)


def frames(excess: float, size: int = 256, light: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Two frames of a ramp whose photons have ``excess`` times the modelled variance."""
    rng = np.random.default_rng(round(10 * light))
    ramp = 20 + light * np.linspace(10, 580, size) * np.ones((size, 1))
    coordinate = MODEL.coordinate(600.0)
    first, second = (
        coordinate.forward(ramp + excess**0.5 * (MODEL.sample(ramp, rng) - ramp)) for _ in range(2)
    )
    return first, second


@pytest.mark.parametrize('excess', [0.7, 1.0, 1.4])
def test_excess_noise_is_measured_at_every_level(excess):
    table = MODEL.level_table(600.0)
    measured = measured_table(table, [(*frames(excess), SAME)], np.inf)
    level = np.interp([100.0, 300.0, 500.0], table.clean, table.mean)
    np.testing.assert_allclose(measured.variance_at(level), excess, rtol=0.1)
    np.testing.assert_allclose(measured.clean_value(level), table.clean_value(level))


def test_what_moves_is_not_taken_for_noise():
    table = MODEL.level_table(600.0)
    first, second = frames(1.0)
    moved = measured_table(table, [(first, second + 30, SAME)], np.inf)
    assert moved.variance.max() <= 2 * table.variance.max() + 1e-9


def test_clipped_pixels_are_left_out_and_few_pixels_change_nothing():
    table = MODEL.level_table(600.0)
    first, second = frames(1.0)
    rail = float(np.quantile(first, 0.7))
    clipped = np.minimum(first, rail), np.minimum(second, rail)
    measured = measured_table(table, [(*clipped, SAME)], rail)
    level = np.interp([100.0, 300.0], table.clean, table.mean)
    np.testing.assert_allclose(measured.variance_at(level), 1, rtol=0.1)
    assert measured_table(table, [(first[:20, :20], second[:20, :20], SAME)], np.inf) is table
    assert measured_table(table, [], np.inf) is table


@pytest.mark.parametrize('light', [0.2, 0.6, 3.0])
@pytest.mark.parametrize('excess', [1.0, 1.4])
def test_light_that_changes_is_not_taken_for_noise(light, excess):
    table = MODEL.level_table(2000.0)
    first, _ = frames(excess)
    second, _ = frames(excess, light=light)
    change = FramePair(0, 1, 20 * (1 - light), light).change(table)
    measured = measured_table(table, [(first, second, PlanePair(0, 1, change))], np.inf)
    level = table.mean_of(20 + min(1, light) * np.array([80.0, 280.0, 480.0]))
    found = measured.variance_at(level) / table.variance_at(level)
    np.testing.assert_allclose(found, excess, rtol=0.1)


def test_places_that_are_not_still_are_left_out():
    table = MODEL.level_table(600.0)
    first, second = frames(1.0)
    second[:128] += 5
    still = StillBlocks(np.array([[False], [True]]), first.shape)
    measured = measured_table(table, [(first, second, PlanePair(0, 1, still=still))], np.inf)
    level = np.interp([100.0, 300.0, 500.0], table.clean, table.mean)
    np.testing.assert_allclose(measured.variance_at(level), 1, rtol=0.1)


def test_beyond_the_levels_that_are_seen_the_model_goes_on():
    """Frames without dark places: what is said of a few photons is not what bright ones show."""
    table = MODEL.level_table(600.0)
    first, second = (frame[:, 128:] for frame in frames(1.2))
    measured = measured_table(table, [(first, second, SAME)], np.inf)
    dark = table.mean[3]
    assert table.variance_at(dark) < 0.9
    share = float(measured.variance_at(dark) / table.variance_at(dark))
    assert share == pytest.approx(1.2, rel=0.1)


def test_dark_places_without_read_noise_have_none():
    """A photomultiplier in the dark: zero every time, so there is nothing to divide by."""
    family = Poisson(20.0, 0.0)
    table = family.level_table(2000.0)
    rng = np.random.default_rng(0)
    clean = np.maximum(np.linspace(-400, 600, 256), 0) * np.ones((256, 1))
    coordinate = family.coordinate(2000.0)
    first, second = (coordinate.forward(family.sample(light * clean, rng)) for light in (1, 0.5))
    for pair in (SAME, PlanePair(0, 1, FramePair(0, 1, 0.0, 0.5).change(table))):
        other = second if pair.change else coordinate.forward(family.sample(clean, rng))
        measured = measured_table(table, [(first, other, pair)], np.inf)
        assert np.isfinite(measured.variance).all()
        assert float(measured.variance_at(table.mean_of(400.0))) == pytest.approx(1, rel=0.15)
        assert float(measured.variance_at(table.mean[0])) < 0.05
