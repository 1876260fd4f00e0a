"""The same image in other units, kinds and offsets of its numbers has the same noise."""

import numpy as np
import pytest

from napari_noise2score import Gaussian, PoissonGaussian, calibrate, estimate_noise
from napari_noise2score.noise.digits import counted, digits
from napari_noise2score.noise.estimate.intensity_unit import IntensityUnit, lost_in_double
from napari_noise2score.noise.families import Poisson, Tweedie
from napari_noise2score.noise.formulas import gamma, tweedie
from napari_noise2score.noise.local_score import Correction, LocalScore
from napari_noise2score.noise.robust_weights import huber
from napari_noise2score.noise.standardised import standardised

CAMERA = PoissonGaussian(4.0, 100.0, 3.0)


def stack(count: int = 3) -> np.ndarray:
    clean = 110 + np.linspace(0, 250, 160) * np.ones((count, 160, 1))
    return np.rint(CAMERA.sample(clean, np.random.default_rng(1))).astype(np.uint16)


@pytest.fixture(scope='module')
def usual():
    return estimate_noise(stack())


OFFSETS = [(2**31, 'u4'), (-(2**31), 'i4'), (2**50, 'u8'), (2**62, 'i8'), (-(2**62), 'i8')]


@pytest.mark.parametrize(('offset', 'kind'), OFFSETS)
def test_an_offset_of_whole_numbers_changes_nothing_else(usual, offset, kind):
    moved = (stack().astype(object) + offset).astype(kind)
    fit = estimate_noise(moved)
    assert fit.family.gain == pytest.approx(usual.family.gain, rel=1e-9)
    assert fit.family.read_noise == pytest.approx(usual.family.read_noise, rel=1e-6)
    exact = max(1e-6, np.spacing(float(abs(offset))))
    assert fit.family.offset - offset == pytest.approx(usual.family.offset, abs=exact)
    np.testing.assert_allclose(fit.evidence.variance, usual.evidence.variance)
    assert fit.errors == pytest.approx(usual.errors)


@pytest.mark.parametrize('unit', [1e-60, 1e-30, 1e-9, 1e9, 1e60])
def test_another_unit_scales_every_figure(usual, unit):
    fit = estimate_noise(stack() * unit)
    assert type(fit.family) is type(usual.family)
    for name, value in usual.family.parameters().items():
        assert fit.family.parameters()[name] == pytest.approx(value * unit, rel=2e-3)
        assert fit.errors[name] == pytest.approx(usual.errors[name] * unit, rel=0.05)
    # rounding tells values apart that were equal, and so puts some pixels into another bin
    variance = fit.evidence.variance / unit**2
    np.testing.assert_allclose(variance, usual.evidence.variance, rtol=0.1)
    np.testing.assert_allclose(fit.evidence.level / unit, usual.evidence.level, rtol=0.01)
    assert fit.warnings == usual.warnings


@pytest.mark.parametrize('kind', ['f2', '>u2', 'i8', 'f8'])
def test_another_kind_changes_nothing(usual, kind):
    assert estimate_noise(stack().astype(kind)).family == usual.family


def test_gaussian_noise_far_from_zero():
    values = np.random.default_rng(0).normal(0, 5, (3, 128, 128))
    fit = estimate_noise(values + 2.0**40)
    assert isinstance(fit.family, Gaussian)
    assert fit.family.sigma == pytest.approx(5, rel=0.03)
    coordinate = fit.family.coordinate(2.0**40 + 30, 2.0**40)
    assert np.abs(coordinate.forward(values + 2.0**40)).max() < 10
    table = fit.family.level_table(2.0**40 + 30, 2.0**40)
    t = np.array([-3.0, 0.0, 4.0])
    np.testing.assert_allclose(table.clean_value(t), coordinate.inverse(t), atol=1e-3)
    near = Gaussian(5.0)
    np.testing.assert_array_equal(near.coordinate(300, 120.0).forward([0.0, 5.0]), [0.0, 1.0])


@pytest.mark.parametrize('family', [Poisson(4.0, 100.0), CAMERA], ids=str)
@pytest.mark.parametrize('form', [Correction.STABILISED, Correction.CHAINED, Correction.PAPER])
def test_a_correction_is_the_same_upon_a_large_offset(family, form):
    by = 2.0**44
    moved = family.lowered(-by)
    y = np.array([[95.0, 104.0, 130.0, 300.0]])
    clean = []
    for own, zero in ((family, 0.0), (moved, by)):
        table = own.level_table(zero + 600.0, zero + 150.0)
        coordinate = own.coordinate(zero + 600.0, zero + 150.0)
        level = table.mean_of(zero + np.array([[103.0, 108.0, 125.0, 310.0]]))
        score = LocalScore.from_clean(coordinate, table, level)
        clean.append(own.correct(zero + y, score, form) - zero)
    np.testing.assert_allclose(clean[1], clean[0], atol=0.05)


