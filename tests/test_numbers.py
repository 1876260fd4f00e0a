"""The same frames in other units and kinds of numbers: the same result up to the factor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_noise2score.errors import InputError
from napari_noise2score.noise.families import Gaussian, PoissonGaussian
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.settings import DenoiseSettings, NetworkSettings, TrainSettings
from tests.test_blank import SETTINGS as WITH_CONTEXT
from tests.test_blank import frames

CAMERA = PoissonGaussian(4.0, 100.0, 3.0)
SETTINGS = replace(WITH_CONTEXT, context='none')
"""The share of the other frames is measured with noise that is drawn, and depends on rounding."""


pytestmark = pytest.mark.usefixtures('with_few_trials')


@pytest.fixture(scope='module')
def usual():
    return denoise(frames(3), 'TYX', SETTINGS)


def offset_by(by: int, kind: str) -> np.ndarray:
    return (frames(3).astype(object) + by).astype(kind)


OFFSETS = [
    (2**31, 'u4'),
    (-(2**31), 'i4'),
    (2**31, 'f8'),
    (2**40, 'i8'),
    (2**50, 'u8'),
    (-(2**50), 'i8'),
]


@pytest.mark.parametrize(('by', 'kind'), OFFSETS)
def test_an_offset_larger_than_single_precision_holds(usual, by, kind):
    result = denoise(offset_by(by, kind), 'TYX', SETTINGS)
    assert result.image.dtype == np.float64
    rounding = np.spacing(float(abs(by))) / 2
    np.testing.assert_allclose(result.image - by, usual.image, atol=0.4 + rounding)
    (said,) = result.report['warnings']
    assert said.startswith('The result is in double precision (float64): single precision has st')
    assert result.report['dtype'] == 'float64'
    whole = denoise(offset_by(by, kind), 'TYX', replace(SETTINGS, output='source'))
    assert whole.image.dtype == np.dtype(kind)
    if kind != 'f8':
        difference = whole.image.astype(object) - by - np.rint(usual.image).astype(int)
        assert np.abs(difference.astype(float)).max() <= 1
        assert whole.report['warnings'] == []


def test_noise_that_double_precision_loses_is_refused():
    for noise in (
        NoiseRequest(),
        NoiseRequest(parameters={**CAMERA.parameters(), 'offset': 2.0**62}),
    ):
        with pytest.raises(InputError, match=r'double precision has steps of 1024; the noise is'):
            denoise(offset_by(2**62, 'u8'), 'TYX', replace(SETTINGS, noise=noise))


def test_whole_numbers_of_64_bits_with_noise_to_match():
    scaled = frames(3).astype(np.uint64) * np.uint64(2**54)
    result = denoise(scaled, 'TYX', SETTINGS)
    assert result.corrected.families[0].gain == pytest.approx(4 * 2.0**54, rel=0.1)
    whole = denoise(scaled, 'TYX', replace(SETTINGS, output='source'))
    np.testing.assert_allclose(whole.image.astype(float), result.image, rtol=1e-6)


@pytest.mark.parametrize('unit', [1e-30, 1e-9, 1e-4, 1e9, 1e30])
@pytest.mark.parametrize('kind', ['f4', 'f8'])
def test_any_unit(usual, unit, kind):
    result = denoise((frames(3) * unit).astype(kind), 'TYX', SETTINGS)
    np.testing.assert_allclose(result.image / unit, usual.image, atol=0.6)
    assert result.image.dtype == np.float32
    check, same = (one.report['channels'][0]['residual'] for one in (result, usual))
    assert check['variance'] == pytest.approx(same['variance'], rel=0.01)
    assert check['removed'] == pytest.approx(same['removed'] * unit, rel=0.01)
    assert result.report['warnings'] == usual.report['warnings'] == []
    assert result.report['correction'] == usual.report['correction']


@pytest.mark.parametrize('unit', [1e-9, 1e9])
def test_parameters_are_given_in_the_unit_of_the_image(unit):
    given = {name: value * unit for name, value in CAMERA.parameters().items()}
    results = [
        denoise(
            frames(2) * scale,
            'TYX',
            replace(SETTINGS, noise=NoiseRequest(parameters=parameters), correction='chained'),
        )
        for scale, parameters in ((unit, given), (1.0, CAMERA.parameters()))
    ]
    np.testing.assert_allclose(results[0].image / unit, results[1].image, atol=0.6)
    assert results[0].corrected.families == (PoissonGaussian(**given),)


@pytest.mark.parametrize(
    'kind', ['f2', '>u2', '>f4', 'i8', 'g'], ids=['half', 'big-endian', 'big', 'int64', 'long']
)
def test_any_kind_of_number(usual, kind):
    result = denoise(frames(3).astype(kind), 'TYX', SETTINGS)
    np.testing.assert_allclose(result.image, usual.image, atol=0.3)
    own = denoise(frames(3).astype(kind), 'TYX', replace(SETTINGS, output='source'))
    assert own.image.dtype == np.dtype(kind)
    np.testing.assert_allclose(own.image.astype(float), usual.image, atol=0.6)


@pytest.mark.parametrize('kind', [torch.float32, torch.bfloat16, torch.int32])
def test_tensors(usual, kind):
    result = denoise(torch.from_numpy(frames(3).astype(np.int32)).to(kind), 'TYX', SETTINGS)
    np.testing.assert_allclose(
        result.image, usual.image, atol=1.5 if kind is torch.bfloat16 else 0.3
    )


def test_gaussian_noise_far_from_zero_and_a_model_that_goes_with_it():
    rng = np.random.default_rng(0)
    values = 30 * np.sin(np.arange(128) / 9) + rng.normal(0, 5, (3, 128, 128))
    near, far = (
        denoise(values + by, 'TYX', replace(SETTINGS, noise=NoiseRequest('gaussian')))
        for by in (0.0, 2.0**40)
    )
    assert isinstance(far.corrected.families[0], Gaussian)
    np.testing.assert_allclose(far.image - 2.0**40, near.image, atol=0.1)


def test_truth_values_are_zero_and_one():
    chance = 0.05 + 0.4 * np.exp(-((np.arange(64) - 30) ** 2) / 200) * np.ones((8, 64, 1))
    bits = np.random.default_rng(0).random(chance.shape) < chance
    training = TrainSettings(
        seconds=None,
        steps=20,
        batch=4,
        patch=32,
        device='cpu',
        init='scratch',
        network=NetworkSettings(8, 2, 1),
    )
    settings = DenoiseSettings(NoiseRequest('bernoulli'), training=training, orientations=1)
    one, other = (denoise(data, 'TYX', settings) for data in (bits, bits.astype(np.uint8)))
    np.testing.assert_array_equal(one.image, other.image)
    rounded = denoise(bits, 'TYX', replace(settings, output='source'))
    assert rounded.image.dtype == bool
    np.testing.assert_array_equal(rounded.image, np.rint(one.image).clip(0, 1) == 1)


def test_half_precision_overflows_nowhere():
    bright = (frames(2).astype(np.float32) * 160).clip(0, 65504).astype(np.float16)
    result = denoise(bright, 'TYX', replace(SETTINGS, output='source'))
    assert np.isfinite(result.image).all()
