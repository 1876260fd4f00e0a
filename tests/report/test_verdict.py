"""Known faults of clean images are found, and a good image is not blamed for them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.families import Poisson
from napari_noise2score.progress import finish
from napari_noise2score.report.findings import measure_steps
from napari_noise2score.report.sample import Pair
from napari_noise2score.report.units import units_of
from napari_noise2score.report.verdict import verdict_of
from tests.report.scenes import NOISE, SIDE, almost_clean, measured, noisy, truth

CLEAN = truth()
NOISY = noisy(CLEAN)
GOOD = almost_clean(CLEAN, NOISY)


def verdict(image, result=None):
    return verdict_of(measured(image, result))


def test_a_good_image_is_good():
    found = verdict(NOISY, GOOD)
    assert found.blurred.startswith('No: ')
    assert found.invented.startswith('Nothing was found.')
    assert found.doubtful == []
    assert any('brightness was kept' in text for text in found.good)
    assert found.to_do == [
        'Nothing needs to be done. Look once at what was removed: it must look like noise.'
    ]


@pytest.mark.parametrize('width', [1.0, 2.0])
def test_blur_is_found_with_its_size(width):
    found = verdict(NOISY, ndimage.gaussian_filter(NOISY, width))
    assert found.blurred.startswith('Yes: of details of about ')
    assert any('weakened' in text for text in found.doubtful)
    assert any('Smooth less' in text for text in found.to_do)


def test_blur_is_measured_rightly():
    """Of a blur whose transfer is known, the limits enclose it where details are visible."""
    width = 1.0
    found = measured(NOISY, ndimage.gaussian_filter(GOOD, width)).channels[0].result.spectra
    transfer = np.exp(-0.5 * (2 * np.pi * width * found.frequency) ** 2)
    seen = found.visible
    assert seen.sum() >= 5
    assert (found.least[seen] - 0.05 < transfer[seen]).all()
    assert (transfer[seen] < found.most[seen] + 0.05).all()


def test_sharpening_is_found():
    sharp = GOOD + 1.5 * (GOOD - ndimage.gaussian_filter(GOOD, 1.5))
    found = verdict(NOISY, sharp)
    assert found.invented.startswith('Possibly: details of about ')
    assert any('sharpened, or added' in text for text in found.doubtful)


def test_an_invented_spot_is_found_where_it_is():
    result = GOOD.copy()
    result[100:108, 66:74] += 60
    findings = measured(NOISY, result)
    place = findings.channels[0].result.places[0]
    assert place.row <= 100 < place.row + 16
    assert place.column <= 66 < place.column + 16
    assert 'see the pictures' in verdict_of(findings).invented


def test_noise_that_is_left_is_found():
    found = verdict(NOISY, CLEAN + 0.6 * (NOISY - CLEAN))
    assert any('much noise is left' in text for text in found.doubtful)


def test_the_noisy_image_itself_is_named():
    found = verdict(NOISY, NOISY.copy())
    assert found.invented == 'No, it is the noisy image.'
    assert any('nothing was removed' in text for text in found.doubtful)


def test_other_units_are_named_and_converted():
    found = verdict(NOISY, (GOOD - 90) / 400)
    assert any('about 0.0025 x noisy -0.22' in text for text in found.doubtful)
    assert found.blurred.startswith('No: ')
    assert found.invented.startswith('Nothing was found.')


def test_a_darker_image_is_named():
    found = verdict(NOISY, GOOD - 6)
    assert any('darker on the average' in text for text in found.doubtful)


def test_a_jpeg_is_named():
    import imagecodecs

    grey = np.clip(0.6 * NOISY, 0, 255).astype(np.uint8)
    for quality, expected in ((30, True), (None, False)):
        image = grey
        if quality is not None:
            image = imagecodecs.jpeg_decode(imagecodecs.jpeg_encode(grey, level=quality))
        processing = measured(image).channels[0].processing
        assert processing.was_jpeg is expected
        named = [text for text in verdict(image).doubtful if 'JPEG' in text]
        assert bool(named) is expected


def test_a_stretched_contrast_is_named_but_not_left_aligned_bits():
    rng = np.random.default_rng(0)
    image = rng.poisson(100, (128, 128))
    for values, expected in ((image * 3 // 2, True), (image * 16, False), (image, False)):
        processing = measured(values.astype(np.uint16)).channels[0].processing
        assert processing.was_stretched is expected


def test_frames_that_were_mixed_are_found():
    movie = np.stack([noisy(CLEAN[:96, :96], seed) for seed in range(16)])
    for result, mixed in (
        (almost_clean(CLEAN[:96, :96], movie), False),
        (ndimage.uniform_filter1d(movie, 5, axis=0), True),
    ):
        findings = measured(movie, result)
        response = findings.channels[0].result.response
        assert response.own('steady') == pytest.approx(0.2 if mixed else 0.1, abs=0.03)
        assert response.beside('steady') == pytest.approx(0.8 if mixed else 0.0, abs=0.1)
        verdict = verdict_of(findings)
        doubtful = [text for text in verdict.doubtful if 'The frames were mixed' in text]
        assert bool(doubtful) is mixed
        assert ('along time the frames were mixed' in verdict.blurred) is mixed


MIXED = 'The frames were mixed'


@pytest.mark.parametrize(
    'units', [lambda x: (x - 90) / 400, lambda x: 10 * x], ids=['less', 'more']
)
def test_mixed_frames_are_found_in_other_units(units):
    movie = np.stack([noisy(CLEAN[:96, :96], seed) for seed in range(16)])
    findings = measured(movie, units(ndimage.uniform_filter1d(movie, 5, axis=0)))
    response = findings.channels[0].result.response
    assert response.own('steady') == pytest.approx(0.2, abs=0.03)
    assert response.beside('steady') == pytest.approx(0.8, abs=0.1)
    assert any(MIXED in text for text in verdict_of(findings).doubtful)


@pytest.mark.parametrize('value', [0, np.nan])
def test_mixed_frames_are_found_beside_an_empty_one(value):
    movie = np.stack([noisy(CLEAN[:96, :96], seed) for seed in range(16)])
    result = ndimage.uniform_filter1d(movie, 5, axis=0)
    movie[7] = result[7] = value
    findings = measured(movie, result)
    assert findings.channels[0].result.response.own('steady') == pytest.approx(0.2, abs=0.06)
    assert any(MIXED in text for text in verdict_of(findings).doubtful)


@pytest.mark.parametrize('left_in', [False, True])
def test_row_noise_that_was_removed_is_no_structure(left_in):
    rng = np.random.default_rng(2)
    clean = np.broadcast_to(CLEAN, (4, SIDE, SIDE))
    plain = np.stack([noisy(CLEAN, seed) for seed in range(4)])
    offsets = 8 * rng.normal(size=(4, SIDE, 1))
    result = almost_clean(clean, plain) + (offsets if left_in else 0)
    noisy_image, clean_image = (
        ImageSource(values, 'TYX', name)
        for values, name in ((plain + offsets, 'noisy.tif'), (result, 'clean.tif'))
    )
    findings = finish(measure_steps(noisy_image, clean_image, device='cpu'))
    assert findings.channels[0].prepared.rows.detected
    found = verdict_of(findings)
    assert not any('What was removed is alike' in text for text in found.doubtful)
    if not left_in:
        assert not any('times the noise power' in text for text in found.doubtful)
        assert found.invented.startswith('Nothing was found.')


@pytest.mark.parametrize('scale', [0.1, 2.2])
def test_units_are_measured_beside_row_noise(scale):
    offsets = 8 * np.random.default_rng(2).normal(size=(4, SIDE, 1))
    plain = np.stack([noisy(CLEAN, seed) for seed in range(4)])
    result = scale * almost_clean(np.broadcast_to(CLEAN, (4, SIDE, SIDE)), plain)
    noisy_image, clean_image = (
        ImageSource(values, 'TYX', name)
        for values, name in ((plain + offsets, 'noisy.tif'), (result, 'clean.tif'))
    )
    (channel,) = finish(measure_steps(noisy_image, clean_image, device='cpu')).channels
    assert channel.prepared.rows.detected
    assert channel.result.units.scale == pytest.approx(scale, rel=0.03)
    assert 0.7 < channel.result.agreement.whole_variance < 1.1


def test_a_place_is_named_by_its_row_and_column_in_the_image():
    side = 1200
    image = noisy(np.full((side, side), 160.0))
    result = almost_clean(np.full((side, side), 160.0), image)
    result[320:336, 480:496] += 60
    (place, *_) = measured(image, result).channels[0].result.places
    assert abs(place.row - 320) < 16
    assert abs(place.column - 480) < 16


def test_the_noise_model_is_that_with_which_it_was_made():
    findings = measured(NOISY[:96, :96], GOOD[:96, :96])
    used = {'family': 'poisson', 'gain': 5.0, 'offset': 100.0}
    found = verdict_of(replace(findings, record={'channels': [{'noise': used}, {'noise': None}]}))
    assert str(Poisson(5.0, 100.0)) in found.settings
    assert str(NOISE) not in found.settings


def test_dim_images_with_correlated_noise_have_the_same_units():
    """A broad smoothing leaves much of such noise: a regression on the noisy image is too low."""
    rng = np.random.default_rng(4)
    noise = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 1.2)
    noise *= 10 / noise.std()
    dim = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 12)
    clean = 200 + 4 * dim / dim.std()
    for scale, same in ((1.0, True), (0.8, False), (1.25, False)):
        result = 200 + scale * (clean - 200)
        pair = Pair(0, clean + noise, result, np.full(clean.shape, 100.0))
        assert units_of([pair]).same is same


def test_images_of_different_shapes_are_refused():
    source = ImageSource(NOISY, 'YX', 'noisy.tif')
    other = ImageSource(NOISY[1:], 'YX', 'clean.tif')
    with pytest.raises(InputError, match=rf'\({SIDE - 1}, {SIDE}\) \(YX\), but noisy.tif has'):
        finish(measure_steps(source, other))


def test_the_noisy_image_alone():
    found = verdict(NOISY)
    assert found.blurred == ''
    assert found.settings == 'No clean image was given.'
    assert any('noise is that of a detector' in text for text in found.good)


def test_a_processed_noisy_image_is_no_witness():
    import imagecodecs

    smooth = np.clip(0.6 * ndimage.gaussian_filter(NOISY, 0.8), 0, 255).astype(np.uint8)
    image = imagecodecs.jpeg_decode(imagecodecs.jpeg_encode(smooth, level=50))
    findings = finish(
        measure_steps(
            ImageSource(image, 'YX', 'noisy.jpg'),
            ImageSource(ndimage.median_filter(image, 5), 'YX', 'clean.tif'),
            device='cpu',
        )
    )
    found = verdict_of(findings)
    assert 'But the noisy image was processed before' in found.blurred
    assert any('JPEG' in text for text in found.doubtful)
    assert any('Use the file that the microscope wrote' in text for text in found.to_do)
    assert not any('900 %' in text for text in found.doubtful)


@pytest.mark.parametrize(
    ('risk', 'good'),
    [
        ({'value': 0.05, 'standard_error': 0.01}, True),
        ({'value': 1.2, 'standard_error': None}, False),
        ({'value': 0.45, 'standard_error': 0.01, 'noise': 0.32}, False),
        ({'value': None, 'standard_error': None, 'impossible': -0.14}, False),
        ({'value': None, 'standard_error': None, 'doubtful': 0.05}, False),
    ],
)
def test_the_estimated_error_of_a_record_is_told_if_it_is_known(risk, good):
    findings = measured(NOISY[:96, :96], GOOD[:96, :96])
    record = {'correction': 'stabilised', 'risk': {'stabilised': risk}}
    found = verdict_of(replace(findings, record=record))
    words = 'could not be estimated' if risk['value'] is None else 'Estimated error of the clean'
    assert any(words in text for text in found.good) == good
    assert any(words in text for text in found.doubtful) != good
    if risk['standard_error'] is None:
        assert not any('+-' in text for text in found.good + found.doubtful if words in text)
