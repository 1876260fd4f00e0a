from dataclasses import replace

import numpy as np
import pytest

from napari_noise2score import (
    DenoiseSettings,
    PoissonGaussian,
    TrainSettings,
    denoise,
)
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.patterns.shared import NO_ROW_NOISE, RowNoise, Sinusoid
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline import levelling
from napari_noise2score.pipeline.levelling import levelled
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.preview import correct_plane
from napari_noise2score.pipeline.stages import train_score_steps
from napari_noise2score.progress import finish
from napari_noise2score.score import plane_buffer
from napari_noise2score.score.pretraining.weights import warm_start

pytestmark = pytest.mark.usefixtures('one_pass')

CAMERA = PoissonGaussian(4.0, 100.0, 6.0)
SETTINGS = DenoiseSettings(training=TrainSettings(seconds=0, device='cpu'), orientations=1)
SIZE = 160


def image(share: float, axis: int = 0):
    """Clean and noisy (Y, X) with offsets of rows or columns, and these."""
    rng = np.random.default_rng(2)
    clean = 100 + 4 * (2 + 30 * SCENES['nuclei']((SIZE, SIZE), rng))
    offsets = (share * float(CAMERA.variance(clean).mean())) ** 0.5 * rng.normal(size=SIZE)
    offsets -= offsets.mean()
    noisy = CAMERA.sample(clean, rng) + np.expand_dims(offsets, 1 - axis)
    return clean, np.round(noisy).astype(np.uint16), offsets


def error(one: np.ndarray, clean: np.ndarray, axis: int) -> float:
    return float((((one - clean).mean(axis=1 - axis)) ** 2).mean())


@pytest.mark.parametrize('axis', [0, 1])
def test_row_and_column_noise_is_taken_off(axis):
    clean, noisy, offsets = image(0.1, axis)
    result = denoise(noisy, 'YX', SETTINGS)
    white = denoise(noisy, 'YX', replace(SETTINGS, noise=NoiseRequest(correlation='none')))
    assert error(result.image, clean, axis) < error(noisy, clean, axis) / 6
    assert ((result.image - clean) ** 2).mean() < 0.9 * ((white.image - clean) ** 2).mean()
    (channel,) = result.score_map.prepared.channels
    found = channel.offsets.of(0)
    assert ((found.rows, found.columns)[axis] - offsets).var() < 0.2 * offsets.var()
    assert not (found.columns, found.rows)[axis].any()
    name = ('row', 'column')[axis]
    told, left = result.report['channels'][0]['row_noise'], white.report['channels'][0]
    assert 0.05 < told[f'{name}s'] < 0.2
    assert left['row_noise'] == NO_ROW_NOISE.to_dict()
    words = [w for w in result.report['warnings'] if w.startswith(f'{name.capitalize()} noise')]
    assert len(words) == 1
    assert words[0].endswith('which were removed.')
    assert any(w.endswith('which remain in the result.') for w in white.report['warnings'])


def test_an_image_without_row_noise_is_not_touched():
    source = ImageSource(image(0.0)[1], 'YX')
    prepared = model_noise(source)
    assert levelled(prepared) is prepared


def test_a_window_is_levelled_as_the_whole():
    noisy = image(0.1)[1]
    channel = levelled(model_noise(ImageSource(noisy, 'YX')), 'cpu').channels[0]
    window = Region({'Y': (32, 96), 'X': (64, 160)})
    part = correct_plane(warm_start(), channel, 0, window=window, device='cpu')
    whole = correct_plane(warm_start(), channel, 0, device='cpu')[32:96, 64:160]
    noise = channel.finest
    assert np.abs(part - whole)[16:-16, 16:-16].mean() < 0.3 * noise
    rough = np.abs(np.diff((part - noisy[32:96, 64:160]).mean(axis=1)))
    assert rough.mean() > noise * 0.2  # the offsets are in the noisy image alone


