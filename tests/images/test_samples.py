from __future__ import annotations

import time

import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.images.samples import SAMPLES, make_sample
from napari_noise2score.images.synthetic import SCENES, synthetic_stack
from napari_noise2score.noise.families import Gamma, PoissonGaussian

MODALITIES = [name for name in SAMPLES if name not in SCENES]
PHOTONS = [name for name in MODALITIES if name != 'speckle']
every = pytest.mark.parametrize('name', MODALITIES)


@pytest.fixture(scope='module')
def made():
    """Each sample, made once, and the time that it took."""
    found = {}
    for name in MODALITIES:
        begin = time.process_time()
        found[name] = make_sample(name), time.process_time() - begin
    return found


def standard(sample):
    """Noise in standard deviations of the stated noise."""
    truth = sample.truth.astype(np.float64)
    return (sample.noisy - truth) / np.sqrt(sample.noise.variance(truth))


def correlated_pixels(sample):
    """Increase of the variance of a mean by correlation: the sum over all distances."""
    return sample.correlation.kernel.sum()


@every
def test_size_axes_and_time(made, name):
    sample, seconds = made[name]
    assert sample.name == name
    assert sample.noisy.shape == sample.truth.shape
    assert sample.noisy.shape[-2:] == (256, 256)
    assert 1 < len(sample.noisy) <= 32
    assert sample.axes == ('ZYX' if name == 'z-stack' else 'TYX')
    assert sample.truth.dtype == np.float32
    assert set(sample.spacing) == set(sample.axes)
    assert sample.acquisition.spacing['X'].unit == 'µm'
    assert seconds < 2


@every
def test_mean_and_variance_are_those_of_the_stated_noise(made, name):
    sample, _ = made[name]
    noise = standard(sample)
    # squares of correlated values are correlated by the square of the correlation
    more = (sample.correlation.kernel**2).sum()
    assert abs(noise.mean()) < 5 * (correlated_pixels(sample) / noise.size) ** 0.5
    assert abs((noise**2).mean() - 1) < 5 * (noise**2).std() * (more / noise.size) ** 0.5


@every
@pytest.mark.parametrize('quantiles', [(0, 0.3), (0.3, 0.8), (0.8, 0.99), (0.99, 1)])
def test_the_noise_is_the_stated_one_at_every_level(made, name, quantiles):
    sample, _ = made[name]
    low, high = np.quantile(sample.truth, quantiles)
    chosen = standard(sample)[(sample.truth >= low) & (sample.truth <= high)]
    more = (sample.correlation.kernel**2).sum()
    assert abs((chosen**2).mean() - 1) < 5 * (chosen**2).std() * (more / chosen.size) ** 0.5
    assert abs(chosen.mean()) < 5 * (correlated_pixels(sample) / chosen.size) ** 0.5


@every
def test_neighbours_are_correlated_as_stated_and_planes_are_not(made, name):
    sample, _ = made[name]
    noise = standard(sample)
    error = (sample.correlation.kernel**2).sum() ** 0.5 / noise[:1].size ** 0.5
    along_rows = (noise[:, :, 1:] * noise[:, :, :-1]).mean()
    along_columns = (noise[:, 1:] * noise[:, :-1]).mean()
    assert abs(along_rows - sample.correlation.along_rows) < 5 * error
    assert abs(along_columns - sample.correlation.along_columns) < 5 * error
    assert abs((noise[1:] * noise[:-1]).mean()) < 5 * error
    assert (sample.correlation.along_rows > 0.3) is (name == 'wide-field')


@every
def test_the_same_seed_makes_the_same_sample(made, name):
    sample, again, other = made[name][0], make_sample(name), make_sample(name, seed=1)
    np.testing.assert_array_equal(sample.noisy, again.noisy)
    np.testing.assert_array_equal(sample.truth, again.truth)
    assert sample.to_dict() == again.to_dict()
    assert np.abs(sample.truth - other.truth).max() > 0.2 * np.ptp(sample.truth)


@pytest.mark.parametrize('name', PHOTONS)
def test_hardly_a_value_is_clipped(made, name):
    sample, _ = made[name]
    limits = np.iinfo(sample.noisy.dtype)
    clipped = (sample.noisy == limits.max) | (sample.noisy == limits.min)
    assert clipped.mean() < 1e-4


def test_the_noise_models(made):
    assert all(isinstance(made[name][0].noise, PoissonGaussian) for name in PHOTONS)
    assert made['speckle'][0].noise == Gamma(4.0)
    assert made['confocal'][0].noisy.dtype == np.uint8


def test_still_samples_repeat_one_field(made):
    for sample, _ in made.values():
        same = bool((sample.truth == sample.truth[0]).all())
        assert same is sample.still is (sample.name not in ('low-light', 'z-stack'))


def test_the_movie_has_few_photons_bleaches_and_moves(made):
    sample, _ = made['low-light']
    photons = (sample.truth - sample.noise.offset) / sample.noise.gain
    in_cells = photons[0][photons[0] > 1]
    assert np.median(in_cells) < 3
    assert in_cells.size > 0.2 * photons[0].size
    light = photons.mean(axis=(1, 2))
    assert light[-1] / light[0] == pytest.approx(0.6, rel=0.03)
    moved = np.abs(photons[10] / light[10] - photons[0] / light[0]) * light[0]
    assert (moved > 0.5).sum() > 500


def test_the_events_are_where_they_are_said_to_be(made):
    sample, _ = made['low-light']
    kinds = [event.kind for event in sample.events]
    assert (kinds.count('flash'), kinds.count('transient')) == (6, 2)
    light = (sample.truth - sample.noise.offset) / sample.noise.gain
    for event in sample.events:
        row, column = round(event.row), round(event.column)
        course = light[:, row, column]
        rise = course[event.frame] - course[event.frame - 1]
        assert rise > 0.4 * event.photons, event
        end = course[event.frame + event.frames]
        assert course[event.frame] - end > 0.4 * event.photons, event
        quiet = np.concatenate([course[: event.frame], course[event.frame + event.frames :]])
        assert quiet.max() < course[event.frame], event


def test_slices_are_blurred_in_depth_and_get_darker(made):
    sample, _ = made['z-stack']
    light = sample.truth.astype(np.float64) - sample.noise.offset
    assert sample.spacing['Z'] == (0.3, 'µm')
    neighbours = [np.corrcoef(light[n].ravel(), light[n + 1].ravel())[0, 1] for n in range(23)]
    far = [np.corrcoef(light[n].ravel(), light[n + 8].ravel())[0, 1] for n in range(16)]
    assert min(neighbours) > 0.8
    assert max(far) < min(neighbours)
    assert light[-1].min() / light[0].min() == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize('name', SCENES)
def test_scenes_are_those_of_synthetic_stack(name):
    sample, stack = make_sample(name, seed=2), synthetic_stack(name, seed=2)
    np.testing.assert_array_equal(sample.noisy, stack.noisy)
    np.testing.assert_array_equal(sample.truth[3], stack.truth)
    assert sample.noise == stack.noise


def test_wrong_names_and_seeds_are_refused():
    with pytest.raises(InputError, match="'cells' is unknown; accepted are confocal, low-light"):
        make_sample('cells')
    with pytest.raises(InputError, match='seed is -1'):
        make_sample('confocal', seed=-1)
