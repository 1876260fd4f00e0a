import threading
from dataclasses import replace

import numpy as np
import pytest
from tests.hooks import seeing

from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.families import (
    Bernoulli,
    Exponential,
    Gamma,
    Gaussian,
    NoiseFamily,
    PoissonGaussian,
    Tweedie,
)
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.pipeline.correct import correct_image
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.results import Denoised, Progress
from napari_noise2score.pipeline.run import denoise_steps, single
from napari_noise2score.pipeline.stages import score_image_steps
from napari_noise2score.progress import finish
from napari_noise2score.settings import DenoiseSettings, NetworkSettings, TrainSettings

pytestmark = pytest.mark.usefixtures('one_pass')

QUICK = TrainSettings(
    seconds=None,
    steps=80,
    batch=4,
    patch=32,
    device='cpu',
    init='scratch',
    network=NetworkSettings(16, 2, 1),
)
SETTINGS = DenoiseSettings(training=QUICK, context='none', orientations=2)


def mse(image, truth) -> float:
    return float(np.mean((np.asarray(image, np.float64) - truth) ** 2))


@pytest.fixture(scope='module')
def stack():
    return synthetic_stack('nuclei', frames=3, size=96, seed=2)


@pytest.fixture(scope='module')
def result(stack):
    return denoise(stack.noisy, 'TYX', SETTINGS, name='nuclei')


def test_the_result_is_nearer_to_the_truth_in_the_same_units(stack, result):
    assert result.image.shape == stack.noisy.shape
    assert result.image.dtype == np.float32
    assert mse(result.image, stack.truth) < 0.25 * mse(stack.noisy, stack.truth)
    assert result.image.mean() == pytest.approx(stack.truth.mean(), rel=0.01)


def test_the_input_is_not_changed(stack, result):
    again = synthetic_stack('nuclei', frames=3, size=96, seed=2)
    np.testing.assert_array_equal(stack.noisy, again.noisy)


def test_noise_is_found_and_reported(stack, result):
    family = result.corrected.families[0]
    assert isinstance(family, PoissonGaussian)
    assert family.gain == pytest.approx(4.0, rel=0.1)
    channel = result.report['channels'][0]
    assert channel['noise']['gain'] == family.gain
    assert result.report['settings']['training']['seed'] == 0
    assert result.report['versions']['torch']
    assert result.report['trained_on'][0]['name'] == 'nuclei'


def test_residual_check_says_that_the_noise_and_nothing_else_was_removed(result):
    (check,) = result.corrected.checks
    assert abs(check.mean) < 0.1
    assert check.variance == pytest.approx(1.0, abs=0.15)
    assert abs(check.correlation) < 0.1


def test_other_corrections_need_no_network(stack, result):
    def never(*inputs):
        raise AssertionError('the network was asked')

    with seeing(never):
        images = {form: correct_image(result.score_map, None, form).image for form in Correction}
        gaussian = correct_image(result.score_map, NoiseRequest('gaussian', {'sigma': 8.0}))
    np.testing.assert_array_equal(images[Correction.AUTO], images[Correction.STABILISED])
    assert mse(images[Correction.CHAINED], images[Correction.STABILISED]) > 0
    assert mse(images[Correction.CHAINED], stack.truth) < 0.4 * mse(stack.noisy, stack.truth)
    assert gaussian.families == (Gaussian(8.0),)
    assert mse(gaussian.image, images[Correction.AUTO]) > 0


def test_a_weaker_gaussian_takes_less_away(result):
    removed = [
        correct_image(result.score_map, NoiseRequest(parameters={'sigma': sigma}))
        .checks[0]
        .removed
        for sigma in (1.0, 4.0)
    ]
    assert removed[1] == pytest.approx(16 * removed[0], rel=0.01)


def test_the_model_applies_to_another_image_of_the_kind(result):
    other = synthetic_stack('nuclei', frames=1, size=96, seed=9)
    source = ImageSource(other.noisy[0], 'YX')
    applied = finish(single(denoise_steps([source], SETTINGS, model=result.model)))
    assert applied.model is result.model
    assert mse(applied.image, other.truth) < 0.3 * mse(other.noisy[0], other.truth)


def test_scale_and_offset_carry_through(stack, result):
    """Grey levels in another unit give the same picture in that unit."""
    first = result.image
    second = denoise(stack.noisy * 8 + 100, 'TYX', SETTINGS).image
    # bfloat16 rounding differs, and with it what levels are measured to lack; by far less than the
    # noise of 10 grey levels
    assert mse((second - 100) / 8, first) < 0.2**2


def test_channels_have_their_own_noise(stack):
    two = np.stack([stack.noisy, 5 * stack.noisy], axis=1)
    settings = DenoiseSettings(training=QUICK, context='none', orientations=1)
    result = denoise(two, 'TCYX', settings)
    gains = [family.gain for family in result.corrected.families]
    assert gains[1] == pytest.approx(5 * gains[0], rel=1e-4)
    for channel, scale in ((0, 1), (1, 5)):
        clean = result.image[:, channel] / scale
        assert mse(clean, stack.truth) < 0.3 * mse(stack.noisy, stack.truth)


def test_several_images_share_one_score(stack):
    sources = [ImageSource(frame, 'YX', f'frame {i}') for i, frame in enumerate(stack.noisy[:2])]
    results = [event for event in denoise_steps(sources, SETTINGS) if isinstance(event, Denoised)]
    assert results[0].model is results[1].model
    assert len(results[0].report['trained_on']) == 2


