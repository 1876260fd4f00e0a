import json

import numpy as np
import pytest

from napari_noise2score.analysis import noise_parameters as parameters
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.families import Gamma, Gaussian, Poisson, PoissonGaussian
from napari_noise2score.noise.from_score.comparison import ChannelParameters, Method
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.stages import train_score_steps
from napari_noise2score.progress import finish
from napari_noise2score.score.score_samples import ScoreSamples, _blocks
from napari_noise2score.settings import NetworkSettings, TrainSettings

SMOOTHING = 2**0.5


def stack_of(family, photons=100.0):
    return synthetic_stack('nuclei', frames=3, size=128, photons=photons, noise=family, seed=2)


def ideal(stack, channel) -> ScoreSamples:
    """Samples of the true smoothed score: the pixel's mean known, its noise as it is."""
    rng = np.random.default_rng(0)
    t = np.stack([channel.plane(i) for i in range(2)]).astype(np.float64)
    slope = channel.coordinate.derivative(stack.truth)
    true = np.broadcast_to(stack.noise.variance(stack.truth) * slope**2, t.shape)
    mean = np.broadcast_to(channel.coordinate.forward(stack.truth), t.shape)
    z = t + SMOOTHING * rng.normal(size=t.shape)
    moved = z + 0.05 * rng.choice([-1, 1], t.shape)
    scores = [(mean - at) / (true + SMOOTHING**2) for at in (z, moved)]
    arrays = [_blocks(a)[None] for a in (t, z, moved, *scores, mean)]
    return ScoreSamples(*arrays, smoothing=SMOOTHING)


def compare(family, request=None, photons=100.0) -> ChannelParameters:
    stack = stack_of(family, photons)
    (channel,) = model_noise(ImageSource(stack.noisy, 'TYX'), request).channels
    return parameters.compare_channel(channel, ideal(stack, channel))


def of(found: ChannelParameters, method: Method, name: str):
    (item,) = [e for e in found.evidence if (e.method, e.parameter) == (method, name)]
    return item


def test_three_ways_agree_on_gaussian_noise():
    found = compare(Gaussian(12.0), photons=200.0)
    assert isinstance(found.family, Gaussian)
    assert found.disagreements == ()
    for method in (Method.PHOTON_TRANSFER, Method.CLOSED_FORM, Method.SEARCH):
        assert of(found, method, 'sigma').value == pytest.approx(12, rel=0.06)
    assert found.power.value == pytest.approx(0, abs=0.1)


def test_three_ways_agree_on_photon_noise():
    found = compare(PoissonGaussian(4.0, 20.0, 6.0))
    assert found.disagreements == ()
    assert of(found, Method.PHOTON_TRANSFER, 'gain').value == pytest.approx(4, rel=0.06)
    assert of(found, Method.CLOSED_FORM, 'gain').value == pytest.approx(4, rel=0.06)
    assert of(found, Method.PHOTON_TRANSFER, 'offset').value == pytest.approx(20, abs=2)


def test_two_ways_agree_on_gamma_noise():
    found = compare(Gamma(20.0), NoiseRequest('gamma'))
    assert found.disagreements == ()
    assert of(found, Method.PHOTON_TRANSFER, 'shape').value == pytest.approx(20, rel=0.08)
    assert of(found, Method.CLOSED_FORM, 'shape').value == pytest.approx(20, rel=0.15)
    assert found.power.value == pytest.approx(2, abs=0.15)


def test_a_wrong_gain_is_contradicted():
    request = NoiseRequest.exactly(PoissonGaussian(8.0, 20.0, 6.0))
    found = compare(PoissonGaussian(4.0, 20.0, 6.0), request)
    gains = [line for line in found.disagreements if line.startswith('Gain')]
    assert any('photon-transfer fit gives' in line for line in gains)
    assert any('closed form of the score gives' in line for line in gains)
    assert all('the value given is 8' in line for line in gains)


def test_a_right_value_given_is_not_contradicted():
    truth = PoissonGaussian(4.0, 20.0, 6.0)
    found = compare(truth, NoiseRequest.exactly(truth))
    assert of(found, Method.GIVEN, 'gain').value == 4
    assert found.disagreements == ()


def test_a_wrong_family_is_contradicted_by_the_power():
    found = compare(Poisson(4.0, 0.0), NoiseRequest('gaussian', {'sigma': 15.0}))
    assert found.power.value == pytest.approx(1, abs=0.3)
    assert any('to the power' in line for line in found.disagreements)


def test_little_light_is_said_instead_of_disagreement():
    found = compare(Poisson(3.0, 50.0), photons=3.0)
    assert 'photons' in of(found, Method.CLOSED_FORM, 'gain').doubt
    assert of(found, Method.SEARCH, 'gain').doubt
    assert found.power is None
    assert not any(line.startswith('Gain') for line in found.disagreements)


def test_a_family_without_closed_form_has_the_fit_alone(monkeypatch):
    monkeypatch.delitem(parameters.ESTIMATORS, Gaussian)
    found = compare(Gaussian(12.0), photons=200.0)
    assert {item.method for item in found.evidence} == {Method.PHOTON_TRANSFER}
    assert found.power is None


def test_record_is_plain_and_holds_the_curve():
    record = json.loads(json.dumps(compare(Gaussian(12.0), photons=200.0).to_dict()))
    curve = record['evidence'][-1]['curve']
    assert len(curve['parameter']) == len(curve['criterion']) > 20
    assert record['noise'] == {'family': 'gaussian', 'sigma': pytest.approx(12, rel=0.1)}


def test_a_learned_score_shows_the_noise():
    stack = stack_of(Gaussian(20.0), 150.0)
    prepared = model_noise(ImageSource(stack.noisy, 'TYX'))
    settings = TrainSettings(
        seconds=None,
        steps=100,
        batch=4,
        patch=32,
        device='cpu',
        init='scratch',
        network=NetworkSettings(16, 2, 1),
    )
    model = finish(train_score_steps([prepared], settings))
    steps = parameters.compare_parameters(model, prepared, planes=1, draws=1, device='cpu')
    (found,) = finish(steps)
    assert of(found, Method.CLOSED_FORM, 'sigma').value == pytest.approx(20, rel=0.15)
    assert of(found, Method.SEARCH, 'sigma').value == pytest.approx(20, rel=0.25)
