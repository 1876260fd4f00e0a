"""Samples of planes that are larger than a sample are spread over them."""

import numpy as np
import pytest

from napari_noise2score.images import blocks, sampling
from napari_noise2score.images.sampling import sample_planes
from napari_noise2score.images.source import ImageSource


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, 'LARGE', 1000)
    monkeypatch.setattr(sampling, 'SAMPLE_SIDE', 16)


def stack(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.uint32).reshape(shape)


def test_blocks_of_one_plane_are_spread_over_it():
    image = stack(128, 160)
    numbers, stacks = sample_planes(ImageSource(image, 'YX').channels()[0])
    assert numbers == [[0]] * 8
    assert {values.shape for values in stacks} == {(1, 16, 16)}
    corners = [divmod(int(values.min()), 160) for values in stacks]
    assert corners[0] == (64, 80)
    quarters = {(row // 64, column // 80) for row, column in corners}
    assert len(quarters) == 4
    for values, (row, column) in zip(stacks, corners, strict=True):
        np.testing.assert_array_equal(values[0], image[row : row + 16, column : column + 16])


def test_blocks_of_a_stack_are_from_different_planes():
    numbers, _ = sample_planes(ImageSource(stack(20, 64, 64), 'ZYX').channels()[0])
    assert len({number for (number,) in numbers}) > 5


def test_the_only_part_that_is_not_constant_is_found():
    image = np.zeros((320, 320), np.uint16)
    image[304:, 288:304] = stack(16, 16)
    numbers, stacks = sample_planes(ImageSource(image, 'YX').channels()[0])
    assert numbers == [[0]]
    np.testing.assert_array_equal(stacks[0][0], stack(16, 16))
    image[:] = 3
    assert sample_planes(ImageSource(image, 'YX').channels()[0]) == ([], [])


def test_frames_to_compare_stay_whole_and_so_do_places_of_pixels():
    frames = stack(3, 64, 64)
    numbers, stacks = sample_planes(ImageSource(frames, 'TYX').channels()[0])
    assert numbers == [[0, 1, 2]]
    np.testing.assert_array_equal(stacks[0], frames)
    (single,) = sample_planes(ImageSource(frames[0], 'YX').channels()[0], in_place=True)[1]
    np.testing.assert_array_equal(single[0], frames[0])
