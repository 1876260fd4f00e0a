"""A large plane that is corrected block by block equals one that is corrected at once."""

import numpy as np
import pytest

from napari_noise2score import NoiseRequest, prepare
from napari_noise2score.images import blank_places, blocks
from napari_noise2score.images.blocks import Window
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.pipeline import large_planes
from napari_noise2score.pipeline.clean_image import CleanImage
from napari_noise2score.pipeline.correct import ImageCorrection, plan_correction
from napari_noise2score.pipeline.divided_planes import divided
from napari_noise2score.pipeline.stages import score_image_steps
from napari_noise2score.progress import finish
from napari_noise2score.score.predict import PredictProgress
from napari_noise2score.score.pretraining.weights import warm_start

SHAPE = 150, 170


@pytest.fixture(scope='module')
def noisy() -> np.ndarray:
    """Three tiles high and wide, with padding, a mask and a missing pixel (X, Y)."""
    scene = synthetic_stack('nuclei', frames=1, size=176, seed=3).noisy[0]
    plane = scene[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    plane[:20] = 0
    plane[90:110, 60:75] = 7
    plane[120, 150] = np.nan
    return plane


@pytest.fixture(scope='module')
def plan(noisy, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large_planes, 'is_large', lambda shape: False)
        prepared = prepare(noisy, 'YX', device='cpu')
        steps = score_image_steps(
            warm_start(), prepared, device='cpu', orientations=1, sigma_a=0.3, on_demand=True
        )
        return plan_correction(finish(steps))


@pytest.fixture(scope='module')
def small_tiles():
    """Tiles of 64 pixels, so that a small plane has many."""
    from napari_noise2score.pipeline import equalisation

    real = equalisation.predict_clean
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            equalisation, 'predict_clean', lambda *args, **more: real(*args, tile=64, **more)
        )
        yield


@pytest.fixture(scope='module')
def whole(plan, small_tiles):
    image = CleanImage(ImageCorrection(plan))
    return np.asarray(image), image.corrected()


@pytest.fixture
def in_blocks(monkeypatch):
    monkeypatch.setattr(blocks, 'LARGE', 1000)
    monkeypatch.setattr(blocks, 'SIDE', 64)


def test_blocks_equal_the_whole_plane(plan, whole, in_blocks):
    image = CleanImage(ImageCorrection(plan))
    assert image.correction.in_blocks(0)
    windows = [np.s_[:70, 100:], np.s_[70:, 100:], np.s_[:, :100]]
    for window in windows:
        np.testing.assert_allclose(image[window], whole[0][window], rtol=1e-6, atol=0)
    np.testing.assert_array_equal(image[::-7, 3::5], np.asarray(image)[::-7, 3::5])
    got, expected = image.corrected(), whole[1]
    assert got.warnings == expected.warnings
    assert got.blank == expected.blank
    assert got.clipped == expected.clipped
    for name, value in expected.checks[0].to_dict().items():
        assert got.checks[0].to_dict()[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name
