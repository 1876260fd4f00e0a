"""An image with the axes of another one, whatever order its file has."""

from itertools import product

import numpy as np
import pytest

from napari_noise2score.images.rearranged import with_axes_of
from napari_noise2score.images.source import ImageSource

VALUES = np.random.default_rng(0).integers(0, 99, (2, 3, 4, 5))


def source(axes, shape=None):
    values = VALUES if shape is None else np.zeros(shape)
    return ImageSource(values, axes)


def test_axes_are_put_in_the_order_of_the_other_image():
    found = with_axes_of(source('ZCYX', (3, 2, 4, 5)), source('CZYX'))
    assert (found.axes, found.shape) == ('ZCYX', (3, 2, 4, 5))
    expected = VALUES.swapaxes(0, 1)
    np.testing.assert_array_equal(np.asarray(found.data), expected)
    some = (0, 2, -1, *map(slice, (None, 3), (None, None), (None, -1))), slice(None, None, -2)
    for index in product((1, slice(2, 0, -1)), (0, slice(None)), (some[1], 3), (slice(1, 5, 2),)):
        np.testing.assert_array_equal(found.data[index], expected[index])


def test_axes_of_length_one_are_added_and_left_out():
    single = ImageSource(VALUES[0], 'ZYX')
    found = with_axes_of(source('ZCYX', (3, 1, 4, 5)), single)
    np.testing.assert_array_equal(np.asarray(found.data), VALUES[0][:, None])
    assert found.data[:, 0:0].shape == (3, 0, 4, 5)
    back = with_axes_of(single, found)
    np.testing.assert_array_equal(np.asarray(back.data), VALUES[0])


def test_colours_are_channels():
    colours = ImageSource(VALUES[0], 'CYX')
    found = with_axes_of(source('YXS', (4, 5, 3)), colours)
    np.testing.assert_array_equal(np.asarray(found.data), np.moveaxis(VALUES[0], 0, -1))
    assert with_axes_of(colours, found).axes == 'CYX'


@pytest.mark.parametrize(('axes', 'shape'), [('TZYX', (2, 3, 4, 5)), ('ZYX', (3, 4, 5))])
def test_other_axes_do_not_fit(axes, shape):
    assert with_axes_of(source(axes, shape), source('CZYX')) is None
