from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score import PoissonGaussian, estimate_noise
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.patterns.offsets import levelled_pair, offsets_of
from napari_noise2score.noise.patterns.rows import row_noise
from napari_noise2score.noise.patterns.shared import (
    NO_OFFSETS,
    NO_ROW_NOISE,
    Offsets,
    PlaneOffsets,
    RowNoise,
)

SHAPE = (256, 256)
CAMERA = PoissonGaussian(4.0, 100.0, 6.0)


def found_in(*images: np.ndarray) -> RowNoise:
    return row_noise(images, [np.ones(image.shape) for image in images], 1.0)


def white(seed: int, shape=SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@cache
def scene(name: str, seed: int) -> np.ndarray:
    return 20 * SCENES[name](SHAPE, np.random.default_rng(seed))


@pytest.mark.parametrize('name', sorted(SCENES))
@pytest.mark.parametrize('share', [0.01, 0.05, 0.2])
def test_the_variance_of_row_offsets_in_one_image_is_found(name, share):
    variances = []
    for seed in range(8):
        offsets = share**0.5 * white(100 + seed, (256, 1))
        found = found_in(scene(name, seed) + white(seed) + offsets)
        assert found.columns == 0
        variances.append(found.rows)
    # the mean of 8 variances of 256 second differences, which scatter by 3.9 / 256, and of noise
    error = (3.9 / 256 / 8) ** 0.5 * (share + 1 / 256)
    assert abs(np.mean(variances) - share) < 4 * error + 0.05 * share


def test_columns_are_rows_of_the_transposed_image():
    image = scene('nuclei', 0) + white(0) + 0.2 * white(1, (256, 1))
    rows, columns = found_in(image), found_in(image.T)
    assert rows.rows > 0
    assert rows.columns == 0
    assert columns.columns == pytest.approx(rows.rows)
    assert columns.rows == 0


def test_more_fields_show_less():
    share = 0.003
    fields = [white(seed) + share**0.5 * white(50 + seed, (256, 1)) for seed in range(12)]
    assert found_in(*fields).rows == pytest.approx(share, rel=0.3)


@pytest.mark.parametrize('name', sorted(SCENES))
def test_nothing_is_found_in_clean_images(name):
    assert not any(found_in(scene(name, seed) + white(seed)).detected for seed in range(20))


ROWS = np.arange(256.0)[:, None] + np.zeros(256)
STRUCTURES = {
    'edge': 20 * (ROWS > 128),
    'edges': 10 * (ROWS // 40 % 2),
    'stripes of 5': 5 * np.sin(2 * np.pi * ROWS / 5),
    'stripes of 20': 5 * np.sin(2 * np.pi * ROWS / 20),
    'gradient': 0.5 * ROWS,
    'bend': 0.01 * (ROWS - 100) ** 2,
}


@pytest.mark.parametrize('structure', STRUCTURES.values(), ids=STRUCTURES)
def test_structure_along_rows_is_no_row_noise(structure):
    assert not any(found_in(structure + white(seed)).detected for seed in range(10))


@pytest.mark.parametrize('sigma', [(0.6, 0.6), (2, 2), (0, 2), (2, 0)])
def test_correlated_noise_is_no_row_noise(sigma):
    fields = [ndimage.gaussian_filter(white(seed), sigma) for seed in range(10)]
    assert not any(found_in(field).detected for field in fields)


def test_too_small_an_image_tells_nothing():
    assert found_in(white(0, (16, 16)) + white(1, (16, 1))) == NO_ROW_NOISE


def test_offsets_are_the_mean_given_the_clean_image():
    rng = np.random.default_rng(0)
    noise = RowNoise(rows=0.04, columns=0.0, noise=1.0)
    before = after = 0.0
    for _ in range(20):
        true = 0.2 * rng.normal(size=(256, 1))
        true -= true.mean()
        found = offsets_of(true + rng.normal(size=SHAPE), np.ones(SHAPE), noise)
        assert not found.columns.any()
        assert abs(found.rows.mean()) < 1e-12
        before += float((true**2).mean()) / 20
        after += float(((found.rows - true[:, 0]) ** 2).mean()) / 20
    # what is left of a Gaussian unknown of variance s^2 in noise of v / W: their harmonic sum
    expected = 0.04 / 256 / (0.04 + 1 / 256)
    assert after == pytest.approx(expected, rel=0.15)
    assert before > 9 * after


def test_offsets_are_never_more_than_the_rows_show():
    residual = white(0) + 0.1 * white(1, (256, 1))
    found = offsets_of(residual, np.ones(SHAPE), RowNoise(0.01, 0.02, 1.0))
    shown = residual.mean(axis=1)
    assert (found.rows**2).sum() < ((shown - shown.mean()) ** 2).sum()
    shown = residual.mean(axis=0)
    assert (found.columns**2).sum() < ((shown - shown.mean()) ** 2).sum()


def test_waves_that_the_clean_image_holds_are_left():
    wave = np.cos(np.pi * 6 * (np.arange(256) + 0.5) / 256)[:, None]
    noise = white(0)
    residual = noise - ndimage.gaussian_filter1d(noise, 4, axis=0) + 0.05 * wave
    found = offsets_of(residual, np.ones(SHAPE), RowNoise(0.05, 0.0, 1.0)).rows
    assert abs(found @ wave[:, 0]) < 0.3 * 0.05 * float((wave**2).sum())


def test_rows_without_image_have_no_offset():
    weight = np.ones(SHAPE)
    weight[:40] = 0
    found = offsets_of(white(0) + white(1, (256, 1)), weight, RowNoise(1.0, 0.0, 1.0))
    assert not found.rows[:40].any()
    assert found.rows[40:].all()


def test_a_pair_of_frames_loses_what_its_rows_differ_by():
    offsets = 0.5 * white(2, (2, 256, 1))
    scene_too = STRUCTURES['edges']
    first, second = (scene_too + white(n) + offsets[n] for n in range(2))
    mask = np.ones(SHAPE, bool)
    one, other = levelled_pair(first, second, mask, RowNoise(0.25, 0.0, 1.0))
    np.testing.assert_allclose(one + other, first + second)
    assert (one - other).mean(axis=1).var() < 0.1 * (first - second).mean(axis=1).var()


def test_offsets_of_planes_are_found_once_and_cut():
    asked = []

    def find(index: int) -> Offsets:
        asked.append(index)
        return Offsets(np.arange(6.0), np.arange(4.0))

    offsets = PlaneOffsets(find)
    part = offsets.part(slice(2, 4), slice(1, None))
    cut = part.of(3)
    np.testing.assert_array_equal(cut.plane, [[3, 4, 5], [4, 5, 6]])
    assert offsets.of(3).plane.shape == (6, 4)
    assert asked == [3]
    assert NO_OFFSETS.of(0) is None
    assert NO_OFFSETS.part(slice(2), slice(2)) is NO_OFFSETS


def test_it_is_told_in_words():
    assert RowNoise(7.0, 0.0, 100.0).words == 'row noise 7 % of the noise'
    both = RowNoise(7.0, 0.4, 100.0)
    assert both.words == 'row noise 7 %, column noise 0.4 % of the noise'
    assert both.sentence.endswith('offsets shared by whole rows and columns')
    assert NO_ROW_NOISE.words == ''
    assert both.scaled(2.0).to_dict() == both.to_dict()
    assert both.to_dict()['rows'] == 0.07
    assert both.to_dict()['columns'] == 0.004


@pytest.mark.parametrize('frames', [1, 4])
@pytest.mark.parametrize('share', [0.0, 0.02, 0.2])
def test_the_estimate_tells_row_noise_and_the_other_noise_without_it(frames, share):
    rng = np.random.default_rng(0)
    clean = 100 + 4 * (2 + 30 * SCENES['nuclei'](SHAPE, rng))
    usual = float(CAMERA.variance(clean).mean())
    noisy = CAMERA.sample(np.broadcast_to(clean, (frames, *SHAPE)), rng)
    noisy = np.round(noisy + (share * usual) ** 0.5 * rng.normal(size=(frames, 256, 1)))
    fit = estimate_noise(noisy.astype(np.uint16))
    assert fit.compared == (frames > 1)
    assert fit.rows.detected == (share > 0)
    assert fit.rows.rows == pytest.approx(share * usual, rel=0.35)
    assert fit.correlation.is_white
    assert fit.family.gain == pytest.approx(4.0, rel=0.06)
    if frames > 1:
        assert fit.family.read_noise == pytest.approx(6.0, abs=0.6)
    assert any('Row noise' in words for words in fit.warnings) == (share > 0)


@pytest.mark.parametrize('columns', [False, True])
@pytest.mark.parametrize(
    ('frames', 'light', 'within'), [(12, 0.3, 0.2), (12, 3.0, 0.1), (5, 3.0, 0.25)]
)
def test_strong_row_noise_leaves_the_gain_of_a_dim_movie(frames, light, within, columns):
    """The level of a pixel holds the offset of its row. It made lines flatter: gains of a half."""
    gains = []
    for seed in range(4):
        rng = np.random.default_rng([seed, frames])
        image = SCENES['filaments']((128, 128), rng)
        clean = CAMERA.offset + CAMERA.gain * light * (0.3 + 0.7 * image / image.mean())
        camera = PoissonGaussian(CAMERA.gain, CAMERA.offset, 1.0)
        noisy = camera.sample(np.repeat(clean[None], frames, 0), rng)
        noise = float(camera.variance(clean).mean())
        noisy += 0.5 * noise**0.5 * rng.normal(size=(frames, 128, 1))
        found = estimate_noise(noisy.swapaxes(1, 2) if columns else noisy)
        assert found.evidence.method == 'frame differences'
        gains.append(found.family.gain / camera.gain)
    assert np.mean(gains) == pytest.approx(1, abs=within)


def test_row_noise_of_movies_of_other_lengths_and_sizes_is_found_together():
    """A chain of frames ends with its movie, if another one has a frame of the next number too."""
    fields = []
    for frames, side in ((4, 96), (9, 128)):
        rng = np.random.default_rng(frames)
        image = SCENES['filaments']((side, side), rng)
        clean = CAMERA.offset + CAMERA.gain * 3 * (0.3 + 0.7 * image / image.mean())
        noisy = CAMERA.sample(np.repeat(clean[None], frames, 0), rng)
        noisy += (
            0.5 * float(CAMERA.variance(clean).mean()) ** 0.5 * rng.normal(size=(frames, side, 1))
        )
        fields.append(noisy)
    found = estimate_noise(fields)
    assert found.evidence.method == 'frame differences'
    assert found.evidence.rows.rows > 0
    assert found.family.gain == pytest.approx(CAMERA.gain, rel=0.2)
