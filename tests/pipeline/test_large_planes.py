"""A large plane that is corrected block by block equals one that is corrected at once."""

from dataclasses import replace

import numpy as np
import pytest

from napari_noise2score import InputError, NoiseRequest
from napari_noise2score.images import blocks
from napari_noise2score.images.blocks import Window
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.noise.pairs import PlanePair, StillBlocks
from napari_noise2score.noise.patterns.shared import Offsets, PlaneOffsets
from napari_noise2score.pipeline import context_levels, large_planes
from napari_noise2score.pipeline.clean_image import CleanImage
from napari_noise2score.pipeline.correct import ImageCorrection, plan_correction
from napari_noise2score.pipeline.divided_planes import divided
from napari_noise2score.pipeline.prepare import model_noise
from napari_noise2score.pipeline.prepared import Prepared
from napari_noise2score.pipeline.stages import score_image_steps
from napari_noise2score.progress import finish
from napari_noise2score.score import probe
from napari_noise2score.score.pretraining.weights import warm_start

SHAPE = 150, 170


@pytest.fixture(scope='module')
def prepared() -> Prepared:
    """A plane of several tiles, with padding, a mask and a missing pixel."""
    stack = synthetic_stack('nuclei', frames=1, size=176, seed=3)
    plane = stack.noisy[0, : SHAPE[0], : SHAPE[1]].astype(np.float32)
    plane[:20] = 0
    plane[90:110, 60:75] = 7
    plane[120, 150] = np.nan
    known = NoiseRequest(stack.noise.name, stack.noise.parameters())
    return model_noise(ImageSource(plane, 'YX', 'cells'), known)


@pytest.fixture(scope='module')
def plan(prepared):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, '_LARGEST', 32)
        steps = score_image_steps(
            warm_start(), prepared, device='cpu', orientations=1, sigma_a=0.3, on_demand=True
        )
        return plan_correction(finish(steps))


@pytest.fixture(scope='module')
def small_tiles():
    """Tiles of 64 pixels, so that a small plane has many."""
    real = context_levels.predict_clean
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            context_levels, 'predict_clean', lambda *args, **more: real(*args, tile=64, **more)
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


def test_an_interrupted_plane_goes_on_from_its_blocks(plan, whole, in_blocks, tmp_path):
    image, again = (CleanImage(ImageCorrection(plan)) for _ in range(2))
    image.correction.folder = again.correction.folder = tmp_path
    steps = image.read_steps(np.s_[:10])
    while len(list(tmp_path.rglob('*.values'))) < 3:
        next(steps)
    steps.close()
    files = sorted(tmp_path.rglob('*.values'))
    damaged = bytearray(files[0].read_bytes())
    damaged[100] ^= 1
    files[0].write_bytes(damaged)
    times = {path: path.stat().st_mtime_ns for path in files}
    np.testing.assert_allclose(np.asarray(again), whole[0], rtol=1e-6, atol=0)
    changed = [path for path in files if path.stat().st_mtime_ns != times[path]]
    assert changed == files[:1]


def test_most_of_the_work_is_done_when_the_first_values_are_read(plan, small_tiles, in_blocks):
    image = CleanImage(ImageCorrection(plan))
    shares = [image.done(0.0) for _ in image.read_steps(np.s_[:10])]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.2
    assert shares[-1] == pytest.approx(0.95)
    assert image.done(1.0) == pytest.approx(1.0)


def test_parts_of_a_large_plane_are_planes_to_train_on(prepared, in_blocks, monkeypatch):
    monkeypatch.setattr('napari_noise2score.pipeline.divided_planes._SIDE', 64)
    still = StillBlocks(np.ones((2, 2), bool), (40, 40), (50, 60))
    (channel,) = prepared.channels
    channel = replace(channel, pairs=(PlanePair(0, 0, still=still),))
    parts = divided(channel)
    assert parts.shape == (9, 50, 57)
    every = np.full(SHAPE, np.inf, np.float32)
    for number, window in enumerate(blocks.overlapping(SHAPE, 64)):
        every[window] = parts.plane(number)
    np.testing.assert_array_equal(every, channel.plane(0))
    assert [pair.first for pair in parts.pairs] == list(range(9))
    assert parts.pairs[4].still.corner == (0, 60 - 56)


def test_offsets_of_rows_need_whole_planes(prepared, in_blocks, monkeypatch):
    (channel,) = prepared.channels
    offsets = PlaneOffsets(lambda _: Offsets(np.zeros(SHAPE[0]), np.zeros(SHAPE[1])))
    levelled = replace(prepared, channels=(replace(channel, offsets=offsets),))
    large_planes.check_whole_planes(levelled)
    assert not large_planes.in_blocks(levelled.channels[0])
    assert divided(levelled.channels[0]) is levelled.channels[0]
    monkeypatch.setattr(large_planes.LIMIT, 'spare', lambda: 1 << 20)
    with pytest.raises(InputError, match=r'cells: its rows have offsets, .* planes of 150 x 170'):
        large_planes.check_whole_planes(levelled)
    large_planes.check_whole_planes(prepared)


def test_windows_of_a_plane():
    every = np.zeros((7, 12), int)
    for window in blocks.grid(every.shape, 5):
        every[window] += 1
    assert (every == 1).all()
    window = Window(slice(2, 5), slice(3, 9))
    assert window.wider(3, every.shape) == (slice(0, 7), slice(0, 12))
    assert window.common(Window(slice(4, 7), slice(0, 4))) == (slice(4, 5), slice(3, 4))
    assert window.common(Window(slice(5, 7), slice(0, 4))) is None
    assert {part.shape for part in blocks.overlapping((7, 12), 5)} == {(4, 4)}
