"""The noise of an image of which a part holds none is that of the rest."""

import json

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score import PoissonGaussian, estimate_noise
from napari_noise2score.errors import InputError
from napari_noise2score.noise.estimate.noise_fit import NoiseFit

CAMERA = PoissonGaussian(4.0, 100.0, 3.0)
SIDE = 224


def scene() -> np.ndarray:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:SIDE, :SIDE]
    blobs = zip(rng.uniform(0, SIDE, (14, 2)), rng.uniform(6, 30, 14), strict=True)
    light = (
        150 * np.exp(-((y - top) ** 2 + (x - left) ** 2) / 2 / width**2)
        for (top, left), width in blobs
    )
    return 110 + sum(light)


def frames(count: int) -> np.ndarray:
    clean = np.broadcast_to(scene(), (count, SIDE, SIDE))
    return np.rint(CAMERA.sample(clean, np.random.default_rng(count))).astype(np.uint16)


def padded(stack, width, value):
    stack = stack.astype(np.result_type(stack, type(value)))
    inside = np.zeros((SIDE, SIDE), bool)
    inside[width:-width, width:-width] = True
    return np.where(inside, stack, value)


def masked(stack, value):
    stack = stack.astype(np.result_type(stack, type(value)))
    stack[:, 70:150, 60:140] = value
    return stack


BLANKS = {
    '20 rows of zeros': lambda stack: np.where(np.arange(SIDE)[:, None] < 20, 0, stack),
    'zeros around': lambda stack: padded(stack, 45, 0),
    'a usual value around': lambda stack: padded(stack, 45, 160),
    'white around': lambda stack: padded(stack, 45, 65535),
    'NaN around': lambda stack: padded(stack, 45, np.nan),
    'infinity around': lambda stack: padded(stack, 45, np.inf),
    'a mask of zeros': lambda stack: masked(stack, 0),
    'a mask of a usual value': lambda stack: masked(stack, 140),
    'turned': lambda stack: ndimage.rotate(stack, 25, (1, 2), order=0),
}


@pytest.mark.parametrize('count', [1, 4])
@pytest.mark.parametrize('kind', BLANKS)
def test_the_gain_is_that_of_what_is_there(kind, count):
    stack = BLANKS[kind](frames(count))
    fit = estimate_noise(stack)
    assert fit.family.gain == pytest.approx(4, rel=0.2)
    assert abs(fit.family.offset - 100) < (15 if count == 1 else 6)
    assert fit.compared == (count > 1)
    assert fit.blank > 0.05
    (said,) = fit.warnings
    assert 'contain no noise' in said
    assert json.loads(json.dumps(fit.to_dict()))['blank_share'] == fit.blank


@pytest.mark.parametrize('lost', [(0,), (1, 2), (3, 5)])
def test_dropped_frames_count_for_nothing(lost):
    stack = frames(6)
    stack[list(lost)] = 0
    fit = estimate_noise(stack)
    kept = np.delete(stack, lost, axis=0)
    alone = estimate_noise(kept)
    assert fit.family == alone.family
    assert (fit.frames, fit.repeated, fit.warnings) == (len(kept), 0, alone.warnings)


@pytest.mark.parametrize('value', [0, 7.5, np.nan, np.inf])
def test_nothing_but_one_value_is_refused(value):
    for image in (np.full((64, 64), value), np.full((3, 64, 64), value)):
        with pytest.raises(InputError, match='no noise was detected'):
            estimate_noise(image)


@pytest.mark.parametrize('count', [1, 4])
@pytest.mark.parametrize('black', [109, 125, 150])
def test_values_cut_off_at_a_black_level_do_not_move_the_gain(black, count):
    stack = (np.maximum(frames(count), black) - black).astype(np.uint16)
    fit = estimate_noise(stack)
    assert fit.family.gain == pytest.approx(4, rel=0.2)
    if black > 110:
        assert any('cut off at the lower end' in text for text in fit.warnings)
        assert fit.cut == pytest.approx((stack == 0).mean(), rel=0.1)


@pytest.mark.parametrize('photons', [0.3, 1.0, 4.0])
def test_zeros_of_few_photons_are_noise_and_count(photons):
    rate = photons * (scene() - 110) / (scene() - 110).mean() + 0.01
    fit = estimate_noise(np.random.default_rng(0).poisson(rate))
    assert (fit.blank, fit.cut) == (0, 0)
    assert fit.family.gain == pytest.approx(1, rel=0.06)
    assert abs(fit.family.offset) < 0.1


def test_a_dark_half_without_any_photon_is_no_misfit():
    rate = np.where(np.arange(SIDE) < SIDE // 2, 0.0, scene() / 20)
    fit = estimate_noise(np.random.default_rng(0).poisson(rate))
    assert isinstance(fit, NoiseFit)
    assert fit.family.gain == pytest.approx(1, rel=0.1)
    assert not any('variance of the noise in the image differs' in text for text in fit.warnings)


@pytest.mark.parametrize('value', [-1e6, -1e10, 1e9, float(np.finfo(np.float32).min)])
def test_what_a_border_is_filled_with_changes_nothing(value):
    stack = frames(4).astype(np.float32) / 1000
    with_zeros, filled = (estimate_noise(padded(stack, 45, np.float32(v))) for v in (0, value))
    assert filled.family.parameters() == pytest.approx(with_zeros.family.parameters(), rel=1e-3)
    assert filled.family.name == with_zeros.family.name


def drawing() -> np.ndarray:
    """A bright disc on black, as a segmentation mask."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.where((y - 90) ** 2 + (x - 120) ** 2 < 40**2, 255, 0).astype(np.uint16)


@pytest.mark.parametrize('place', [0, 2, 4])
def test_a_frame_without_any_noise_counts_for_nothing(place):
    stack = frames(4)
    fit = estimate_noise(np.insert(stack, place, drawing(), axis=0))
    assert fit.family == estimate_noise(stack).family


def test_a_mask_alone_is_refused():
    for image in (drawing(), np.stack([drawing(), drawing().T])):
        with pytest.raises(InputError, match='no noise'):
            estimate_noise(image)
