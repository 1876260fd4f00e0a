"""Movies whose light or scene changes come out as bright as they are, and as clean as others."""

from functools import lru_cache

import numpy as np
import pytest

from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.estimate.blind import estimate_noise
from napari_noise2score.noise.families import PoissonGaussian
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.pipeline.results import Denoised
from napari_noise2score.settings import DenoiseSettings, TrainSettings
from tests.quick import few_trials

CAMERA = PoissonGaussian(3.0, 100.0, 4.0)
FRAMES, SIZE = 12, 96
EVEN = np.ones(FRAMES)


def photons(seed: int = 1, name: str = 'nuclei') -> np.ndarray:
    return 4 + 60 * SCENES[name]((SIZE, SIZE), np.random.default_rng([seed, 0]))


def lit(light: np.ndarray) -> np.ndarray:
    return np.asarray(light)[:, None, None] * photons()


def once(value: float) -> np.ndarray:
    light = EVEN.copy()
    light[5] = value
    return light


def cut() -> np.ndarray:
    other = photons(5, 'filaments')
    return np.stack([photons()] * (FRAMES // 2) + [other] * (FRAMES // 2))


def region() -> np.ndarray:
    """A bright place that is twice as bright in every other frame."""
    movie = lit(EVEN)
    movie[:, 20:44, 30:54] += 40
    movie[1::2, 20:44, 30:54] *= 2
    return movie


MOVIES = {
    'steady': lit(EVEN),
    'flicker': lit(1 + 0.3 * np.random.default_rng(2).uniform(-1, 1, FRAMES)),
    'flash': lit(once(5.0)),
    'dim': lit(once(0.2)),
    'dark': lit(once(0.0)),
    'doubles': lit(np.repeat([1.0, 2.0], FRAMES // 2)),
    'fades': lit(np.exp(-np.arange(FRAMES) / 4.0)),
    'blinks': lit(np.tile([1.0, 0.25], FRAMES // 2)),
    'cut': cut(),
    'positions': np.stack([photons(seed) for seed in range(1, FRAMES + 1)]),
    'turns': np.stack([photons(1 + number % 2) for number in range(FRAMES)]),
    'region': region(),
}


def noisy_and_clean(name: str) -> tuple[np.ndarray, np.ndarray]:
    clean = 100 + 3 * MOVIES[name]
    return CAMERA.sample(clean, np.random.default_rng(11)).astype(np.float32), clean


def cleaned(movie: np.ndarray, steps: int | None = None, context: str = 'none') -> Denoised:
    training = TrainSettings(seconds=0.0 if steps is None else None, steps=steps, device='cpu')
    settings = DenoiseSettings(training=training, orientations=1, context=context)
    return denoise(movie, 'TYX', settings)


@lru_cache(maxsize=32)
def result(name: str) -> Denoised:
    return cleaned(noisy_and_clean(name)[0])


@pytest.fixture(scope='module', params=MOVIES)
def name(request: pytest.FixtureRequest) -> str:
    """All tests of a movie follow each other, so that it is denoised once in a process."""
    return str(request.param)


def light_lost(image: np.ndarray, noisy: np.ndarray, clean: np.ndarray) -> float:
    """Largest change of the mean of a frame over what is allowed.

    Against the noisy frame, whose own mean is off by chance. A half percent of the light is
    allowed, and the twenty-fifth part of a photon.
    """
    light = np.maximum(clean.mean((1, 2)) - 100, 0)
    change = (image.astype(float) - noisy).mean((1, 2))
    return float((np.abs(change) / (0.005 * light + 0.04 * CAMERA.gain)).max())


def left(image: np.ndarray, clean: np.ndarray) -> float:
    """Mean squared error in noise variances."""
    return float(((image - clean) ** 2 / CAMERA.variance(clean)).mean())


def test_the_light_of_every_frame_is_kept(name):
    noisy, clean = noisy_and_clean(name)
    assert light_lost(result(name).image, noisy, clean) < 1


@pytest.mark.parametrize('name', ['flicker', 'flash', 'dim', 'doubles', 'blinks', 'region'])
def test_as_much_noise_is_taken_away_as_under_steady_light(name):
    """Frame by frame: within a tenth of what is left, which is less than half a decibel."""
    shares = [left(result(n).image, noisy_and_clean(n)[1]) for n in (name, 'steady')]
    assert shares[0] < 1.1 * shares[1]


def test_other_frames_make_no_movie_worse(name):
    noisy, clean = noisy_and_clean(name)
    with few_trials():
        beside = cleaned(noisy, context='auto')
    together, alone = (left(image, clean) for image in (beside.image, result(name).image))
    assert together < 1.02 * alone
    if name in ('steady', 'flicker', 'doubles', 'fades', 'blinks'):
        assert together < 0.85 * alone


def test_the_risk_is_near_the_truth_and_nothing_is_called_worse(name):
    report = result(name).report
    risk = report['risk'][report['correction']]
    true = left(result(name).image, noisy_and_clean(name)[1])
    assert risk['value'] == pytest.approx(true, abs=0.03 + 4 * risk['standard_error'])
    for text in report['warnings']:
        assert 'worse' not in text
        assert 'correlated' not in text


@pytest.mark.parametrize('name', ['steady', 'flicker', 'cut'])
def test_parts_of_a_movie_come_out_as_in_the_whole(name):
    noisy, clean = noisy_and_clean(name)
    parts = np.concatenate([cleaned(noisy[at : at + 6]).image for at in (0, 6)])
    light = clean.mean((1, 2)) - 100
    assert (np.abs((parts - result(name).image).mean((1, 2))) / light).max() < 0.002


def test_a_training_keeps_the_light_too():
    noisy, clean = noisy_and_clean('flash')
    trained = cleaned(noisy, steps=12)
    assert light_lost(trained.image, noisy, clean) < 1
    assert left(trained.image, clean) < 1.1 * left(result('flash').image, clean)


@pytest.mark.parametrize(
    ('name', 'text'),
    [('flicker', 'flicker'), ('flash', 'flash'), ('cut', 'do not show the same scene')],
)
def test_what_changed_is_said(name, text):
    assert any(text in words for words in estimate_noise(noisy_and_clean(name)[0]).warnings)


def test_dark_frames_are_stepped_over_and_frames_keep_their_numbers():
    noisy, _ = noisy_and_clean('dark')
    repeated = noisy[[0, 0, 1, 2, 3, 4, 5, 6, 7, 7]]
    (pairs,) = estimate_noise(repeated).pairs
    numbers = [(pair.first, pair.second) for pair in pairs]
    assert numbers == [(0, 2), (2, 3), (3, 4), (4, 5), (5, 7), (7, 8)]
    assert all(pair.same_light for pair in pairs)


@pytest.mark.parametrize('name', ['flicker', 'fades', 'flash', 'blinks', 'cut', 'region', 'dark'])
def test_the_noise_is_estimated_as_under_steady_light(name):
    noisy, clean = noisy_and_clean(name)
    family = estimate_noise(noisy).family
    levels = np.quantile(clean, np.linspace(0.05, 0.99, 20))
    assert family.gain == pytest.approx(3.0, rel=0.04)
    np.testing.assert_allclose(family.variance(levels), CAMERA.variance(levels), rtol=0.06)
