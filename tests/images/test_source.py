import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.images.source import ImageSource

SHAPES = {'T': 3, 'C': 2, 'Z': 4, 'Y': 5, 'X': 6, 'S': 3}


@pytest.mark.parametrize(
    'axes',
    ['YX', 'XY', 'TYX', 'ZYX', 'CYX', 'YXS', 'TCYX', 'TZYX', 'CTYX', 'TCZYX', 'YTXC', 'TYXS'],
)
def test_planes_written_back_make_the_image_again(axes):
    shape = tuple(SHAPES[a] for a in axes)
    data = np.random.default_rng(0).random(shape).astype(np.float32)
    source, copy = ImageSource(data, axes), np.full(shape, np.nan, np.float32)
    for channel in source.channels():
        assert channel.shape[1:] == (5, 6)
        for index in range(channel.shape[0]):
            channel.write(index, channel.plane(index), copy)
    np.testing.assert_array_equal(copy, data)


def test_time_runs_fastest_so_that_frames_follow_each_other():
    data = np.arange(3 * 4).reshape(3, 4, 1, 1) * np.ones((3, 4, 2, 2))  # T, Z
    (channel,) = ImageSource(data, 'TZYX').channels()
    assert channel.frames == 3
    assert [channel.plane(i)[0, 0] for i in range(4)] == [0, 4, 8, 1]


def test_channels_come_in_the_order_of_the_array():
    data = np.arange(6.0).reshape(2, 3)[:, None, None, :] * np.ones((2, 4, 4, 3))
    channels = ImageSource(data, 'CYXS').channels()
    assert [channel.place for channel in channels[:3]] == [
        {'C': 0, 'S': 0},
        {'C': 0, 'S': 1},
        {'C': 0, 'S': 2},
    ]
    assert [channel.plane(0)[0, 0] for channel in channels] == [0, 1, 2, 3, 4, 5]


def test_lazy_arrays_are_read_plane_by_plane():
    read = []

    class Lazy:
        shape, dtype = (5, 4, 4), np.dtype(float)

        def __getitem__(self, index):
            read.append(index)
            return Part(index)

    class Part:
        def __init__(self, index):
            self.index = index

        def compute(self):
            return np.full((4, 4), float(self.index[0]))

    (channel,) = ImageSource(Lazy(), 'TYX').channels()
    assert channel.shape == (5, 4, 4)
    assert channel.plane(3)[0, 0] == 3.0
    assert read == [(3, slice(None), slice(None))]


def test_planes_are_read_in_double_precision_and_keep_what_is_no_number():
    data = np.full((2, 4, 4), 2**31 + 7, np.uint32)
    (channel,) = ImageSource(data, 'TYX').channels()
    assert channel.plane(0).dtype == np.float64
    assert channel.plane(1)[0, 0] == 2**31 + 7
    holes = np.zeros((4, 4), np.float32)
    holes[1, 2], holes[3, 0] = np.nan, np.inf
    (channel,) = ImageSource(holes, 'YX').channels()
    np.testing.assert_array_equal(channel.plane(0), holes)


def test_complex_values_are_refused():
    with pytest.raises(InputError, match='values are complex128'):
        ImageSource(np.ones((4, 4), complex), 'YX')


@pytest.mark.parametrize('axes', ['TYX', 'TCYX', 'TCZYX', 'CTYX', 'TYXS', 'YX', 'YTXC'])
def test_the_plane_at_a_place_of_the_sliders(axes):
    shape = tuple(SHAPES[a] for a in axes)
    data = np.random.default_rng(0).random(shape)
    rng = np.random.default_rng(1)
    others = [a for a in axes if a not in 'YX']
    for channel in ImageSource(data, axes).channels():
        place = {a: int(rng.integers(SHAPES[a])) for a in others} | channel.place
        plane = channel.plane_at(place)
        index, values = channel.laid(plane, channel.plane(plane))
        assert index == tuple(place.get(a, slice(None)) for a in axes)
        np.testing.assert_allclose(values, data[index], rtol=1e-6)
        if channel.place:
            letter, where = next(iter(channel.place.items()))
            assert channel.plane_at(place | {letter: where + 1}) is None


def test_a_slider_outside_of_the_image_is_at_its_end():
    (channel,) = ImageSource(np.zeros((3, 4, 4)), 'TYX').channels()
    assert [channel.plane_at({'T': at}) for at in (-5, 0, 2, 9)] == [0, 0, 2, 2]
    assert channel.plane_at({}) == 0


@pytest.mark.parametrize(
    ('axes', 'plane', 'axis', 'series'),
    [
        ('ZYX', 2, 'Z', [0, 1, 2, 3]),
        ('TZYX', 5, 'Z', [2, 5, 8, 11]),
        ('TZYX', 5, 'T', [3, 4, 5]),
        ('ZTYX', 7, 'Z', [1, 4, 7, 10]),
        ('TCYXZ', 11, 'Z', [2, 5, 8, 11]),
        ('TYX', 1, 'Z', [1]),
    ],
)
def test_a_series_is_along_one_axis_at_the_same_place_of_the_others(axes, plane, axis, series):
    data = np.zeros(tuple(SHAPES[a] for a in axes))
    (channel, *_) = ImageSource(data, axes).channels()
    assert list(channel.series(plane, axis)) == series


def test_checksum_sees_a_change_in_place():
    data = np.random.default_rng(0).integers(0, 999, (3, 16, 16))
    source = ImageSource(data, 'TYX')
    before = source.checksum()
    assert ImageSource(data.copy(), 'TYX').checksum() == before
    data[1, 5, 5] += 1
    assert source.checksum() != before
