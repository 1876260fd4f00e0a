"""Scenes and their noise, from which the network with context learns."""

import numpy as np
import pytest

from napari_noise2score.images.procedural import procedural_image
from napari_noise2score.score.context import ERROR, MEAN, PLANES, context_in
from napari_noise2score.score.pretraining import scenes
from napari_noise2score.score.pretraining.scenes import draw_events, draw_scene
from napari_noise2score.score.pretraining.synthetic_sequences import ALONE, SyntheticSequences

SIZE, AT = 48, np.arange(-12, 13)
KINDS = [scenes._still, scenes._drift, scenes._object, scenes._volume, scenes._cut]


@pytest.fixture(scope='module')
def image():
    return procedural_image(160, np.random.default_rng(0)).astype(np.float32)


@pytest.fixture(scope='module')
def batches():
    pairs = SyntheticSequences(SIZE, np.random.default_rng(0), images=6)
    return [pairs.draw(16) for _ in range(20)]


@pytest.mark.parametrize('kind', KINDS)
def test_a_scene_has_a_plane_for_each_time(kind, image):
    for seed in range(5):
        planes = kind(lambda: image, SIZE, AT, np.random.default_rng(seed))
        assert planes.shape == (len(AT), SIZE, SIZE)
        assert planes.dtype == np.float32
        assert np.isfinite(planes).all()
        assert -0.01 <= planes.min() <= planes.max() < 1.5 or kind is scenes._volume


def test_what_stands_still_is_equal_and_what_moves_is_not(image):
    still = scenes._still(lambda: image, SIZE, AT, np.random.default_rng(0))
    assert (still == still[0]).all()
    drift = scenes._drift(lambda: image, SIZE, AT, np.random.default_rng(0))
    assert not (drift == drift[0]).all()


def test_slices_beside_each_other_are_more_alike_than_others(image):
    near, far = [], []
    for seed in range(8):
        planes = scenes._volume(lambda: image, SIZE, AT, np.random.default_rng(seed))
        near.append(np.mean((planes[1:] - planes[:-1]) ** 2))
        far.append(np.mean((planes[8:] - planes[:-8]) ** 2))
    assert np.mean(near) < 0.5 * np.mean(far)


def test_half_of_all_events_begin_at_the_plane_itself():
    begun = 0
    for seed in range(60):
        planes = draw_events(SIZE, AT, np.random.default_rng(seed))
        assert planes.shape == (len(AT), SIZE, SIZE)
        begun += bool(np.abs(planes[12] - planes[9]).max() > 0.1)
    assert begun > 20


def test_a_seed_gives_one_scene(image):
    one, other = (draw_scene(lambda: image, SIZE, AT, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_planes_come_with_their_context_or_alone(batches):
    slabs = np.concatenate([batch.z.numpy() for batch in batches])
    assert slabs.shape == (320, 1 + PLANES, SIZE, SIZE)
    assert np.isfinite(slabs[:, PLANES // 2]).all()
    alone = [not np.isfinite(context_in(slab)).any() for slab in slabs]
    assert np.mean(alone) == pytest.approx(ALONE, abs=0.08)


def test_the_mean_of_the_others_has_the_error_that_is_told(batches):
    """Where nothing moves, and noise is as told: the median over many scenes."""
    ratios = []
    for batch in batches:
        for slab, clean in zip(batch.z.numpy(), batch.clean.numpy(), strict=True):
            context = context_in(slab)
            if np.isfinite(context[ERROR]).all():
                difference = context[MEAN] - clean[0]
                ratios.append(np.mean(difference**2) / np.mean(context[ERROR] ** 2))
    assert np.min(ratios) < 1.3
    assert np.percentile(ratios, 10) > 0.3