def test_blank_and_saturated_places_stay():
    noisy = image(0.1)[1]
    noisy[:, :20] = 0
    noisy[:30] = 0
    result = denoise(noisy, 'YX', SETTINGS)
    (channel,) = result.score_map.prepared.channels
    assert channel.rows.rows > 0
    assert not result.image[:30].any()
    assert not result.image[:, :20].any()
    assert np.isnan(channel.plane(0)[:30]).all()
    assert np.isfinite(channel.plane(0)[30:, 20:]).all()
    again = channel.correct(
        0, result.score_map.clean[0][0], channel.family, result.corrected.correction
    )
    np.testing.assert_array_equal(again.noisy[:30], 0)


@pytest.mark.parametrize('frames', [1, 2])
def test_a_wave_is_taken_off(frames):
    rng = np.random.default_rng(2)
    clean = 100 + 4 * (2 + 30 * SCENES['nuclei']((SIZE, SIZE), rng))
    size = (2 * 0.1 * float(CAMERA.variance(clean).mean())) ** 0.5
    waves = [Sinusoid((0.137, 0.083), size * np.exp(1j * n)) for n in range(frames)]
    added = np.stack([wave.on(clean.shape) for wave in waves])
    noisy = np.round(CAMERA.sample(clean + 0 * added, rng) + added).astype(np.uint16)
    result = denoise(noisy, 'TYX', SETTINGS)
    white = denoise(noisy, 'TYX', replace(SETTINGS, noise=NoiseRequest(correlation='none')))
    assert ((result.image - clean) ** 2).mean() < 0.9 * ((white.image - clean) ** 2).mean()
    (channel,) = result.score_map.prepared.channels
    for number, wave in enumerate(waves):
        (found,) = channel.offsets.of(number).waves
        found, true = found.on(clean.shape), wave.on(clean.shape)
        assert (found**2).mean() < 1.1 * (true**2).mean()
        assert ((found - true) ** 2).mean() < 0.02 * (true**2).mean()
    told = result.report['channels'][0]['row_noise']['waves']
    assert [round(each['share'], 1) for each in told] == [0.1]
    words = [w for w in result.report['warnings'] if w.startswith('A wave with a period of 7.3')]
    assert len(words) == 1
    assert words[0].endswith('which were removed.')


def test_a_window_has_its_part_of_a_wave():
    rng = np.random.default_rng(2)
    clean = np.full((SIZE, SIZE), 200.0)
    wave = Sinusoid((0.137, 0.083), 15.0).on(clean.shape)
    noisy = np.round(CAMERA.sample(clean, rng) + wave).astype(np.uint16)
    channel = levelled(model_noise(ImageSource(noisy, 'YX')), 'cpu').channels[0]
    window = Region({'Y': (33, 96), 'X': (65, 160)})
    part = correct_plane(warm_start(), channel, 0, window=window, device='cpu')
    assert np.abs(((part - 200) * wave[33:96, 65:160]).mean()) < 0.1 * (wave**2).mean()


def test_a_training_on_a_large_movie_cleans_few_planes_and_each_once(monkeypatch):
    scenes = (np.random.default_rng(n) for n in range(6))  # each its own: no pairs
    noisy = np.stack([CAMERA.sample(100 + 400 * SCENES['nuclei']((64, 64), r), r) for r in scenes])
    offsets = np.random.default_rng(0).normal(0, 12, (6, 64, 1))
    source = ImageSource(np.round(noisy + offsets).astype(np.uint16), 'TYX')
    prepared = model_noise(source)
    channel = replace(prepared.channels[0], rows=RowNoise(rows=144.0, noise=600.0), pairs=())
    cleaned, real = [], levelling._offsets

    def counted(one, device, index):
        cleaned.append(index)
        return real(one, device, index)

    monkeypatch.setattr(levelling, '_offsets', counted)
    monkeypatch.setattr(plane_buffer, '_SOON', 2 * 64 * 64)
    settings = TrainSettings(seconds=None, steps=2, patch=32, device='cpu')
    finish(train_score_steps([replace(prepared, channels=(channel,))], settings))
    assert sorted(cleaned) == [1, 4]
