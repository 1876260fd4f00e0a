"""Frames and slices that help each other: what they give, and what they must not take."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score import (
    DenoiseSettings,
    InputError,
    NoiseRequest,
    TrainSettings,
    denoise,
    prepare,
)
from napari_noise2score.images.blocks import Window
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.families import Gaussian, PoissonGaussian
from napari_noise2score.pipeline import context_levels, neighbours, selection
from napari_noise2score.pipeline.blend import Blend
from napari_noise2score.pipeline.blending import choose_blend
from napari_noise2score.pipeline.context_levels import levels_of, with_neighbours
from napari_noise2score.pipeline.neighbours import Light, Lights
from napari_noise2score.pipeline.pretrained import context_model
from napari_noise2score.pipeline.results import Denoised
from napari_noise2score.pipeline.run import denoise_steps, single
from napari_noise2score.progress import finish
from napari_noise2score.score.context import MEAN, NAMES, UNSTEADINESS
from napari_noise2score.score.planes import PlanesInMemory
from napari_noise2score.score.pretraining.weights import warm_start, warm_start_with_context
from napari_noise2score.settings import Context

SIGMA, SIZE, FRAMES = 10.0, 64, 16
GAUSSIAN = NoiseRequest.exactly(Gaussian(SIGMA))
SETTINGS = DenoiseSettings(
    GAUSSIAN, training=TrainSettings(seconds=0, device='cpu'), context=Context.AUTO, orientations=1
)
ALONE = replace(SETTINGS, context=Context.NONE)

pytestmark = pytest.mark.usefixtures('with_few_trials')


def scene(size: int = SIZE) -> np.ndarray:
    """Cells, 0 to 100."""
    truth = synthetic_stack('nuclei', frames=1, size=size, seed=3).truth
    return 100 * (truth - truth.min()) / np.ptp(truth)


def noisy(movie: np.ndarray, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, SIGMA, movie.shape)
    return (movie + noise).astype(np.float32)


def error(image: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean((image - truth) ** 2))


@pytest.fixture(scope='module')
def still() -> np.ndarray:
    return np.repeat(scene()[None], FRAMES, 0)


@pytest.fixture(scope='module')
def along_time(still) -> Denoised:
    """Frames that do not change, which help each other."""
    return denoise(noisy(still), 'TYX', SETTINGS)


def test_planes_that_do_not_change_get_much_cleaner(still, along_time):
    alone = error(denoise(noisy(still), 'TYX', ALONE).image, still)
    along_depth = denoise(noisy(still), 'ZYX', SETTINGS)
    for together in (along_time, along_depth):
        assert error(together.image, still) < 0.6 * alone


@pytest.mark.parametrize('height', [1.3, 2.0, -2.0])
def test_what_happens_once_keeps_more_than_it_keeps_alone(still, height):
    """Flashes of 5 x 5 pixels, one frame long, so many noise standard deviations high."""
    rng, movie, places = np.random.default_rng(1), still.copy(), []
    for frame in range(2, FRAMES - 2):
        y, x = rng.integers(8, SIZE - 16, 2)
        place = np.s_[frame, y : y + 5, x : x + 5]
        movie[place] += height * SIGMA
        places.append(place)
    data = noisy(movie)
    together, alone = (denoise(data, 'TYX', s).image for s in (SETTINGS, ALONE))

    def kept(image: np.ndarray) -> float:
        change = [(image - still)[place].mean() for place in places]
        return float(np.mean(change)) / (height * SIGMA)

    def before(image: np.ndarray) -> float:
        leaks = [(image - still)[place[0] - 1, *place[1:]].mean() for place in places]
        return float(np.mean(leaks)) / (height * SIGMA)

    assert kept(alone) < kept(together) < 1.0
    assert abs(before(together)) < 0.1
    assert error(together, movie) < 0.7 * error(alone, movie)


def test_a_scene_that_changes_completely_is_no_worse_than_plane_by_plane():
    movie = np.stack(
        [ndimage.rotate(scene(160), 37 * n, reshape=False)[32:-32, 32:-32] for n in range(8)]
    )
    data = noisy(movie)
    together, alone = (denoise(data, 'TYX', s).image for s in (SETTINGS, ALONE))
    assert error(together, movie) < 1.03 * error(alone, movie)


def test_bright_spots_that_move_are_not_noisier_than_plane_by_plane():
    """They stand out in every frame and miss nothing: only noise would be given back."""
    size = 96
    rng, (y, x) = np.random.default_rng(7), np.mgrid[:size, :size]
    places, steps, photons = (
        rng.uniform(0, size, (6, 2)),
        rng.normal(0, 2.5, (6, 2)),
        rng.uniform(8, 40, 6),
    )
    camera, clean = PoissonGaussian(10.0, 100.0, 12.0), np.full((12, size, size), 140.0)
    for frame in range(12):
        for (row, column), high in zip(places + frame * steps, photons, strict=True):
            away = (y - row) ** 2 + (x - column) ** 2
            clean[frame] += camera.gain * high * np.exp(-away / (2 * 1.8**2))
    data = camera.sample(clean, np.random.default_rng(3)).astype(np.float32)
    noise = NoiseRequest.exactly(camera)
    together, alone = (denoise(data, 'TYX', replace(s, noise=noise)) for s in (SETTINGS, ALONE))
    (record,) = (channel['context'] for channel in together.report['channels'])
    assert record['given_back'] < 0.3
    left = [
        np.mean((result.image - clean) ** 2 / camera.variance(clean))
        for result in (together, alone)
    ]
    assert left[0] < 1.1 * left[1]


def test_frames_of_different_light_help_each_other():
    light = np.linspace(1, 0.4, FRAMES) * np.random.default_rng(2).normal(1, 0.05, FRAMES)
    photons = 2 + 30 * scene() / 100
    clean = 100 + 3 * photons * light[:, None, None]
    camera = PoissonGaussian(3.0, 100.0, 1.0)
    data = camera.sample(clean, np.random.default_rng(3)).astype(np.float32)
    request = NoiseRequest.exactly(camera)
    together, alone = (
        denoise(data, 'TYX', replace(s, noise=request)).image for s in (SETTINGS, ALONE)
    )
    assert error(together, clean) < 0.6 * error(alone, clean)


def test_averaged_frames_do_not_confirm_each_other(still):
    """Running means share noise: a network would take it for signal."""
    data = noisy(still)
    averaged = (data[1:] + data[:-1]) / 2
    request = NoiseRequest.exactly(Gaussian(SIGMA / 2**0.5))
    result = denoise(averaged, 'TYX', replace(SETTINGS, noise=request))
    (warning,) = [w for w in result.report['warnings'] if 'consecutive frames' in w]
    assert warning.startswith('The noise of consecutive frames is correlated (')
    assert 'Averaged or interpolated frames are the usual reason' in warning
    alone = denoise(averaged, 'TYX', replace(ALONE, noise=request))
    np.testing.assert_array_equal(result.image, alone.image)


def test_equal_frames_are_not_in_the_context_of_each_other(still):
    data = noisy(still)
    data[5] = data[4]
    channel = of_channel(data)
    found = channel.context(4)
    np.testing.assert_array_equal(found[NAMES.index('before 1')], channel.plane(3))
    np.testing.assert_array_equal(found[NAMES.index('after 1')], channel.plane(6))


def test_empty_frames_leave_no_gap(still):
    data = noisy(still)
    data[5] = 0
    channel = of_channel(data)
    found = channel.context(4)
    np.testing.assert_array_equal(found[NAMES.index('after 1')], channel.plane(6))
    assert channel.context(5) is None


def test_a_record_says_what_was_seen(still, along_time):
    report = along_time.report
    (record,) = [channel['context'] for channel in report['channels']]
    assert record['axis'] == 'T'
    assert record['sha256'] == warm_start_with_context().digest
    share, pixels = np.array(record['share']), np.array(record['pixels'])
    assert share.shape == pixels.shape
    assert 0 <= share.min() <= share.max() <= 1
    assert share[0, 0] > 0.8
    assert pixels[0, 0] > 10_000
    assert report['settings']['context'] == 'auto'
    alone = denoise(noisy(still[:2]), 'TYX', ALONE).report
    assert [channel['context'] for channel in alone['channels']] == [None]


@pytest.mark.parametrize(
    ('axes', 'context', 'axis'),
    [
        ('TYX', 'auto', 'T'),
        ('ZYX', 'auto', 'Z'),
        ('TZYX', 'auto', 'T'),
        ('TZYX', 'depth', 'Z'),
        ('TZYX', 'none', None),
        ('CYX', 'auto', None),
        ('YX', 'auto', None),
    ],
)
def test_the_axis_follows_from_the_image_or_is_chosen(axes, context, axis):
    assert Context(context).axis_of(axes, (3,) * len(axes)) == axis


@pytest.mark.parametrize(
    ('axes', 'shape', 'context', 'words'),
    [
        ('YX', (32, 32), 'time', 'do not have two frames along T'),
        ('TYX', (1, 32, 32), 'time', 'do not have two frames along T'),
        ('TYX', (4, 32, 32), 'depth', 'do not have two slices along Z'),
    ],
)
def test_a_context_that_is_not_there_is_refused_before_the_work(axes, shape, context, words):
    image = noisy(np.zeros(shape))
    steps = denoise_steps([ImageSource(image, axes, 'a')], replace(SETTINGS, context=context))
    assert next(steps).fraction == 0
    with pytest.raises(InputError, match=words):
        next(steps)


@pytest.mark.parametrize('count', [2, 3])
def test_a_few_frames_are_enough(still, count):
    data, truth = noisy(still[:count]), still[:count]
    together, alone = (denoise(data, 'TYX', s).image for s in (SETTINGS, ALONE))
    assert error(together, truth) < error(alone, truth)


def test_blank_and_empty_frames_are_left_as_they_are(still):
    data = noisy(still[:8])
    data[3] = 0
    data[5, :20] = np.nan
    result = denoise(data, 'TYX', SETTINGS).image
    np.testing.assert_array_equal(result[3], 0)
    assert np.isnan(result[5, :20]).all()
    assert np.isfinite(result[5, 20:]).all()
    others = [0, 1, 2, 4, 6, 7]
    assert error(result[others], still[others]) < 0.3 * SIGMA**2


def test_every_channel_has_its_own_frames(still):
    data = np.stack([noisy(still[:4]), noisy(100 - still[:4], 1)], axis=1)
    result = denoise(data, 'TCYX', SETTINGS)
    assert len(result.score_map.beside) == 2
    for number, truth in enumerate((still[:4], 100 - still[:4])):
        alone = denoise(data[:, number], 'TYX', ALONE).image
        assert error(result.image[:, number], truth) < error(alone, truth)


def test_planes_on_demand_are_those_of_the_whole(still):
    source = ImageSource(noisy(still[:5]), 'TYX', 'a')
    whole = denoise(source.data, 'TYX', SETTINGS).image
    lazy = finish(single(denoise_steps([source], SETTINGS, on_demand=True))).image
    np.testing.assert_array_equal(lazy[3], whole[3])
    np.testing.assert_array_equal(np.asarray(lazy), whole)


def of_channel(data: np.ndarray, axes: str = 'TYX', context: Context = Context.AUTO):
    prepared = prepare(data, axes, GAUSSIAN, device='cpu')
    (channel,) = with_neighbours(prepared, context).channels
    return channel


def test_a_window_is_predicted_as_in_the_whole_plane():
    movie = np.repeat(scene(272)[None], 4, 0)
    channel, model = of_channel(noisy(movie)), context_model(of_channel(noisy(movie)))
    from napari_noise2score.score.predict import predict_clean

    options = {'device': 'cpu', 'orientations': 1, 'only': range(1, 2), 'exact': True, 'tile': 64}
    whole = finish(predict_clean(model, channel, **options))
    window = Window(slice(64, 128), slice(8, 40))
    part = finish(predict_clean(model, channel, window=window, **options))
    np.testing.assert_allclose(part[0], whole[0][window.rows, window.columns], atol=1e-4)


def test_fewer_large_planes_are_averaged(monkeypatch, still):
    monkeypatch.setattr(neighbours, 'BESIDE', 9 * 4 * SIZE**2)
    channel = of_channel(noisy(still))
    near = [n for n in range(6, 15) if n != 10]
    mean = np.mean([channel.plane(n) for n in near], axis=0)
    np.testing.assert_allclose(channel.context(10)[MEAN], mean, atol=1e-4)
    assert len(channel.neighbours._kept) <= 9


def test_a_part_of_a_channel_has_the_context_of_the_part(still):
    channel, window = of_channel(noisy(still)), Window(slice(10, 50), slice(14, 64))
    whole, part = channel.context(7), channel.part(window).context(7)
    assert part.shape == (len(NAMES), 40, 50)
    for number in range(len(NAMES)):
        expected = whole[number][10:50, 14:64]
        found = part[number]
        if number == UNSTEADINESS:  # averaged over 5 x 5 pixels
            expected, found = expected[2:-2, 2:-2], found[2:-2, 2:-2]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_lights_are_measured_from_frame_to_frame_and_combined():
    grey = 100 + 400 * scene() / 100
    light = np.array([1.0, 0.8, 0.5, 0.7])
    data = noisy(100 + (grey - 100) * light[:, None, None])
    channel = of_channel(data)
    lights, series, base = Lights(channel), range(4), channel.table.base
    for first, last in ((0, 2), (3, 1), (2, 3)):
        found = lights.from_to(series, first, last)
        assert found.light == pytest.approx(light[last] / light[first], rel=0.02)
        expected = (100 - base) * (1 - light[last] / light[first])
        assert found.offset == pytest.approx(expected, abs=4)
    assert lights.from_to(series, 1, 1).same


@pytest.mark.parametrize('lost', [0.0, np.nan])
def test_a_lost_frame_does_not_hide_a_change_of_light(still, lost):
    light = np.array([1.0, 1.0, 1.0, 0.5, 0.5])
    data = noisy(100 + (still[:5] - 100) * light[:, None, None] + 300)
    data[2] = lost
    lights = Lights(of_channel(data))
    found = lights.from_to(range(5), 1, 3)
    assert found.light == pytest.approx(0.5, rel=0.05)
    assert lights.from_to(range(5), 3, 1).light == pytest.approx(2, rel=0.05)


def test_lights_follow_each_other():
    one, other = Light(5.0, 2.0), Light(-3.0, 0.5)
    assert one.then(other) == Light(-0.5, 1.0)
    assert one.then(one.reversed) == Light()


def test_nothing_is_blended_in_where_nothing_is_known():
    blend = Blend.constant(1.0)
    plane, alone, beside = np.zeros((3, 8, 8), np.float32)
    assert blend.combined(plane, None, alone, beside) is alone


def test_a_window_is_blended_as_in_the_whole_plane(still):
    rng = np.random.default_rng(4)
    movie = still[:5] + 3 * SIGMA * (rng.random((5, SIZE, SIZE)) > 0.99)
    channel, window = of_channel(noisy(movie)), Window(slice(30, 62), slice(0, 40))
    model = context_model(channel)
    beside = finish(choose_blend(model, model, channel, device='cpu'))
    assert beside.blend.once < 10
    options = {'device': 'cpu', 'orientations': 1, 'only': range(2, 3)}
    (whole,) = finish(levels_of(model, channel, beside, **options))
    (part,) = finish(levels_of(model, channel, beside, window=window, **options))
    np.testing.assert_allclose(part, whole[window.rows, window.columns], atol=1e-3)


def test_a_frame_that_none_is_like_leaves_the_risk_known(still, monkeypatch):
    monkeypatch.setattr(selection, 'PLACES', 12)  # so that one of them is in that frame
    movie = np.repeat(20 + scene()[None], 3, 0)
    movie[1] *= 20
    result = denoise(noisy(movie), 'TYX', SETTINGS)
    evaluation = result.score_map.evaluations[0]
    slabs = PlanesInMemory.like(evaluation.channel, evaluation.probe.slabs)
    assert any(slabs.context(number) is None for number in range(len(slabs.array)))
    assert np.isfinite(evaluation.clean).all()
    assert np.isfinite(result.report['risk'][result.report['correction']]['value'])


def test_without_neighbours_levels_are_those_of_the_model(still):
    channel = replace(of_channel(noisy(still[:2])), neighbours=None)
    options = {'device': 'cpu', 'orientations': 1}
    found = finish(levels_of(warm_start(), channel, None, **options))
    expected = finish(context_levels.clean_levels(warm_start(), channel, **options))
    np.testing.assert_array_equal(found, expected)


def test_without_context_neighbours_that_are_there_are_not_seen(still):
    """A score map has an image with its neighbours; it may be used again."""
    prepared = with_neighbours(
        prepare(noisy(still[:3]), 'TYX', GAUSSIAN, device='cpu'), Context.TIME
    )
    assert prepared.channels[0].neighbours is not None
    assert with_neighbours(prepared, Context.NONE).channels[0].neighbours is None
