import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score.score.flat_places import AWAY, PEAKED, RETURNED, FlatPlaces, flat_places

SHAPE = (6, 96, 96)
ONE = np.zeros(6, np.int64)


@pytest.fixture
def scene():
    """A flat half and a textured half; noise of variance one; what a denoiser makes of it."""
    rng = np.random.default_rng(0)
    texture = ndimage.gaussian_filter(rng.normal(size=SHAPE), (0, 1.5, 1.5)) * 10
    texture[:, :, :48] = 0
    noise = rng.normal(size=SHAPE)
    start = ndimage.gaussian_filter(texture, (0, 1, 1))
    return texture + noise, start, texture, noise


def test_nothing_comes_back_where_nothing_changes(scene):
    noisy, start, _, _ = scene
    assert flat_places(noisy, start, start, ONE) == FlatPlaces(0, 0)


@pytest.mark.parametrize('share', [0.02, 0.1, 1.0, -0.03])
def test_the_share_of_the_noise_that_comes_back_is_told(scene, share):
    noisy, start, _, noise = scene
    assert flat_places(noisy, start, start + share * noise, ONE).returned == pytest.approx(
        share, rel=0.05
    )


def test_finer_structure_is_no_noise(scene):
    noisy, start, texture, _ = scene
    assert abs(flat_places(noisy, start, texture, ONE).returned) < RETURNED / 2


def test_correlated_noise_is_noise(scene):
    """Another noise than the model's, which is what it is there to find."""
    _, start, texture, noise = scene
    grain = ndimage.uniform_filter(noise, (0, 1, 3))
    found = flat_places(texture + grain, start, start + 0.1 * grain, ONE).returned
    assert found == pytest.approx(0.1, rel=0.1)


def test_several_images_count_together_and_the_worst_for_a_third(scene):
    noisy, start, _, noise = scene
    image = np.array([0, 0, 0, 1, 1, 1])
    trained = start + 0.1 * noise * image[:, None, None]
    assert flat_places(noisy, start, trained, image).returned == pytest.approx(0.05, rel=0.05)
    one_of_six = np.arange(6)
    trained = start + 0.1 * noise * (one_of_six == 5)[:, None, None]
    found = flat_places(noisy, start, trained, one_of_six).returned
    assert found == pytest.approx(0.1 / 3, rel=0.05)


def test_without_noise_or_with_blank_places_nothing_comes_back(scene):
    noisy, start, texture, noise = scene
    assert flat_places(start, start, texture, ONE).returned == 0
    holes = noisy.copy()
    holes[:, :10, :10] = np.nan
    assert flat_places(holes, start, start + 0.1 * noise, ONE).returned == pytest.approx(
        0.1, rel=0.1
    )


@pytest.mark.parametrize('width', [0, 0.8], ids=['white', 'correlated'])
def test_normal_noise_is_told_from_that_of_a_camera_that_interpolates(scene, width):
    """Whose noise is weaker at every second pixel."""
    _, start, texture, noise = scene
    noise = ndimage.gaussian_filter(noise, (0, width, width))
    every = np.indices(SHAPE)[1:].sum(0) % 2
    found, normal = (
        flat_places(texture + each, start, start, ONE, normal=np.ones(6, bool))
        for each in (noise * np.where(every, 1.4, 0.4), noise)
    )
    assert found.hopeless
    assert found.harmed
    assert abs(normal.peaked) < PEAKED / 3
    # what is not taken for normal is not asked about
    some = np.arange(6) < 2
    noisy = np.where(some[:, None, None], noise, noise * np.where(every, 1.4, 0.4)) + texture
    assert flat_places(noisy, start, start, ONE, normal=some).peaked < PEAKED
    assert flat_places(noisy, start, start, ONE).peaked == 0


def test_what_moves_away_from_the_image_is_told(scene):
    """A bend as wide as a cell, of a fifth of the noise: no fine detail, and seen by no risk."""
    noisy, start, _, _ = scene
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    bend = 0.2 * np.sin(x / 12) * np.sin(y / 12)
    found = flat_places(noisy, start, start + bend, ONE)
    assert found.returned == pytest.approx(0, abs=RETURNED)
    assert found.away == pytest.approx(np.mean(bend[:, :48] ** 2), rel=0.4)
    assert found.harmed


def test_what_moves_nearer_to_the_truth_is_no_harm(scene):
    noisy, start, _, _ = scene
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    bend = 0.2 * np.sin(x / 12) * np.sin(y / 12)
    found = flat_places(noisy, start + bend, start, ONE)
    assert found.away < -AWAY / 2
    assert not found.harmed


@pytest.fixture
def faint(scene):
    """Structure of 1.5 pixels and a fifth of the noise in the flat half, which the start lacks."""
    noisy, start, _, noise = scene
    rng = np.random.default_rng(1)
    structure = ndimage.gaussian_filter(rng.normal(size=SHAPE), (0, 1.5, 1.5))
    structure *= 0.2 / structure.std()
    structure[:, :, 48:] = 0
    beside = noisy - noise + rng.normal(size=SHAPE)
    return noisy + structure, start, structure, noise, beside


def test_faint_structure_that_a_plane_beside_shows_too_is_no_harm(faint):
    noisy, start, structure, _, beside = faint
    trained = start + structure
    assert flat_places(noisy, start, trained, ONE).harmed
    found = flat_places(noisy, start, trained, ONE, beside + structure)
    assert not found.harmed
    assert found.returned == pytest.approx(0, abs=RETURNED)
    assert found.away < 0


def test_a_plane_beside_that_shows_something_else_excuses_nothing(faint):
    noisy, start, structure, _, beside = faint
    trained = start + structure
    without = flat_places(noisy, start, trained, ONE)
    for other in (beside, beside - structure, np.full(SHAPE, np.nan)):
        found = flat_places(noisy, start, trained, ONE, other)
        assert found.returned == pytest.approx(without.returned, abs=RETURNED / 3)
        assert found.away == pytest.approx(without.away, abs=AWAY)


def test_noise_that_comes_back_is_harm_beside_structure_too(faint):
    noisy, start, structure, noise, beside = faint
    trained = start + structure + 0.1 * noise
    found = flat_places(noisy, start, trained, ONE, beside + structure)
    assert found.returned == pytest.approx(0.1, rel=0.1)


def test_a_ghost_of_the_plane_beside_is_harm(faint):
    """What is beside and not in the plane itself was brought there."""
    _, start, structure, noise, beside = faint
    truth = beside - beside + start
    noisy = truth + noise
    found = flat_places(noisy, start, start + structure, ONE, beside + structure)
    assert found.away == pytest.approx(np.mean(structure[:, :, :48] ** 2), rel=0.2)
    assert found.harmed