def test_stages_come_in_order_and_stopping_still_corrects(stack):
    stop, stages = threading.Event(), []
    training = TrainSettings(seconds=60, batch=2, patch=32, device='cpu')
    settings = DenoiseSettings(training=training, orientations=1)

    def look(progress: Progress) -> None:
        stages.append(progress.stage)
        if stages.count('train') == 15:
            stop.set()

    steps = denoise_steps([ImageSource(stack.noisy, 'TYX')], settings, stop=stop)
    result = finish(single(steps), look)
    assert list(dict.fromkeys(stages)) == ['estimate', 'train', 'correct']
    assert result.model.training['steps_done'] == 15
    assert mse(result.image, stack.truth) < mse(stack.noisy, stack.truth)


def test_given_noise_needs_no_estimate_and_works_on_tiny_images():
    tiny = synthetic_stack('puncta', frames=1, size=16).noisy[0, :6, :7]
    with pytest.raises(InputError, match='give the noise parameters instead'):
        denoise(tiny, 'YX', SETTINGS, name='tiny')
    request = NoiseRequest.exactly(PoissonGaussian(4.0, 20.0, 3.0))
    settings = DenoiseSettings(noise=request, training=QUICK, context='none')
    result = denoise(tiny, 'YX', settings)
    assert result.image.shape == (6, 7)
    assert np.isfinite(result.image).all()
    with pytest.raises(InputError, match='could not be estimated from this image'):
        correct_image(result.score_map, NoiseRequest('gaussian'))


def test_progress_of_the_score_of_channels_goes_once_from_0_to_1(stack, result):
    prepared = model_noise(ImageSource(np.stack([stack.noisy[0]] * 3, -1), 'YXS'))
    fractions = [p.fraction for p in score_image_steps(result.model, prepared, device='cpu')]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.parametrize(
    ('arguments', 'text'),
    [
        ({'correction': 'magic'}, "'magic' is unknown; accepted are auto"),
        ({'orientations': 9}, '1 to 8'),
    ],
)
def test_settings_out_of_range_are_refused(arguments, text):
    with pytest.raises(InputError, match=text):
        DenoiseSettings(**arguments)


def test_bad_images_are_refused_by_name(stack):
    with pytest.raises(InputError, match=r'cells: no noise was detected.*NaN or infinite'):
        denoise(np.full((64, 64), np.nan), 'YX', SETTINGS, name='cells')
    with pytest.raises(InputError, match='cells: no noise was detected'):
        denoise(np.ones((64, 64)), 'YX', SETTINGS, name='cells')
    with pytest.raises(InputError, match='no image is given'):
        finish(denoise_steps([], SETTINGS))


def test_correlated_noise_is_removed_unless_taken_for_independent():
    """White denoisers return such an image as it came; the covariance in the training mends it."""
    from scipy import ndimage

    truth = synthetic_stack('nuclei', frames=1, size=128, seed=2).truth
    rng = np.random.default_rng(3)
    noise = ndimage.gaussian_filter(rng.normal(size=(6, 128, 128)), (0, 0.8, 0.8))
    noisy = truth + 12 * noise / noise.std()
    errors = {}
    alone = replace(QUICK, frames=False, steps=120)  # compared frames need no noise model
    for correlation in ('auto', 'none'):
        settings = DenoiseSettings(
            noise=NoiseRequest(correlation=correlation), training=alone, orientations=1
        )
        result = denoise(noisy, 'TYX', settings)
        errors[correlation] = mse(result.image, truth)
        told = any('treated as independent' in text for text in result.report['warnings'])
        assert told == (correlation == 'none')
        measured = result.report['channels'][0]['estimate']['correlation']['neighbours']
        assert measured == pytest.approx(np.exp(-1 / (4 * 0.64)), abs=0.06)
    # the risk of two frames ends the training for independent pixels early, which limits the harm
    assert errors['auto'] < 0.85 * errors['none']
    assert errors['auto'] < 0.35 * mse(noisy, truth)


@pytest.mark.parametrize(
    ('family', 'low', 'high', 'gain'),
    [
        (Gaussian(10.0), 0.0, 60.0, 0.4),
        (Gamma(8.0), 10.0, 200.0, 0.4),
        (Exponential(), 10.0, 200.0, 0.3),
        (Bernoulli(), 0.05, 0.9, 0.4),
        (Tweedie(1.5, 1.5), 5.0, 60.0, 0.4),
    ],
    ids=str,
)
def test_every_family_is_denoised_end_to_end(family: NoiseFamily, low, high, gain):
    truth = synthetic_stack('filaments', frames=1, size=96, seed=2).truth
    clean = low + (high - low) * (truth - truth.min()) / np.ptp(truth)
    noisy = family.sample(np.stack([clean] * 4), np.random.default_rng(0))
    settings = DenoiseSettings(noise=NoiseRequest.exactly(family), training=QUICK, context='none')
    result = denoise(noisy, 'TYX', settings)
    assert mse(result.image, clean) < gain * mse(noisy, clean)
    assert result.corrected.families == (family,)
    for form in Correction:
        again = correct_image(result.score_map, None, form)
        assert np.isfinite(again.image).all()


def test_values_that_do_not_fit_the_family_are_refused_by_image_name(stack):
    settings = DenoiseSettings(noise=NoiseRequest('bernoulli'), training=QUICK, context='none')
    with pytest.raises(InputError, match=r'photons: values are .* needs binary frames of 0 and 1'):
        denoise(stack.noisy, 'TYX', settings, name='photons')
