"""The weights that ship."""

import hashlib

import numpy as np
import pytest

from napari_noise2score import NoiseRequest, prepare, score_image
from napari_noise2score.errors import CheckpointError
from napari_noise2score.images.synthetic import SCENES
from napari_noise2score.noise.families import Gaussian
from napari_noise2score.score import precision
from napari_noise2score.score.model import ScoreModel
from napari_noise2score.score.pretraining import weights
from napari_noise2score.score.pretraining.weights import (
    starting_model,
    warm_start,
    warm_start_with_context,
)


@pytest.mark.parametrize(
    ('file', 'sha256', 'load'),
    [
        (weights.FILE, weights.SHA256, warm_start),
        (weights.CONTEXT_FILE, weights.CONTEXT_SHA256, warm_start_with_context),
    ],
    ids=['alone', 'context'],
)
def test_a_shipped_file_is_small_whole_and_tells_how_it_was_made(file, sha256, load):
    assert file.stat().st_size <= 4_000_000
    assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256
    made = load().training['pretraining']
    assert made['steps_done'] == made['steps']
    losses = [loss for _, loss in made['log']]
    assert len(losses) >= 90
    # one of the two began with weights that were pretrained before
    assert losses[-1] < 0.85 * max(losses)
    assert losses[-1] < 1.1 * min(losses)  # a mean over some 200 batches


def test_a_damaged_file_is_refused(tmp_path):
    damaged = tmp_path / 'warm.safetensors'
    content = bytearray(weights.FILE.read_bytes())
    content[-100] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(CheckpointError, match='damaged weights of the warm start'):
        warm_start(damaged)
    with pytest.raises(CheckpointError, match='damaged weights of the warm start'):
        warm_start_with_context(damaged)
    with pytest.raises(CheckpointError, match='are not installed'):
        warm_start(tmp_path / 'nothing')


def test_a_start_has_a_name_or_is_a_file(tmp_path):
    assert starting_model('scratch') is None
    assert starting_model('warm') is warm_start()
    path = tmp_path / 'mine.safetensors'
    warm_start().save(path)
    mine = starting_model(str(path))
    assert isinstance(mine, ScoreModel)
    assert mine.digest == warm_start().digest
    with pytest.raises(CheckpointError, match='no such file'):
        starting_model(str(tmp_path / 'other'))


@pytest.mark.parametrize('level', [200.0, 5000.0])
def test_they_can_be_applied_to_an_image_of_any_level(level, monkeypatch):
    """In float32 on every processor: bfloat16 rounds to 0.03."""
    monkeypatch.setattr(precision, 'has_fast_bfloat16', lambda device: False)
    scene = 30 * SCENES['filaments']((64, 64), np.random.default_rng(3))
    noisy = scene + np.random.default_rng(0).normal(size=scene.shape)
    low, high = (
        score_image(
            warm_start(),
            prepare(noisy + zero, 'YX', NoiseRequest.exactly(Gaussian(1.0)), device='cpu'),
            device='cpu',
            orientations=1,
        )
        for zero in (0.0, level)
    )
    np.testing.assert_allclose(high.clean[0], low.clean[0] + level, atol=0.01)
    assert float(warm_start().network.centre) == 0


def test_weights_are_ordinary_numbers():
    values = np.concatenate([w.numpy().ravel() for w in warm_start().network.parameters()])
    assert np.isfinite(values).all()
    assert 0.9e6 < values.size < 1.2e6