@pytest.mark.parametrize(('zero', 'unit'), [(0.0, 1.0), (2.0**31, 1.0), (0.0, 1e-9), (0.0, 1e12)])
def test_calibration_frames_in_any_unit(zero, unit):
    rng = np.random.default_rng(0)
    dark = CAMERA.sample(np.full((6, 96, 96), 100.0), rng)
    flat = [CAMERA.sample(np.full((4, 96, 96), 100.0 + light), rng) for light in (400, 2000)]
    dark, flat = zero + unit * dark, zero + unit * np.concatenate(flat)
    found = calibrate(dark, flat).parameters
    assert found['gain'] == pytest.approx(4 * unit, rel=0.05)
    assert found['offset'] - zero == pytest.approx(100 * unit, rel=0.01)
    assert found['read_noise'] == pytest.approx(3 * unit, rel=0.05)
    assert calibrate(flat=flat).parameters['gain'] == pytest.approx(4 * unit, rel=0.1)


def test_exact_differences_of_large_whole_numbers():
    low = -(2**63)
    values = np.array([[low, low + 1, low + 5]], np.int64)
    unit = IntensityUnit.of([values])
    np.testing.assert_array_equal(unit.within(values) * unit.step, [[0, 1, 5]])
    assert lost_in_double(values.dtype, 2.0**62) == 1024
    assert lost_in_double(values.dtype, 2.0**53) == 0
    assert lost_in_double(np.dtype(float), 1e300) == 0
    constant = IntensityUnit.of([np.array([[7.0, np.nan]])])
    assert (constant.base, constant.step) == (7.0, 1.0)


def test_gamma_noise_has_no_smallest_value():
    """A Tweedie power of 2 is Gamma noise, of grey levels of any size."""
    y, score = np.array([2.0, 3.0]), np.array([-1.0, 0.2])
    expected = gamma(y, score, shape=4.0)
    for unit in (1.0, 1e-30, 1e30):
        found = tweedie(y * unit, score / unit, power=2.0, dispersion=0.25)
        np.testing.assert_allclose(found / unit, expected)
    assert Tweedie(2.0, 0.25).variance(1e-30) == pytest.approx(0.25e-60)


def test_huber_weights_in_any_unit():
    away = np.array([0.0, 1.0, 2.0, 8.0])
    for unit in (1.0, 1e-30):
        np.testing.assert_allclose(huber(away * unit, 2 * unit), [1, 1, 1, 0.25])
    np.testing.assert_array_equal(huber(np.zeros(2), 0.0), [1, 1])


def test_standardised_residual_in_any_unit():
    removed, variance = np.array([[1.0, -2.0, 3.0]]), np.array([[1.0, 4.0, 0.0]])
    for unit in (1.0, 1e-30, 1e20):
        found = standardised(removed * unit, variance * unit**2)
        np.testing.assert_allclose(found[0, :2], [1, -1])
        assert found[0, 2] == pytest.approx(3 / (5 / 3 * 1e-3) ** 0.5)
    np.testing.assert_array_equal(standardised(removed, 0 * variance), np.zeros((1, 3)))
    holes = standardised(np.array([[1.0, np.nan]]), np.ones((1, 2)))
    np.testing.assert_array_equal(holes, [[1, np.nan]])


@pytest.mark.parametrize(
    ('value', 'step', 'words'),
    [
        (2147483748.4, 0.1, '2147483748.4'),
        (2147483748.4, 0.0, '2.147e+09'),
        (3.14159, 0.5, '3.142'),
        (4e-9, 1e-11, '4e-09'),
        (0.0, 0.1, '0'),
    ],
)
def test_as_many_digits_as_matter(value, step, words):
    assert digits(value, step) == words


def test_an_offset_is_said_to_what_matters():
    assert 'offset 2147483748' in str(PoissonGaussian(4.0, 2147483748.0, 3.0))
    assert str(CAMERA) == 'Poisson-Gaussian (gain 4, offset 100, read noise 3)'


def test_a_number_goes_with_its_noun():
    assert [counted(n, 'frame') for n in (0, 1, 4)] == ['0 frames', '1 frame', '4 frames']
    assert [counted(n, 'axis', 'axes') for n in (1, 2)] == ['1 axis', '2 axes']
