"""Data without noise beside data with it: handed through, counted nowhere, said once."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from napari_noise2score.analysis.noise_parameters import compare_parameters
from napari_noise2score.analysis.training_effect import training_difference
from napari_noise2score.errors import InputError
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource
from napari_noise2score.noise.blank import blank_everywhere
from napari_noise2score.noise.families import Bernoulli, Gamma, PoissonGaussian
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.pipeline.correct import correct_image
from napari_noise2score.pipeline.domain import TrainingDomain, misfits
from napari_noise2score.pipeline.pooling import parts_to_train_on, training_groups
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.preview import correct_plane
from napari_noise2score.pipeline.residual import residual_steps
from napari_noise2score.pipeline.results import Denoised, Failed
from napari_noise2score.pipeline.run import denoise_steps
from napari_noise2score.progress import finish
from napari_noise2score.settings import DenoiseSettings, ModelPer, NetworkSettings, TrainSettings

CAMERA = PoissonGaussian(4.0, 100.0, 3.0)
SIDE = 96
PAD = 22
AT_ONCE = TrainSettings(seconds=0, device='cpu')
SETTINGS = DenoiseSettings(training=AT_ONCE, context='none', orientations=1)
BRIEF = TrainSettings(
    seconds=None,
    steps=12,
    batch=4,
    patch=32,
    device='cpu',
    init='scratch',
    network=NetworkSettings(8, 2, 1),
)


pytestmark = pytest.mark.usefixtures('with_few_trials')


def scene(side: int = SIDE) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    blobs = [(30, 40, 9, 150), (90, 80, 20, 100), (60, 20, 30, 60), (20, 76, 6, 180)]
    light = (h * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 2 / w**2) for a, b, w, h in blobs)
    return np.asarray(115 + sum(light))


def frames(count: int, seed: int = 0) -> np.ndarray:
    clean = np.broadcast_to(scene(), (count, SIDE, SIDE))
    return np.rint(CAMERA.sample(clean, np.random.default_rng(seed))).astype(np.uint16)


def results_of(steps) -> list[Denoised]:
    return [event for event in steps if isinstance(event, Denoised)]


def error(image: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean((image.astype(np.float64) - truth) ** 2))


@pytest.fixture(scope='module')
def alone() -> float:
    """Squared error of three frames without the columns that are padded below."""
    return error(denoise(frames(3)[..., PAD:], 'TYX', SETTINGS).image, scene()[:, PAD:])


def padded(stack: np.ndarray, value: float) -> tuple[np.ndarray, np.ndarray]:
    """Frames with 22 columns of a value, and where they are."""
    blank = np.zeros(stack.shape, bool)
    blank[..., :PAD] = True
    kind = stack.dtype if np.isfinite(value) else np.float32
    return np.where(blank, np.asarray(value, kind), stack.astype(kind)), blank


@pytest.mark.parametrize('value', [0, 140, 65535, np.nan, -np.inf])
def test_padding_comes_back_as_it_was_and_the_rest_as_good_as_alone(value, alone):
    noisy, blank = padded(frames(3), value)
    result = denoise(noisy, 'TYX', SETTINGS)
    np.testing.assert_array_equal(result.image[blank], noisy[blank].astype(np.float32))
    inside = ~blank[0]
    assert error(result.image[:, inside], scene()[inside]) < 1.1 * alone
    channel = result.report['channels'][0]
    assert channel['blank'] == pytest.approx(PAD / SIDE, abs=1e-3)
    assert channel['noise']['gain'] == pytest.approx(4, rel=0.2)
    assert channel['residual']['variance'] == pytest.approx(0.93, abs=0.08)
    what = 'NaN or infinite' if not np.isfinite(value) else f'constant {value}'
    (said,) = result.report['warnings']
    assert said == (
        f'23 % of the pixels hold no noise (padding, a mask: {what}); they are returned '
        'unchanged and are not used.'
    )
    json.dumps(result.report['channels'], allow_nan=False)


@cache
def with_dropped_frames() -> tuple[Denoised, Denoised]:
    """Three frames alone, and with two between them that are 0; with the other frames."""
    noisy, settings = frames(3), replace(SETTINGS, context='auto')
    stack = np.stack([noisy[0], 0 * noisy[0], noisy[1], 0 * noisy[0], noisy[2]])
    return denoise(noisy, 'TYX', settings), denoise(stack, 'TYX', settings)


def test_dropped_frames_are_said_and_not_compared():
    _, result = with_dropped_frames()
    words = 'T 1, 3 hold no noise (constant 0) and are returned as they are.'
    assert result.report['warnings'] == [words]
    pairs = model_noise(result.score_map.prepared.source).channels[0].pairs
    assert {(pair.first, pair.second) for pair in pairs} == {(0, 2), (2, 4)}


@pytest.mark.parametrize('form', list(Correction))
def test_dropped_frames_do_nothing_to_the_others(form):
    alone, image = (
        correct_image(result.score_map, None, form).image for result in with_dropped_frames()
    )
    assert not image[[1, 3]].any()
    kept = image[[0, 2, 4]]
    assert error(kept, scene()) < 1.05 * error(alone, scene())
    assert kept.min() > 95
    assert kept.max() < frames(3).max()


def test_places_of_planes_are_named_by_their_axes():
    stack = np.stack([frames(3), frames(3, 1)], axis=1)  # T, Z
    stack[1, 0], stack[2] = 7, 0
    result = denoise(stack, 'TZYX', SETTINGS)
    (said,) = result.report['warnings']
    assert said == (
        'Z 0 T 1, Z 0 T 2, Z 1 T 2 hold no noise (constant 0, 7) and are returned as they are.'
    )


@pytest.mark.parametrize('model_per', list(ModelPer))
@pytest.mark.parametrize(('axes', 'value'), [('CTYX', 0), ('TYXS', 255)])
def test_an_empty_channel_does_not_keep_the_others(axes, value, model_per):
    noisy = np.stack([frames(2), np.full((2, SIDE, SIDE), value, np.uint16), frames(2, 1)])
    where: tuple = (1,)
    if axes == 'TYXS':
        noisy, where = np.moveaxis(noisy, 0, -1), (..., 1)
    settings = replace(SETTINGS, model_per=model_per)
    result = denoise(noisy, axes, settings)
    assert (result.image[where] == value).all()
    others = np.delete(result.image, 1, axis=0 if axes == 'CTYX' else -1)
    truth = scene() if axes == 'CTYX' else scene()[..., None]
    assert error(others, truth) < 0.1 * error(
        np.delete(noisy, 1, 0 if axes == 'CTYX' else -1), truth
    )
    letter = axes[0] if axes == 'CTYX' else 'S'
    times = ['']
    if model_per is ModelPer.TIME:
        times = [f', T {t}' for t in range(2)] if axes == 'CTYX' else ['T 0, ', 'T 1, ']
    said = [
        f'{letter} 1{t} is constant ({value}) and is returned as it is.'
        if axes == 'CTYX'
        else f'{t}S 1 is constant ({value}) and is returned as it is.'
        for t in times
    ]
    assert result.report['warnings'] == said
    places = [channel['place'] for channel in result.report['channels']]
    noise = [channel['noise'] for channel in result.report['channels']]
    assert places == [
        channel.place for channel in result.score_map.prepared.source.channels(model_per.axes)
    ]
    assert [record is None for record in noise] == [place[letter] == 1 for place in places]


def test_a_time_point_that_is_trained_for_itself_may_be_empty():
    stack = frames(3)
    stack[1] = 0
    result = denoise(stack, 'TYX', replace(SETTINGS, model_per='time'))
    assert not result.image[1].any()
    assert result.report['warnings'] == ['T 1 is constant (0) and is returned as it is.']


@pytest.mark.parametrize(
    ('image', 'axes', 'words'),
    [
        (np.zeros((64, 64), np.uint8), 'YX', r'the image is constant \(0\)'),
        (np.full((3, 64, 64), np.nan), 'TYX', 'the image is NaN or infinite'),
        (np.arange(3)[:, None, None] * np.ones((64, 64)), 'TYX', r'constant \(0, 1, 2\)'),
        (
            np.array([0, 255])[:, None, None] * np.ones((64, 64)),
            'CYX',
            r'without noise in every channel \(C 0: constant \(0\), C 1: constant \(255\)\)',
        ),
    ],
)
def test_nothing_but_constants_is_refused_with_the_reason(image, axes, words):
    for noise in (NoiseRequest(), NoiseRequest(parameters=CAMERA.parameters())):
        with pytest.raises(InputError, match=f'cells: no noise was detected: .*{words}'):
            denoise(image, axes, replace(SETTINGS, noise=noise), name='cells')


@pytest.fixture(scope='module')
def empty_and_cells():
    """A constant image and one that holds noise."""
    return [
        ImageSource(np.full((2, 64, 64), 9, np.uint16), 'TYX', 'empty'),
        ImageSource(frames(2), 'TYX', 'cells'),
    ]


@pytest.fixture(scope='module')
def model_of_cells(empty_and_cells):
    (result,) = results_of(denoise_steps(empty_and_cells[1:], SETTINGS))
    return result.model


@pytest.mark.parametrize('model_per', list(ModelPer))
def test_a_constant_image_among_others_is_handed_through(empty_and_cells, model_per):
    settings = replace(SETTINGS, model_per=model_per)
    empty, cells = results_of(denoise_steps(empty_and_cells, settings))
    assert (empty.image == 9).all()
    assert 'is constant (9) and is returned as it is.' in ' '.join(empty.report['warnings'])
    assert error(cells.image, scene()) < 0.1 * error(empty_and_cells[1].data, scene())
    assert cells.report['warnings'] == []
    json.dumps([empty.report, cells.report])
    change = finish(training_difference(empty.score_map, device='cpu', orientations=1))
    assert not change.image.any()


def test_a_model_hands_a_constant_image_through(empty_and_cells, model_of_cells):
    empty, _ = results_of(denoise_steps(empty_and_cells, SETTINGS, model=model_of_cells))
    assert (empty.image == 9).all()


def test_constant_images_alone_are_refused(empty_and_cells):
    with pytest.raises(InputError, match='empty: no noise was detected'):
        results_of(denoise_steps(empty_and_cells[:1] * 2, SETTINGS))


@pytest.mark.parametrize('trains', [True, False])
def test_of_many_images_a_constant_one_is_left_out(empty_and_cells, model_of_cells, trains):
    model = None if trains else model_of_cells
    left_out, done = [
        event
        for event in denoise_steps(empty_and_cells, SETTINGS, model=model, keep_going=True)
        if isinstance(event, (Denoised, Failed))
    ]
    assert (left_out.number, done.number) == (0, 1)
    assert 'the image is constant (9)' in str(left_out.error)


def test_a_channel_whose_noise_cannot_be_estimated_is_named():
    even = np.random.default_rng(0).normal(300, 5, (SIDE, SIDE))
    image = np.stack([frames(1)[0], even])
    settings = replace(SETTINGS, noise=NoiseRequest('poisson'))
    with pytest.raises(InputError, match=r'cells \(C 1\): the noise does not depend on the int'):
        denoise(image, 'CYX', settings, name='cells')
    settings = replace(SETTINGS, noise=NoiseRequest('bernoulli'))
    with pytest.raises(InputError, match=r'cells \(C 0\): values are'):
        denoise(image, 'CYX', settings, name='cells')


def test_whole_numbers_are_handed_through_exactly():
    big = frames(2).astype(np.int64) + 2**50
    big[0, :20] = 2**60 + 1
    result = denoise(big, 'TYX', replace(SETTINGS, output='source'))
    assert result.image.dtype == np.int64
    assert (result.image[0, :20] == 2**60 + 1).all()


def test_a_training_learns_nothing_of_what_is_blank():
    """Twice the same training: whatever the padding is filled with is of no account."""
    results = []
    for value in (0, np.nan):
        noisy, blank = padded(frames(3), value)
        noisy[1] = value
        result = denoise(noisy, 'TYX', replace(SETTINGS, training=BRIEF))
        assert np.isfinite(result.image[0][~blank[0]]).all()
        np.testing.assert_array_equal(result.image[1], noisy[1].astype(np.float32))
        assert np.isfinite(result.model.training['risk']['value'])
        results.append(result.image[0][~blank[0]])
    np.testing.assert_allclose(*results, atol=0.05)


def test_slices_beside_an_empty_one():
    stack = frames(5)
    stack[2] = 0
    training = replace(AT_ONCE, seconds=None, steps=2, batch=4, patch=32)
    result = denoise(stack, 'ZYX', replace(SETTINGS, training=training, context='depth'))
    assert np.isfinite(result.image).all()
    assert not result.image[2].any()
    assert error(result.image[[0, 1, 3, 4]], scene()) < 0.2 * error(stack[[0, 1, 3, 4]], scene())


@pytest.fixture(scope='module')
def holed():
    """A result of frames with a channel of zeros, a blank frame and padding, and its input."""
    noisy, _ = padded(frames(3), 0)
    noisy[1] = 0
    image = np.stack([noisy, np.zeros_like(noisy)])
    return denoise(image, 'CTYX', SETTINGS, name='cells'), image


def test_other_corrections_hand_through_the_same(holed):
    result, image = holed
    for form in Correction:
        again = correct_image(result.score_map, NoiseRequest.exactly(CAMERA), form)
        np.testing.assert_array_equal(again.image[image == 0], 0)
        assert again.warnings == result.corrected.warnings
        assert len(again.warnings) == 3


def test_a_residual_of_what_was_handed_through_is_zero(holed):
    result, image = holed
    clean = ImageSource(result.image, 'CTYX')
    families = [*result.corrected.families, None]
    residual = finish(residual_steps(ImageSource(image, 'CTYX'), clean, families))
    assert np.isfinite(residual).all()
    assert not residual[image == 0].any()
    assert residual[image > 0].std() == pytest.approx(0.96, abs=0.06)


def test_infinities_have_no_residual():
    noisy, blank = padded(frames(1), np.inf)
    result = denoise(noisy, 'TYX', SETTINGS)
    source = ImageSource(noisy, 'TYX')
    clean = ImageSource(result.image, 'TYX')
    residual = finish(residual_steps(source, clean, result.corrected.families))
    assert not residual[blank].any()
    assert np.isfinite(residual).all()


def test_what_a_training_changed_is_nothing_where_nothing_was_done(holed):
    result, image = holed
    change = finish(training_difference(result.score_map, device='cpu', orientations=1))
    assert np.isfinite(change.image).all()
    assert not change.image[image == 0].any()
    assert np.isfinite(change.largest[0].rms)


def test_a_plane_that_is_looked_at_is_handed_through_where_it_is_blank(holed):
    result, image = holed
    channel = result.score_map.prepared.channels[0]
    for plane in range(3):
        shown = correct_plane(result.model, channel, plane, device='cpu')
        np.testing.assert_array_equal(shown[image[0, plane] == 0], 0)
        assert np.isfinite(shown).all()
    window = Region({'Y': (20, 90), 'X': (PAD - 10, 80)})
    part = correct_plane(result.model, channel, 0, window=window, device='cpu')
    np.testing.assert_array_equal(part[:, :10], 0)
    assert part[:, 10:].min() > 95


def test_whether_a_model_fits_is_told_by_what_is_there(holed):
    result, image = holed
    channel = result.score_map.prepared.channels[0]
    low, high = TrainingDomain.of(channel).levels
    alone = TrainingDomain.of(
        model_noise(ImageSource(image[0][:, :, PAD:][[0, 2]], 'TYX')).channels[0]
    )
    assert low == pytest.approx(alone.levels[0], abs=1)
    assert high == pytest.approx(alone.levels[1], abs=1)
    assert misfits(result.model, result.score_map.prepared) == []


def test_noise_parameters_are_read_where_there_is_an_image(holed):
    result, _ = holed
    steps = compare_parameters(result.model, result.score_map.prepared, device='cpu', size=96)
    (found,) = finish(steps)
    assert found.evidence
    assert all(np.isfinite(item.value) for item in found.evidence)


def test_lessons_follow_the_channels_that_hold_noise():
    wide = [np.concatenate(frames(2, seed), axis=1) for seed in (0, 1)]
    image = np.stack([wide[0], np.zeros_like(wide[0]), wide[1]])
    image[0, 48:] = 0
    source = ImageSource(image, 'CYX', 'cells')
    whole = model_noise(source)
    upper, lower = (
        model_noise(source.part(Region({'Y': rows}))) for rows in ((0, 48), (48, SIDE))
    )
    assert [len(one.channels) for one in (whole, upper, lower)] == [2, 2, 1]
    first, second = training_groups([whole], ModelPer.CHANNEL)
    (own,) = parts_to_train_on(second, [whole], [[lower]])
    assert [channel.channel.place for channel in own.channels] == [{'C': 2}]
    with pytest.raises(InputError, match='cells: the part to train on is constant in C 0'):
        parts_to_train_on(first, [whole], [[lower]])


def test_a_correction_stays_within_what_the_data_can_mean():
    """Dead and hot pixels, far from all that noise gives, drag no formula along."""
    noisy = frames(2).astype(np.float32)
    rng = np.random.default_rng(0)
    places = tuple(rng.integers(5, SIDE - 5, (2, 34)))
    noisy[0][places] = rng.choice([0, -3000, 4000], 34)
    for form in (Correction.CHAINED, Correction.PAPER, Correction.STABILISED):
        clean = denoise(noisy[:1], 'TYX', replace(SETTINGS, correction=form)).image
        assert np.isfinite(clean).all()
        beyond = np.abs(clean[0] - scene())
        assert np.quantile(beyond, 0.9) < 20
        assert clean.min() >= noisy[0].min() - 50
        assert clean.max() <= noisy[0].max() + 300


@pytest.mark.parametrize('place', [0, 3])
def test_a_frame_that_is_a_drawing_is_left_as_it_is(place):
    stack = frames(4)
    stack[place] = np.where(scene() > 160, 255, 0)
    result = denoise(stack, 'TYX', SETTINGS).image
    np.testing.assert_array_equal(result[place], stack[place])
    rest = np.delete(result, place, axis=0)
    assert error(rest, scene()) < 0.5 * error(np.delete(stack, place, axis=0), scene())


def test_a_channel_that_is_a_mask_is_left_as_it_is():
    mask = np.where(scene() > 160, 255, 0)
    stack = np.stack([frames(2), np.stack([mask, mask]).astype(np.uint16)], axis=1)
    result = denoise(stack, 'TCYX', SETTINGS)
    np.testing.assert_array_equal(result.image[:, 1], stack[:, 1])
    assert error(result.image[:, 0], scene()) < 0.5 * error(stack[:, 0], scene())
    with pytest.raises(
        InputError, match=r'no noise was detected: the image is without noise \(0, 255\)'
    ):
        denoise(stack[:, 1], 'TYX', SETTINGS)


@pytest.mark.parametrize('kind', ['tiles', 'labels', 'smooth'])
def test_a_channel_without_noise_is_left_as_it_is(kind):
    rows, columns = np.indices((SIDE, SIDE))
    tiles = (rows // 8 * (SIDE // 8) + columns // 8) * 7
    texture = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=(SIDE, SIDE)), 1.8)
    labels, _ = ndimage.label(texture > 0.15)
    smooth = 1000 + 900 * np.sin(rows / 30) * np.cos(columns / 40)
    values = {'tiles': tiles, 'labels': labels, 'smooth': smooth}[kind].astype(np.float32)
    assert len(np.unique(values)) > 40
    stack = np.stack([frames(2).astype(np.float32), np.stack([values, values])], axis=1)
    result = denoise(stack, 'TCYX', SETTINGS)
    np.testing.assert_array_equal(result.image[:, 1], stack[:, 1])
    assert error(result.image[:, 0], scene()) < 0.5 * error(stack[:, 0], scene())
    assert any('C 1 is without noise' in text for text in result.report['warnings'])
    with pytest.raises(InputError, match='no noise was detected'):
        denoise(stack[:, 1], 'TYX', SETTINGS)


def test_images_that_have_equal_neighbours_are_no_labels():
    rng = np.random.default_rng(0)
    beads = ndimage.gaussian_filter((rng.random((SIDE, SIDE)) > 0.995) * 1.0, 2)
    dim = rng.poisson(0.02 + 90 * beads / beads.max())
    large = np.kron(frames(1)[0, :24, :24], np.ones((4, 4), int))
    rounded = np.round(scene() + 0.05 * rng.normal(size=(SIDE, SIDE)))
    masked = np.where(np.hypot(*(np.indices((SIDE, SIDE)) - SIDE / 2)) < SIDE / 4, large, 0)
    twice = np.kron(frames(1)[0, 24:72, 24:72], np.ones((2, 2), int))
    twice[:, : 2 * SIDE // 3] = 0
    for plane in (dim, large, masked, twice, rounded, ndimage.gaussian_filter(frames(1)[0], 3)):
        assert len(np.unique(plane)) > 40
        assert not blank_everywhere(plane)


@pytest.mark.parametrize('fill', [np.nan, -1.0, -np.inf])
@pytest.mark.parametrize('noise', [Bernoulli(), Gamma(12.0)], ids=str)
def test_padding_is_no_value_of_the_noise(noise, fill):
    clean = scene() / 400 if isinstance(noise, Bernoulli) else scene()
    frame = noise.sample(clean, np.random.default_rng(1)).astype(np.float32)
    frame[:, :PAD] = fill
    result = denoise(frame, 'YX', replace(SETTINGS, noise=NoiseRequest.exactly(noise)))
    np.testing.assert_array_equal(result.image[:, :PAD], frame[:, :PAD])
    assert error(result.image[:, PAD:], clean[:, PAD:]) < error(frame[:, PAD:], clean[:, PAD:])
