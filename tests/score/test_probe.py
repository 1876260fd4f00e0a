import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_noise2score.noise.correlation import REACH, Correlation
from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.noise.level_table import LevelTable, VarianceCurve
from napari_noise2score.noise.pairs import FramePair, PlanePair, StillBlocks
from napari_noise2score.score.probe import STRENGTH, draw_probe, places_to_hold
from tests.score.helpers import ArrayPlanes, smooth_image

DISTANCE = np.arange(-REACH, REACH + 1)
BLURRED = Correlation(np.exp(-(DISTANCE[:, None] ** 2 + DISTANCE**2) / 4))


def correlated(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    root = np.sqrt(BLURRED.power(shape))
    return np.fft.irfft2(np.fft.rfft2(rng.normal(size=shape)) * root, s=shape)


def white(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=shape)


def stack(noise=white, frames: int = 4, size: int = 192) -> tuple[np.ndarray, np.ndarray]:
    """Clean (Y, X) and noisy (T, Y, X) of unit variance."""
    rng = np.random.default_rng(3)
    clean = smooth_image(1, size)[0]
    return clean, clean + np.stack([noise(clean.shape, rng) for _ in range(frames)])


@pytest.mark.parametrize('noise', [white, correlated])
@pytest.mark.parametrize('pairs', [((0, 1), (1, 2), (2, 3)), ()], ids=['frames', 'recorrupted'])
def test_risk_is_the_true_distance_of_a_smoother_without_the_truth(noise, pairs):
    clean, noisy = stack(noise)
    correlation = BLURRED if noise is correlated else None
    planes = ArrayPlanes(noisy, correlation=correlation, pairs=pairs)
    probe = draw_probe([planes], 64, torch.Generator().manual_seed(0), 200, margin=8)
    for width in (0.7, 2.0):
        risk = probe.risk(ndimage.gaussian_filter(probe.noisy, (0, width, width)))
        strength = 1.0 if pairs else (1 + STRENGTH**2) ** 0.5
        again = clean + strength * (noisy - clean)
        true = np.mean((ndimage.gaussian_filter(again, (0, width, width)) - clean) ** 2)
        # the places overlap, so their mean scatters by more than the standard error
        assert risk.value == pytest.approx(true, abs=6 * risk.standard_error + 0.01)
        assert risk.standard_error < 0.08
        assert risk.two_frames == (1.0 if pairs else 0.0)


def test_the_noisy_image_has_the_risk_1_and_smoothing_beats_it():
    _, noisy = stack()
    planes = ArrayPlanes(noisy, pairs=((0, 1), (2, 3)))
    probe = draw_probe([planes], 48, torch.Generator().manual_seed(0))
    raw = probe.risk(probe.noisy)
    smooth = probe.risk(ndimage.gaussian_filter(probe.noisy, (0, 2, 2)))
    assert raw.value == pytest.approx(1.0, abs=4 * raw.standard_error)
    assert smooth.beats(raw)
    assert not raw.beats(smooth)
    assert not smooth.beats(smooth)


def test_recorruption_follows_the_variance_of_the_level():
    """Half the variance everywhere: taken off as half."""
    clean, noisy = stack()
    quiet = clean + 0.5**0.5 * (noisy - clean)
    half = VarianceCurve(-50.0, 50.0, np.full(8, 0.5))
    probe = draw_probe([ArrayPlanes(quiet, half)], 48, torch.Generator().manual_seed(0), 200)
    raw = probe.risk(probe.noisy)
    assert raw.value == pytest.approx(0.5 * (1 + STRENGTH**2), abs=4 * raw.standard_error)


def test_same_generator_same_probe():
    _, noisy = stack(frames=2, size=64)
    first, second = (
        draw_probe([ArrayPlanes(noisy)], 32, torch.Generator().manual_seed(1)) for _ in range(2)
    )
    np.testing.assert_array_equal(first.noisy, second.noisy)
    np.testing.assert_array_equal(first.target, second.target)


def test_noise_of_a_few_values_has_no_recorrupted_risk_but_one_of_two_frames():
    """A network tells a perturbation from such noise, and the trial is not independent."""
    noisy = (np.random.default_rng(0).random((2, 64, 64)) < 0.3).astype(float) * 2
    planes = ArrayPlanes(noisy)
    planes.recorruptible = False
    unknown = draw_probe([planes], 32, torch.Generator().manual_seed(0))
    risk = unknown.risk(unknown.noisy)
    assert risk.to_dict() == {'value': None, 'standard_error': None}
    assert not risk.beats(risk)
    planes.pairs = (PlanePair(0, 1),)
    known = draw_probe([planes], 32, torch.Generator().manual_seed(0))
    assert known.risk(known.noisy).value == pytest.approx(4 * 0.21, rel=0.1)


def test_a_small_image_is_not_held_back_as_a_whole():
    small, large = ArrayPlanes(np.zeros((1, 128, 128))), ArrayPlanes(np.zeros((8, 512, 512)))
    paired = ArrayPlanes(np.zeros((2, 256, 256)), pairs=((0, 1),))
    assert places_to_hold([small], 32) == 4
    assert places_to_hold([paired], 32) == 4
    assert places_to_hold([large], 32) == 64
    assert places_to_hold([large], 32, most=16) == 16


def test_what_is_compared_is_named():
    """So that a training can hold it back."""
    noisy = np.random.default_rng(0).normal(size=(3, 96, 96))
    planes = ArrayPlanes(noisy, pairs=((0, 1), (1, 2)))
    probe = draw_probe([planes], 32, torch.Generator().manual_seed(0), 5, margin=8)
    assert len(probe.held) == 10
    for number, box in enumerate(probe.held[::2]):
        there = noisy[box.plane, box.top : box.top + 16, box.left : box.left + 16]
        np.testing.assert_allclose(probe.noisy[2 * number, 8:24, 8:24], there, rtol=1e-6)
        np.testing.assert_allclose(probe.target[2 * number + 1, 8:24, 8:24], there, rtol=1e-6)


def lit_stack(light: float) -> tuple[ArrayPlanes, np.ndarray, LevelTable]:
    """Frames of photons under two lights in turns, their clean coordinates, and the table."""
    camera = PoissonGaussian(3.0, 100.0, 4.0)
    table = camera.level_table(800.0)
    scene = 4 * np.maximum(smooth_image(1, 192)[0], 2)
    clean = 100 + 3 * np.stack([scene, light * scene, scene, light * scene])
    noisy = camera.coordinate(800.0).forward(camera.sample(clean, np.random.default_rng(2)))
    change = FramePair(0, 1, 100 * (1 - light), light).change(table)
    pairs = (PlanePair(0, 1, change), PlanePair(1, 2, change.reversed), PlanePair(2, 3, change))
    return ArrayPlanes(noisy, pairs=pairs), table.mean_of(clean), table


@pytest.mark.parametrize('light', [0.3, 0.8])
@pytest.mark.parametrize('width', [0.0, 0.7, 2.0])
def test_risk_of_frames_under_different_light_is_the_true_distance(light, width):
    planes, clean, _ = lit_stack(light)
    probe = draw_probe([planes], 64, torch.Generator().manual_seed(0), 200, margin=8)
    risk = probe.risk(ndimage.gaussian_filter(probe.noisy, (0, width, width)))
    error = (ndimage.gaussian_filter(planes.array, (0, width, width)) - clean) ** 2
    # the frame with more light counts more
    true = np.average(error.mean((1, 2)), weights=[light, 1, light, 1])
    assert risk.value == pytest.approx(true, abs=6 * risk.standard_error + 0.02)
    assert risk.two_frames == 1


def test_light_that_is_not_accounted_for_would_be_taken_for_error():
    planes, _, _ = lit_stack(0.8)
    blind = ArrayPlanes(planes.array, pairs=((0, 1), (1, 2)))
    told, untold = (
        draw_probe([image], 64, torch.Generator().manual_seed(0), 50) for image in (planes, blind)
    )
    smooth = [p.risk(ndimage.gaussian_filter(p.noisy, (0, 1, 1))).value for p in (told, untold)]
    assert smooth[1] > smooth[0] + 0.2


def test_places_that_are_not_still_are_not_compared():
    """An object in the upper half of the second frame: no error of an estimate of the first."""
    clean, noisy = stack(frames=2)
    noisy[1, :96] += 5
    still = StillBlocks(np.arange(12)[:, None] > 6, clean.shape)
    planes = ArrayPlanes(noisy, pairs=(PlanePair(0, 1, still=still),))
    probe = draw_probe([planes], 64, torch.Generator().manual_seed(0), 100)
    smooth = ndimage.gaussian_filter(probe.noisy, (0, 2, 2))
    true = np.mean((ndimage.gaussian_filter(noisy[0], 2) - clean)[112:] ** 2)
    risk = probe.risk(smooth)
    assert risk.value == pytest.approx(true, abs=6 * risk.standard_error + 0.01)
    assert probe.weight.min() == 0
    nowhere = StillBlocks(np.array([[False], [False]]), clean.shape)
    moved = ArrayPlanes(noisy, pairs=(PlanePair(0, 1, still=nowhere),))
    alone = draw_probe([moved], 64, torch.Generator().manual_seed(0), 10)
    assert alone.two_frames == 0
    assert np.isfinite(alone.risk(alone.noisy).value)


@pytest.mark.parametrize('paired', [True, False], ids=['frames', 'recorrupted'])
def test_places_without_an_image_count_for_nothing(paired):
    """The risk is that of the rest, whatever an estimate makes of them."""
    clean, noisy = stack()
    holes = noisy.copy()
    holes[:, :70] = np.nan
    pairs = tuple(PlanePair(n, n + 1) for n in range(3)) if paired else ()
    probe = draw_probe([ArrayPlanes(holes, pairs=pairs)], 64, seeded(), 60, margin=8)
    assert np.isfinite(probe.slabs).all()
    assert 0.05 < (probe.weight == 0).mean() < 0.5
    smooth = ndimage.gaussian_filter(probe.noisy, (0, 2, 2))
    risk = probe.risk(smooth)
    true = np.mean((ndimage.gaussian_filter(noisy, (0, 2, 2)) - clean)[:, 80:] ** 2)
    assert risk.value == pytest.approx(true, abs=0.1)
    blank = np.repeat(probe.weight == 0, 2, axis=0)
    assert probe.risk(np.where(blank, 1e6, smooth)).value == risk.value


def test_planes_without_an_image_are_not_tried():
    _, noisy = stack(frames=4)
    noisy[1] = noisy[3] = np.nan
    probe = draw_probe([ArrayPlanes(noisy)], 48, seeded(), 30)
    assert {box.plane for box in probe.held} == {0, 2}
    assert probe.weight.min() == 1
    assert np.isfinite(probe.risk(probe.noisy).value)


def test_an_image_of_the_size_of_a_place_tells_no_standard_error():
    """All places are the same there."""
    _, noisy = stack(frames=2, size=64)
    planes = ArrayPlanes(noisy, pairs=((0, 1),))
    probe = draw_probe([planes], 64, seeded())
    record = probe.risk(ndimage.gaussian_filter(probe.noisy, (0, 2, 2))).to_dict()
    assert record['value'] > 0
    assert record['standard_error'] is None
    smaller = draw_probe([planes], 32, seeded())
    assert smaller.risk(smaller.noisy).to_dict()['standard_error'] > 0


def seeded():
    return torch.Generator().manual_seed(0)
