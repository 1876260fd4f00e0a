from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score import PoissonGaussian, estimate_noise
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.patterns.offsets import offsets_of, shared_noise_of_images
from napari_noise2score.noise.patterns.shared import Offsets, RowNoise, Sinusoid, Wave
from napari_noise2score.noise.patterns.sinusoids import wave_offsets
from napari_noise2score.noise.patterns.waves import waves_in

SHAPE = (256, 256)
SIZE = SHAPE[0] * SHAPE[1]
ONES = np.ones(SHAPE)
DOWN, ACROSS = np.indices(SHAPE)
WHITE = np.ones((1, 1))
CAMERA = PoissonGaussian(4.0, 100.0, 6.0)
FREQUENCIES = [(0.137, 0.083), (-0.31, 0.2), (0.1, 0.0), (0.0, 0.44), (0.031, 0.02)]


def white(seed: int, shape=SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def wave(variance: float, frequency=FREQUENCIES[0], phase: float = 1.0) -> np.ndarray:
    turns = frequency[0] * DOWN + frequency[1] * ACROSS
    return (2 * variance) ** 0.5 * np.cos(2 * np.pi * turns + phase)


@cache
def scene(name: str, seed: int) -> np.ndarray:
    return 20 * SCENES[name](SHAPE, np.random.default_rng(seed))


def found_in(*fields: np.ndarray) -> tuple[Wave, ...]:
    return waves_in(fields, [ONES] * len(fields), [ONES] * len(fields))


def found_in_image(image: np.ndarray) -> RowNoise:
    return shared_noise_of_images([image], [ONES], 1.0)


@pytest.mark.parametrize('frequency', FREQUENCIES)
@pytest.mark.parametrize('share', [0.005, 0.05, 0.5])
def test_frequency_and_variance_of_a_wave_in_noise(frequency, share):
    for seed in range(3):
        (found,) = found_in(white(seed) + wave(share, frequency, seed))
        same = (
            1 if found.frequency[1] * frequency[1] + found.frequency[0] * frequency[0] > 0 else -1
        )
        away = np.abs(same * np.array(found.frequency) - frequency)
        # Cramer-Rao bound of a frequency, 3 / (pi^2 n^2 * power over noise), and the last grid
        assert away.max() * 256 < 5 * (3 / np.pi**2 / (SIZE * share)) ** 0.5 + 0.03
        # the amplitude scatters by the root of 2 v / N
        error = (share**0.5 + 5 * SIZE**-0.5) ** 2 - share
        assert abs(found.variance - share) < error + 0.03 * share


def test_odd_and_even_rows_are_a_wave():
    (found,) = found_in(white(0) + 0.2 * (-1.0) ** DOWN)
    assert found.frequency == (0.5, 0.0)
    assert found.variance == pytest.approx(0.04, rel=0.15)
    image = found_in_image(white(0) + 0.2 * (-1.0) ** DOWN + 100)
    assert [each.frequency for each in image.waves] == [(0.5, 0.0)]


def test_harmonics_and_several_waves_are_found_the_strongest_first():
    field = white(3)
    for times, share in ((1, 0.05), (2, 0.02), (3, 0.3)):
        field = field + wave(share, (0.05 * times, 0.031 * times), times)
    found = found_in(field)
    assert [round(each.frequency[0] / 0.05) for each in found] == [3, 1, 2]


def test_weak_waves_show_in_more_fields():
    fields = [white(seed) + wave(0.002, phase=seed) for seed in range(12)]
    assert len(found_in(*fields)) == 1
    assert not any(found_in(white(seed) + wave(0.0003)) for seed in range(5))


def test_nothing_is_found_in_noise():
    assert not any(found_in(white(seed)) for seed in range(60))
    frames = [white(seed) for seed in range(60)]
    differences = [(one - other) / 2**0.5 for one, other in pairwise(frames)]
    assert not any(found_in(*differences[n : n + 3]) for n in range(0, 57, 3))


@pytest.mark.parametrize('sigma', [(0.6, 0.6), (2, 2), (0, 2), (2, 0)])
def test_nothing_is_found_in_correlated_noise(sigma):
    fields = [ndimage.gaussian_filter(white(seed), sigma) for seed in range(10)]
    assert not any(found_in(field) for field in fields)


@pytest.mark.parametrize('shape', [(256, 1), (1, 256)])
def test_row_noise_is_no_wave(shape):
    assert not any(found_in(white(s) + 0.5 * white(99 + s, shape)) for s in range(10))


@pytest.mark.parametrize('name', sorted(SCENES))
def test_waves_are_found_in_images_and_nothing_where_there_are_none(name):
    for seed in range(4):
        image = scene(name, seed) + white(seed)
        assert not found_in_image(image).detected
        found = found_in_image(image + wave(0.05))
        assert len(found.waves) == 1
        assert not found.rows
        assert not found.columns
        assert found.waves[0].variance == pytest.approx(0.05, rel=0.25)


CELLS = np.hypot(DOWN % 128 - 64, ACROSS % 128 - 64) < 45
REPEATED = {
    'stripes': 3 * np.sin(2 * np.pi * DOWN / 7),
    'slanted': 3 * np.sin(2 * np.pi * (DOWN / 11 + ACROSS / 17)),
    'grid': 5.0 * ((DOWN % 12 < 3) | (ACROSS % 12 < 3)),
    'sarcomeres': CELLS * (4 + np.sin(2 * np.pi * ACROSS / 9)),
    'half': wave(0.1) * (ACROSS < 128),
    'quarter': wave(0.2) * (ACROSS < 128) * (DOWN < 128),
    'fading': wave(0.2) * ACROSS / 256,
    'bent': (2 * 0.1) ** 0.5 * np.cos(DOWN + 0.0004 * DOWN**2),
}


@pytest.mark.parametrize('sample', REPEATED.values(), ids=REPEATED)
def test_a_sample_that_repeats_itself_is_no_wave(sample):
    assert not any(found_in_image(50 + sample + white(seed)).waves for seed in range(3))


def test_moving_fringes_of_light_are_no_wave():
    clean = 3 * scene('nuclei', 0)
    light = [clean * (1 + 0.2 * wave(0.5, phase=n)) for n in range(4)]
    fields = [
        (one - other + white(n) - white(n + 1)) / 2**0.5
        for n, (one, other) in enumerate(pairwise(light))
    ]
    assert not waves_in(fields, [ONES] * 3, [clean] * 3)
    even = [field + wave(0.01, (0.2, 0.3), n) for n, field in enumerate(fields)]
    (found,) = waves_in(even, [ONES] * 3, [clean] * 3)
    assert found.frequency == pytest.approx((0.2, 0.3), abs=1e-3)


def test_too_small_an_image_tells_nothing():
    small = np.s_[:24, :24]
    assert not waves_in([wave(1.0)[small]], [ONES[small]], [ONES[small]])
    assert not waves_in([white(0)], [0 * ONES], [ONES])


def test_fields_of_other_shapes_are_passed_over():
    fields = [white(0, (64, 80)), *(white(n) + wave(0.01, phase=n) for n in range(2))]
    weights = [np.ones(field.shape) for field in fields]
    assert len(waves_in(fields, weights, weights)) == 1


def test_frames_with_a_wave_are_still_compared():
    added = [wave(0.2, (1 / 7, 0.01), 2 * number) for number in range(3)]
    fit = estimate_noise(movie(3, np.stack(added)))
    assert fit.compared
    assert len(fit.rows.waves) == 1
    assert fit.rows.waves[0].variance / fit.rows.noise == pytest.approx(0.2, rel=0.25)


def test_a_wave_is_the_mean_given_the_clean_image():
    rng = np.random.default_rng(0)
    prior = 2e-5
    known = (Wave(FREQUENCIES[0], prior),)
    left = 0.0
    for seed in range(300):
        cosine, sine = rng.normal(0, prior**0.5, 2)
        true = Sinusoid(FREQUENCIES[0], complex(cosine, -sine))
        (found,) = wave_offsets(true.on(SHAPE) + white(seed), ONES, known, WHITE)
        left += abs(found.amplitude - true.amplitude) ** 2 / 300
    chance = 2 / SIZE
    # two Gaussian unknowns of that variance in noise of 2 v / N: their harmonic sums
    assert left == pytest.approx(2 * prior * chance / (prior + chance), rel=0.2)


def test_a_wave_is_never_more_than_the_plane_shows():
    field = white(0) + wave(0.001)
    (found,) = wave_offsets(field, ONES, (Wave(FREQUENCIES[0], 0.001),), WHITE)
    shown = 2 * np.abs((field * wave(0.5) + 1j * field * wave(0.5, phase=1 + np.pi / 2)).mean())
    assert 0.8 * shown < abs(found.amplitude) < shown


def test_waves_are_told_apart_where_much_is_missing():
    weight = ONES * (DOWN % 4 > 0) * (ACROSS < 150)
    known = tuple(Wave(f, 0.5) for f in ((0.137, 0.083), (0.125, 0.07), (-0.137, 0.083)))
    true = [wave(0.5, each.frequency, n) for n, each in enumerate(known)]
    found = wave_offsets(sum(true) + 0.01 * white(0), weight * 1e4, known, WHITE)
    for one, other in zip(true, found, strict=True):
        np.testing.assert_allclose(other.on(SHAPE), one, atol=0.06)


def test_a_wave_that_the_clean_image_holds_is_left():
    noise = white(0)
    residual = noise - ndimage.gaussian_filter(noise, 2) + 0.05 * wave(0.5, (0.02, 0.01))
    (found,) = wave_offsets(residual, ONES, (Wave((0.02, 0.01), 0.01),), WHITE)
    assert abs(found.amplitude) < 0.2 * 0.05


def test_a_part_of_a_plane_has_a_part_of_its_offsets():
    waves = Sinusoid((0.137, -0.083), 1 + 2j), Sinusoid((0.5, 0.0), 1 + 0j)
    whole = Offsets(np.arange(40.0), np.arange(30.0), waves)
    part = whole.part(slice(7, 20), slice(None, 12))
    np.testing.assert_allclose(part.plane, whole.plane[7:20, :12])
    further = whole.beyond(Offsets(np.zeros(40), np.zeros(30), tuple(waves)), 0.5)
    assert further.waves == waves
    np.testing.assert_allclose(further.rows, 1.5 * whole.rows)


def test_rows_and_waves_are_taken_off_together():
    added = wave(0.05) + 0.2 * white(7, (256, 1))
    noise = RowNoise(0.04, 0.0, 1.0, (Wave(FREQUENCIES[0], 0.05),))
    found = offsets_of(white(8) + added, ONES, noise).plane
    assert ((found - added) ** 2).mean() < 0.01


def test_it_is_told_in_words():
    hum = Wave((0.137, -0.0833), 4.0)
    assert RowNoise(0, 0, 100, (hum,)).words == (
        'a wave with a period of 7.3 x 12 pixels, 4 % of the noise'
    )
    assert Wave((0.5, 0.0), 4.0).words == 'a wave with a period of 2 pixels down'
    assert Wave((0.0001, 0.1), 4.0).words == 'a wave with a period of 10 pixels across'
    both = RowNoise(7.0, 0.0, 100.0, (hum,))
    assert both.words == 'row noise 7 %, a wave with a period of 7.3 x 12 pixels, 4 % of the noise'
    assert 'rows and regular patterns' in both.sentence
    still = RowNoise(7.0, 0.0, 100.0, fixed_rows=7.0)
    assert still.words == 'row noise 7 % of the noise, the same in every frame'
    assert not still.changing.detected
    assert both.scaled(2.0).to_dict() == both.to_dict()
    assert both.to_dict()['waves'][0]['share'] == 0.04


def movie(frames: int, added) -> np.ndarray:
    rng = np.random.default_rng(0)
    clean = 100 + 4 * (2 + 30 * SCENES['nuclei'](SHAPE, rng))
    unit = float(CAMERA.variance(clean).mean()) ** 0.5
    noisy = CAMERA.sample(np.broadcast_to(clean, (frames, *SHAPE)), rng)
    return np.clip(np.round(noisy + unit * added), 0, None).astype(np.uint16)


@pytest.mark.parametrize(('frames', 'phase'), [(1, 0.0), (4, 0.0), (4, 1.7)])
@pytest.mark.parametrize('share', [0.0, 0.01, 0.2])
def test_the_estimate_tells_a_wave_and_the_other_noise_without_it(frames, phase, share):
    added = [wave(share, phase=1 + phase * number) for number in range(frames)]
    fit = estimate_noise(movie(frames, np.stack(added)))
    assert fit.compared == (frames > 1)
    assert len(fit.rows.waves) == (share > 0)
    if share:
        (found,) = fit.rows.waves
        assert found.fixed == (frames > 1 and not phase)
        assert found.variance / fit.rows.noise == pytest.approx(share, rel=0.25)
    assert not fit.rows.rows
    assert not fit.rows.columns
    assert fit.correlation.is_white
    assert fit.family.gain == pytest.approx(4.0, rel=0.06)
    assert any('wave with a period of 7.3 x 12' in words for words in fit.warnings) == (share > 0)


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize('share', [0.01, 0.1])
def test_offsets_that_are_the_same_in_every_frame_are_told(axis, share):
    lines = np.expand_dims(share**0.5 * white(5, (256,)), 1 - axis)
    fit = estimate_noise(movie(4, lines))
    told = (fit.rows.rows, fit.rows.columns)
    assert told[axis] / fit.rows.noise == pytest.approx(share, rel=0.35)
    assert told[1 - axis] == 0
    assert not fit.rows.changing.detected
    assert fit.rows.words.endswith('the same in every frame')


def test_rows_that_change_are_not_told_as_fixed():
    fit = estimate_noise(movie(4, 0.3 * white(6, (4, 256, 1))))
    assert fit.rows.rows / fit.rows.noise == pytest.approx(0.09, rel=0.35)
    assert fit.rows.fixed_rows == 0
    assert fit.rows.changing.rows == fit.rows.rows


def test_blank_places_stay_and_do_not_count():
    fits = []
    for share in (0.0, 0.05):
        image = movie(1, wave(share)[None])[0].astype(float)
        image[:, :60] = np.nan
        fits.append(estimate_noise(image))
    assert [len(fit.rows.waves) for fit in fits] == [0, 1]
    assert fits[1].family.gain == pytest.approx(fits[0].family.gain, rel=0.02)
