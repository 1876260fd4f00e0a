"""Photon-transfer points and lines, without an image."""

import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.noise.estimate.photon_transfer_fit import photon_transfer_line
from napari_noise2score.noise.families import Gaussian, Poisson, PoissonGaussian
from napari_noise2score.noise.photon_transfer import PhotonTransfer, PhotonTransferLine

LINE = PhotonTransferLine(slope=3.0, offset=50.0, read_noise=6.0)
FLAT = PhotonTransferLine(slope=0.0, offset=0.0, read_noise=5.0)
LEVEL = np.linspace(60.0, 300.0, 24)


def points(variance: np.ndarray, third: np.ndarray | None = None, count: float = 3000.0):
    third = np.full(LEVEL.shape, np.nan) if third is None else third
    counts = np.full(LEVEL.shape, count)
    return PhotonTransfer(LEVEL, variance, third, 24.0, counts, 'frame differences')


def test_variance_and_zero_of_a_line():
    assert LINE.rises
    assert not FLAT.rises
    assert LINE.zero == 50.0 - 36.0 / 3.0
    np.testing.assert_allclose(LINE.variance([0.0, 38.0, 50.0, 60.0]), [0.0, 0.0, 36.0, 66.0])
    np.testing.assert_allclose(FLAT.variance([-10.0, 700.0]), 25.0)


def test_families_take_their_parameters_from_points_and_line():
    on_line = points(LINE.variance(LEVEL))
    assert Poisson.fitted(on_line, LINE, {}) == {'gain': 3.0, 'offset': 38.0}
    own = PoissonGaussian.fitted(on_line, LINE, {})
    assert own == {'gain': 3.0, 'offset': 50.0, 'read_noise': 6.0}
    dark = {'offset': 50.0, 'read_noise': 6.0}
    assert PoissonGaussian.fitted(on_line, LINE, dark)['gain'] == pytest.approx(3.0, rel=1e-12)
    sigma = float(np.mean(LINE.variance(LEVEL))) ** 0.5
    assert Gaussian.fitted(on_line, LINE, {})['sigma'] == pytest.approx(sigma, rel=1e-12)


def test_a_given_gain_goes_through_the_centre_of_the_points():
    on_line = points(LINE.variance(LEVEL))
    family = PoissonGaussian(**PoissonGaussian.fitted(on_line, LINE, {'gain': 2.0}))
    assert family.gain == 2.0
    assert float(family.variance(LEVEL.mean())) == pytest.approx(float(LINE.variance(180.0)))


def test_no_gain_from_a_flat_line():
    with pytest.raises(InputError, match='no gain can be estimated'):
        Poisson.fitted(points(FLAT.variance(LEVEL)), FLAT, {})


def test_points_on_a_line_give_the_line():
    """Without third cumulants offset and read noise are one number, the zero of the line."""
    fitted = photon_transfer_line(points(LINE.variance(LEVEL)))
    assert fitted.slope == pytest.approx(3.0, rel=1e-9)
    assert (fitted.offset, fitted.read_noise) == (pytest.approx(38.0, rel=1e-9), 0.0)
    skewed = points(LINE.variance(LEVEL), third=9.0 * (LEVEL - 50.0), count=3e6)
    fitted = photon_transfer_line(skewed)
    assert fitted.offset == pytest.approx(50.0, rel=1e-9)
    assert fitted.read_noise == pytest.approx(6.0, rel=1e-9)
    flat = photon_transfer_line(points(FLAT.variance(LEVEL)))
    assert (flat.slope, flat.offset, flat.read_noise) == (0.0, 0.0, pytest.approx(5.0))


def test_standard_errors_are_those_of_simulated_points():
    """The relative variance of a point is ``3 / count``, 0.001 for a count of 3000."""
    rng = np.random.default_rng(0)
    truth = LINE.variance(LEVEL)
    fits = [
        photon_transfer_line(points(truth * (1 + rng.normal(0, 0.001**0.5, LEVEL.shape))))
        for _ in range(300)
    ]
    for name, expected in (('slope', 3.0), ('offset', 38.0)):
        values = np.array([getattr(fit, name) for fit in fits])
        errors = np.array([getattr(fit, f'{name}_error') for fit in fits])
        assert abs(values.mean() - expected) < 4 * values.std() / len(fits) ** 0.5
        # a standard deviation of 300 values is known to 4 %
        assert values.std() == pytest.approx(errors.mean(), rel=0.16)
