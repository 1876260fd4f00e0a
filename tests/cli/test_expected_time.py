"""The time that a dry run tells: what an image of any size needs, and what its pixels need."""

import numpy as np
import pytest

from napari_noise2score.cli import expected_time
from napari_noise2score.cli.expected_time import ExpectedTime
from napari_noise2score.images.source import ImageSource
from napari_noise2score.images.synthetic import synthetic_stack
from napari_noise2score.pipeline import context_levels, schedule
from napari_noise2score.score.pretraining.weights import warm_start
from napari_noise2score.settings import DenoiseSettings, TrainSettings


class Clock:
    """Counts a second for each pixel that is predicted, and 1000 for a noise estimate."""

    def __init__(self, monkeypatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(expected_time.time, 'perf_counter', lambda: self.now)
        levels, prepare = context_levels.predict_clean, schedule.prepare_image

        def predicted(*args, orientations=8, **more):
            found = yield from levels(*args, orientations=1, **more)
            self.now += found.size * orientations
            return found

        def prepared(*args, **more):
            self.now += 1000
            return prepare(*args, **more)

        monkeypatch.setattr(context_levels, 'predict_clean', predicted)
        monkeypatch.setattr(schedule, 'prepare_image', prepared)


def test_what_an_image_needs_once_is_not_multiplied_by_its_size(monkeypatch):
    clock = Clock(monkeypatch)
    noisy = synthetic_stack('nuclei', frames=2, size=48, seed=1).noisy
    settings = DenoiseSettings(
        training=TrainSettings(seconds=0, device='cpu'), orientations=2, context='none'
    )
    expected = ExpectedTime.of(ImageSource(noisy, 'TYX', 'cells'), settings, None)
    assert expected.measured == 48**2
    assert expected.pixel == pytest.approx(2.0)
    assert expected.once == clock.now - 2 * 48**2 >= 1000
    assert expected.of_all(3, 10_000) == pytest.approx(3 * expected.once + 20_000)


def test_the_other_frames_cost_time(monkeypatch):
    Clock(monkeypatch)
    noisy = synthetic_stack('nuclei', frames=9, size=48, seed=1).noisy
    settings = DenoiseSettings(
        training=TrainSettings(seconds=0, device='cpu'), orientations=2, context='auto'
    )
    expected = ExpectedTime.of(ImageSource(noisy, 'TYX', 'cells'), settings, None)
    assert expected.measured == 4 * 48**2
    assert expected.pixel == pytest.approx(4.0)  # without them, and with them


def test_margins_of_tiles_cost_time():
    network = warm_start().network
    small, large = (
        expected_time._read_pixels(ImageSource(np.zeros((side, side)), 'YX'), network)
        for side in (256, 2048)
    )
    assert small == 1
    # 4 tiles of 512 in a row, with margins of 48 on 6 of their 8 sides
    assert large == pytest.approx(((4 * 512 + 6 * 48) / 2048) ** 2)
