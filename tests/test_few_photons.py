"""Few photons a pixel: the light is kept, whatever the form, and the stabilised one is taken."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.families import (
    Bernoulli,
    Exponential,
    NoiseFamily,
    Poisson,
    PoissonGaussian,
)
from napari_noise2score.noise.local_score import Correction
from napari_noise2score.noise.request import NoiseRequest
from napari_noise2score.pipeline.api import denoise
from napari_noise2score.pipeline.correct import correct_image
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.preview import correct_plane
from napari_noise2score.pipeline.results import Denoised
from napari_noise2score.score.train import beginning
from napari_noise2score.settings import DenoiseSettings, TrainSettings

COUNTS = Poisson(1.0, 0.0)
CAMERA = PoissonGaussian(4.0, 100.0, 0.5)
AT_ONCE = TrainSettings(seconds=0.0, device='cpu')
SIDE = 128


def scene(
    photons: float, noise: NoiseFamily = COUNTS, planes: int = 1, kind: str = 'nuclei'
) -> tuple[np.ndarray, np.ndarray]:
    """Noisy and clean, (planes, Y, X) grey levels; so many photons a pixel on average."""
    rng = np.random.default_rng(0)
    light = SCENES[kind]((SIDE, SIDE), rng)
    rate = photons * (0.2 + 0.8 * light / light.mean())
    clean = getattr(noise, 'offset', 0.0) + getattr(noise, 'gain', 1.0) * rate
    clean = np.broadcast_to(clean, (planes, SIDE, SIDE))
    return noise.sample(clean, rng).astype(np.float32), clean


def denoised(
    noisy: np.ndarray,
    axes: str = 'TYX',
    given: NoiseFamily | None = None,
    training: TrainSettings = AT_ONCE,
) -> Denoised:
    request = NoiseRequest() if given is None else NoiseRequest(given.name, given.parameters())
    return denoise(noisy, axes, DenoiseSettings(request, training=training, orientations=1))


@cache
def of_nuclei(photons: float, given: NoiseFamily | None) -> Denoised:
    """The result of a single frame of nuclei."""
    return denoised(scene(photons)[0], given=given)


def light_lost(noisy: np.ndarray, clean: np.ndarray, offset: float = 0.0) -> float:
    """Share of the light of a plane, the worst one."""
    means = noisy.mean((1, 2), dtype=np.float64), clean.mean((1, 2), dtype=np.float64)
    return float(max(abs(means[1] - means[0]) / (means[0] - offset)))


def gain(noisy: np.ndarray, image: np.ndarray, truth: np.ndarray) -> float:
    """Decibels."""
    errors = [np.mean((a.astype(np.float64) - truth) ** 2) for a in (noisy, image)]
    return float(10 * np.log10(errors[0] / errors[1]))


def uncorrected(result: Denoised) -> np.ndarray:
    """What the stabilised form gives without any light set right, grey levels."""
    (channel,) = result.score_map.prepared.channels
    return np.stack([channel.table.clean_value(level) for level in result.score_map.clean[0]])


@pytest.mark.parametrize('given', [COUNTS, None], ids=['given', 'blind'])
@pytest.mark.parametrize('photons', [0.05, 0.3, 3.0])
def test_a_single_frame_keeps_its_light_and_the_stabilised_form_is_taken(photons, given):
    noisy, truth = scene(photons)
    result = of_nuclei(photons, given)
    assert result.corrected.correction is Correction.STABILISED
    assert light_lost(noisy, result.image) < 0.01
    assert gain(noisy, result.image, truth) > gain(noisy, uncorrected(result), truth) - 0.1
    dark = truth <= np.quantile(truth, 0.2)
    plain = abs(uncorrected(result)[dark].mean() - truth[dark].mean())
    assert abs(result.image[dark].mean() - truth[dark].mean()) < plain + 0.02 * photons
    assert result.corrected.checks[0].warnings == ()


@pytest.mark.parametrize(
    ('photons', 'axes', 'planes', 'noise'),
    [
        (0.05, 'TYX', 6, COUNTS),
        (0.3, 'ZYX', 4, COUNTS),
        (0.1, 'ZYX', 4, CAMERA),
        (1.0, 'TYX', 1, CAMERA),
    ],
)
def test_movies_and_stacks_keep_the_light_of_every_plane(photons, axes, planes, noise):
    noisy, truth = scene(photons, noise, planes)
    result = denoised(noisy, axes)
    assert result.corrected.correction is Correction.STABILISED
    offset = getattr(noise, 'offset', 0.0)
    assert light_lost(noisy, result.image, offset) < 0.01
    assert gain(noisy, result.image, truth) > gain(noisy, uncorrected(result), truth) - 0.1


def test_what_the_network_made_up_at_levels_that_it_never_saw_is_taken_off():
    """The weights that ship saw no image of less than about a tenth of a photon a pixel."""
    noisy, truth = scene(0.05, kind='puncta')
    result = denoised(noisy, given=COUNTS)
    plain = uncorrected(result)
    assert plain.mean() > 1.03 * noisy.mean()
    assert light_lost(noisy, result.image) < 0.01
    assert gain(noisy, result.image, truth) > gain(noisy, plain, truth) + 0.3


@pytest.mark.parametrize('form', [Correction.CHAINED, Correction.PAPER])
def test_another_form_keeps_the_light_too_and_it_is_said_what_it_lost(form):
    noisy, truth = scene(0.3)
    usual = of_nuclei(0.3, COUNTS)
    other = correct_image(usual.score_map, None, form)
    assert light_lost(noisy, other.image) < 0.01
    assert gain(noisy, usual.image, truth) > gain(noisy, other.image, truth)


def test_a_training_keeps_the_light_and_is_not_worse():
    noisy, truth = scene(0.3)
    steps = TrainSettings(seconds=None, steps=10, batch=4, patch=48, device='cpu')
    result = denoised(noisy, given=COUNTS, training=steps)
    assert result.corrected.correction is Correction.STABILISED
    assert light_lost(noisy, result.image) < 0.01
    before = of_nuclei(0.3, COUNTS)
    assert gain(noisy, result.image, truth) > gain(noisy, before.image, truth) - 0.3
    risk = result.model.training['risk']
    assert risk['value'] is not None
    assert result.model.training['noise_variance'] < 0.5


@pytest.mark.parametrize(
    ('family', 'level'), [(Bernoulli(), 0.1), (Exponential(), 5.0)], ids=['Bernoulli', 'speckle']
)
def test_other_families_keep_the_light(family, level):
    rng = np.random.default_rng(1)
    light = SCENES['nuclei']((SIDE, SIDE), rng)
    truth = np.minimum(level * (0.2 + 0.8 * light / light.mean()), level if level > 1 else 0.9)
    noisy = family.sample(truth, rng)[None]
    result = denoised(noisy.astype(np.float32), given=family)
    assert light_lost(noisy, result.image) < 0.01
    assert gain(noisy, result.image, truth) > gain(noisy, uncorrected(result), truth) - 0.1


def test_wrong_noise_parameters_are_told_by_the_light():
    """A gain three times too large: the estimate is off, and setting it right is said."""
    noisy, _ = scene(1.0)
    result = denoised(noisy, given=Poisson(3.0, 0.0))
    assert light_lost(noisy, result.image) < 0.01
    assert result.report['warnings']


def test_counts_are_not_taken_for_saturated():
    """Of 0, 1 and 2 photons the last one is the largest value, and rarer than the one before."""
    noisy, _ = scene(0.1)
    assert denoised(np.minimum(noisy, 2)).score_map.prepared.channels[0].rail == np.inf


def test_a_plane_that_is_seen_live_has_its_light():
    noisy, _ = scene(0.05)
    request = NoiseRequest('poisson', COUNTS.parameters())
    (channel,) = model_noise(ImageSource(noisy, 'TYX'), request).channels
    live = correct_plane(beginning([channel], AT_ONCE), channel, 0, device='cpu')
    assert live.mean(dtype=np.float64) == pytest.approx(noisy.mean(dtype=np.float64), rel=0.01)
