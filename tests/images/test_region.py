import dask.array as da
import numpy as np
import pytest

from napari_noise2score.errors import InputError
from napari_noise2score.images.region import Region
from napari_noise2score.images.source import ImageSource


class Reads:
    """An array that keeps how much of it was read."""

    def __init__(self, data):
        self._data, self.shape, self.dtype, self.read = data, data.shape, data.dtype, 0

    def __getitem__(self, index):
        part = self._data[index]
        self.read += part.size
        return part


@pytest.mark.parametrize('kind', [np.asarray, da.from_array, Reads])
def test_a_part_holds_what_lies_in_the_region(kind):
    data = np.arange(4 * 2 * 6 * 7).reshape(4, 2, 6, 7)
    source = ImageSource(kind(data), 'TCYX', 'cells')
    part = source.part(Region({'T': (1, 3), 'Y': (2, 6), 'X': (1, 5)}))
    assert part.shape == (2, 2, 4, 4)
    for channel, (at,) in zip(part.channels(), ([0], [1]), strict=True):
        for frame in range(2):
            expected = data[1 + frame, at, 2:6, 1:5]
            np.testing.assert_array_equal(channel.raw_plane(frame), expected)
    within = part.part(Region({'Y': (1, 3)}))
    np.testing.assert_array_equal(within.channels()[0].raw_plane(0), data[1, 0, 3:5, 1:5])


def test_nothing_else_is_read():
    data = Reads(np.zeros((100, 50, 50)))
    part = ImageSource(data, 'TYX').part(Region({'T': (5, 7), 'Y': (0, 10), 'X': (40, 50)}))
    assert data.read == 0
    part.channels()[0].plane(1)
    assert data.read == 100


@pytest.mark.parametrize('text', ['T0:10,Y100:400,X50:350', ' t=0:10 , y100:400,X50:350'])
def test_a_region_reads_as_it_is_written(text):
    region = Region.parse(text)
    assert region == Region({'T': (0, 10), 'Y': (100, 400), 'X': (50, 350)})
    assert Region.parse(str(region)) == region


def test_no_text_is_the_whole_image():
    source = ImageSource(np.zeros((4, 4)), 'YX')
    assert source.part(Region.parse('')) is source


@pytest.mark.parametrize('text', ['T', 'T3', 'T:4', 'Y1:2:3', 'Ya:b'])
def test_what_cannot_be_read_is_refused_with_an_example(text):
    with pytest.raises(InputError, match='such as T0:10'):
        Region.parse(text)


@pytest.mark.parametrize('bounds', [(3, 3), (4, 2), (-1, 2)])
def test_empty_ranges_are_refused(bounds):
    with pytest.raises(InputError, match='is empty'):
        Region({'T': bounds})


def test_a_region_beyond_the_image_is_refused():
    source = ImageSource(np.zeros((4, 16, 16)), 'TYX', 'cells')
    with pytest.raises(InputError, match='cells has 4 along T; at most T0:4'):
        source.part(Region({'T': (2, 5)}))
    with pytest.raises(InputError, match='cells has the axes TYX'):
        source.part(Region({'Z': (0, 1)}))
