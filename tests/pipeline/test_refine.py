"""The noise of a single image, refined with the pretrained network."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_noise2score.cli import main
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.pipeline.prepare import estimate_channel, model_noise
from napari_noise2score.pipeline.refine import by_pretrained, prepare_image

SIGMA = 10.0


def noisy(share: float, name: str = 'filaments', frames: int = 1) -> np.ndarray:
    """Frames whose noise has this correlation between next neighbours in a row."""
    clean = 100 * SCENES[name]((256, 256), np.random.default_rng(3))
    white = np.random.default_rng(0).normal(size=(frames, 256, 257))
    side = (1 - (1 - 4 * share**2) ** 0.5) / (2 * share) if share else 0.0
    noise = (white[..., 1:] + side * white[..., :-1]) / (1 + side**2) ** 0.5
    return np.squeeze(clean + SIGMA * noise).astype(np.float32)


def refined(image: np.ndarray, axes: str = 'YX'):
    (channel,) = prepare_image(ImageSource(image, axes, 'image'), device='cpu').channels
    return channel


@pytest.mark.parametrize('name', ['filaments', 'nuclei'])
def test_a_slight_correlation_of_one_image_is_found_and_its_noise_is_not_too_weak(name):
    channel = refined(noisy(0.1, name))
    measured = channel.fit.evidence.correlation
    assert measured.along_rows == pytest.approx(0.1, abs=0.025)
    assert measured.along_columns == pytest.approx(0.0, abs=0.025)
    assert channel.correlation.is_white
    own = channel.fit.family.variance(50.0) ** 0.5
    assert own == pytest.approx(SIGMA, rel=0.03)
    (before,) = model_noise(ImageSource(noisy(0.1, name), 'YX', 'image')).channels
    assert before.fit.family.variance(50.0) ** 0.5 < 0.97 * SIGMA


@pytest.mark.parametrize('name', SCENES)
def test_white_noise_of_one_image_stays_white(name):
    channel = refined(noisy(0.0, name))
    assert channel.fit.refined
    assert channel.fit.correlation_words == 'independent pixels'


def test_a_strong_correlation_is_measured_again():
    channel = refined(noisy(0.3))
    assert channel.correlation.along_rows == pytest.approx(0.3, abs=0.03)
    assert channel.fit.family.variance(50.0) ** 0.5 == pytest.approx(SIGMA, rel=0.04)


def test_the_noise_does_not_depend_on_the_level():
    low, high = (refined(noisy(0.3) + np.float32(level)) for level in (0, 20_000))
    ours, theirs = (
        (channel.correlation.along_rows, channel.fit.family.sigma) for channel in (low, high)
    )
    assert ours == pytest.approx(theirs, rel=0.02)


def test_frames_that_show_the_correlation_are_believed():
    channel = refined(noisy(0.1, frames=3), 'TYX')
    assert channel.fit.compared
    assert not channel.fit.refined
    assert 'slight correlation between neighbouring pixels 0.1' in channel.fit.correlation_words


def test_panel_command_and_training_estimate_the_same(tmp_path, capsys):
    path = tmp_path / 'image.tif'
    tifffile.imwrite(path, noisy(0.1))
    assert main(['estimate', str(path), '--device', 'cpu', '--json']) == 0
    told = json.loads(capsys.readouterr().out)['channels'][0]
    channel = refined(noisy(0.1))
    assert told['noise'] == channel.family.to_dict()
    assert told['correlation']['neighbours'] == channel.fit.evidence.correlation.neighbours
    assert estimate_channel(channel.channel, by_pretrained('cpu')).family == channel.family


def test_what_cannot_be_measured_is_left_as_it_is():
    source = ImageSource(noisy(0.1), 'YX', 'image')
    (channel,) = model_noise(source).channels
    refine = by_pretrained('cpu')
    assert refine(channel) is not None
    assert refine(replace(channel, fit=None)) is None
    small = ImageSource(noisy(0.1)[:20, :20], 'YX', 'image')
    assert not prepare_image(small, device='cpu').channels[0].fit.refined
