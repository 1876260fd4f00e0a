import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.noise.estimate.blind import estimate_noise
from napari_noise2score.noise.estimate.noise_fit import NoiseFit
from napari_noise2score.noise.families import (
    Exponential,
    Gamma,
    Gaussian,
    Poisson,
    PoissonGaussian,
    Tweedie,
)
from napari_noise2score.noise.request import NoiseRequest

TRUE = PoissonGaussian(3.0, 50.0, 6.0)


@pytest.fixture(scope='module')
def fit() -> NoiseFit:
    ramp = 50 + 3.0 * np.linspace(2, 80, 256) * np.ones((6, 256, 1))
    return estimate_noise(TRUE.sample(ramp, np.random.default_rng(0)))


@pytest.fixture(scope='module')
def flat() -> NoiseFit:
    ramp = np.linspace(0, 100, 256) * np.ones((4, 256, 1))
    return estimate_noise(Gaussian(5.0).sample(ramp, np.random.default_rng(0)))


def test_auto_takes_the_estimate(fit):
    assert NoiseRequest().resolve(fit) == fit.family


def test_poisson_has_the_estimated_line(fit):
    family = NoiseRequest('poisson').resolve(fit)
    assert isinstance(family, Poisson)
    np.testing.assert_allclose(family.variance([80.0, 200.0]), fit.family.variance([80.0, 200.0]))


def test_gaussian_has_the_mean_variance(fit):
    family = NoiseRequest('gaussian').resolve(fit)
    assert isinstance(family, Gaussian)
    assert family.sigma**2 == pytest.approx(float(TRUE.variance(50 + 3 * 41)), rel=0.05)


def test_what_is_given_is_kept_and_the_rest_estimated(fit):
    family = NoiseRequest('poisson-gaussian', {'read_noise': 2.0}).resolve(fit)
    assert family.read_noise == 2.0
    assert family.gain == fit.family.gain


def test_a_complete_request_needs_no_data():
    assert NoiseRequest('poisson', {'gain': 2.0, 'offset': 1.0}).known() == Poisson(2.0, 1.0)
    assert NoiseRequest(parameters={'sigma': 4.0}).known() == Gaussian(4.0)
    assert NoiseRequest('poisson', {'gain': 2.0}).known() is None
    assert NoiseRequest.exactly(TRUE).known() == TRUE


def test_auto_with_photon_parameters_is_poisson_gaussian(fit):
    family = NoiseRequest(parameters={'gain': 2.8}).resolve(fit)
    assert isinstance(family, PoissonGaussian)
    assert family.gain == 2.8
    centre = float(np.average(fit.evidence.level, weights=fit.evidence.count))
    assert float(family.variance(centre)) == pytest.approx(float(fit.family.variance(centre)))


def test_gain_from_known_darkness(fit, flat):
    dark = {'offset': TRUE.offset, 'read_noise': TRUE.read_noise}
    family = NoiseRequest(parameters=dark).resolve(fit)
    assert family.parameters() == {**dark, 'gain': family.gain}
    assert family.gain == pytest.approx(TRUE.gain, rel=0.01)
    for offset, read_noise in ((-10.0, 9.0), (-10.0, 5.0), (200.0, 1.0)):
        request = NoiseRequest(parameters={'offset': offset, 'read_noise': read_noise})
        with pytest.raises(InputError, match='no gain can be estimated'):
            request.resolve(flat)


def test_read_noise_from_known_gain_and_offset(fit):
    known = {'gain': TRUE.gain, 'offset': TRUE.offset}
    family = NoiseRequest('poisson-gaussian', known).resolve(fit)
    assert family.read_noise == pytest.approx(TRUE.read_noise, rel=0.15)


def test_gain_of_signal_independent_noise_must_be_given(flat):
    with pytest.raises(InputError, match='no gain can be estimated'):
        NoiseRequest('poisson').resolve(flat)
    assert NoiseRequest('poisson', {'gain': 2.0, 'offset': 0.0}).resolve(flat) == Poisson(2.0, 0.0)


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        ({'family': 'pink'}, "'pink' is unknown; accepted are auto, gaussian"),
        (
            {'family': 'poisson', 'parameters': {'sigma': 1.0}},
            'sigma is not a parameter of Poisson',
        ),
        ({'family': 'gaussian', 'parameters': {'gain': 1.0}}, 'accepted are sigma'),
        ({'family': 'bernoulli', 'parameters': {'gain': 1.0}}, 'accepted are none'),
        (
            {'parameters': {'sigma': 1.0, 'gain': 2.0}},
            'no noise model has the parameters sigma, gain',
        ),
        ({'parameters': {'gain': 0.0}}, 'gain is 0; it must be greater than 0'),
        ({'family': 'gaussian', 'parameters': {'sigma': float('nan')}}, 'sigma is nan'),
        ({'parameters': {'read_noise': -1.0}}, 'read_noise is -1; it must be 0 or greater'),
        (
            {'family': 'tweedie', 'parameters': {'power': 2.5}},
            'power is 2.5; it must be 2 or less',
        ),
        ({'correlation': 'some'}, "correlation 'some' is unknown; accepted are auto, none"),
    ],
)
def test_bad_requests_are_refused(arguments, text):
    with pytest.raises(InputError, match=text):
        NoiseRequest(**arguments)


def test_shape_and_power_come_from_the_photon_transfer_points():
    """Both from the binned variances, whatever straight line was put through them."""
    ramp = np.linspace(20, 200, 256) * np.ones((6, 256, 1))
    fit = estimate_noise(Gamma(25.0).sample(ramp, np.random.default_rng(0)))
    assert NoiseRequest('gamma').resolve(fit).shape == pytest.approx(25.0, rel=0.05)
    tweedie = NoiseRequest('tweedie').resolve(fit)
    assert tweedie.power == pytest.approx(2.0, abs=0.1)
    given = NoiseRequest('tweedie', {'power': 2.0}).resolve(fit)
    assert given.dispersion == pytest.approx(1 / 25.0, rel=0.05)
    scaled = estimate_noise(Tweedie(1.5, 0.6).sample(ramp, np.random.default_rng(1)))
    assert NoiseRequest('tweedie').resolve(scaled).power == pytest.approx(1.5, abs=0.1)


def test_a_family_without_parameters_is_known_at_once():
    assert NoiseRequest('exponential').known() == Exponential()
    assert NoiseRequest(parameters={'shape': 5.0}).known() == Gamma(5.0)
