import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_noise2score._widget.layers.split_view import SplitView

LEFT = np.arange(3 * 8 * 10).reshape(3, 8, 10)
RIGHT = -LEFT.astype(np.float32)
INDICES = [
    (1, slice(None), slice(None)),
    (slice(None), slice(2, 6), slice(1, 9, 2)),
    (0, slice(None), 7),
    (slice(None), 3, 2),
    1,
    (Ellipsis, slice(0, 4)),
    (2, 3, 4),
]


@pytest.mark.parametrize('index', INDICES)
@pytest.mark.parametrize('axis', [1, 2])
def test_a_part_is_that_part_of_the_two_halves(index, axis):
    split_view = SplitView(da.from_array(LEFT), RIGHT, axis)
    split_view.column = 3
    whole = RIGHT.astype(float).copy()
    first = (slice(None),) * axis + (slice(0, 3),)
    whole[first] = LEFT[first]
    np.testing.assert_array_equal(split_view[index], whole[index])
    np.testing.assert_array_equal(np.asarray(split_view), whole)


def test_napari_shows_it_and_follows_the_column():
    split_view = SplitView(LEFT, RIGHT, 2)
    layer = ViewerModel().add_image(split_view, contrast_limits=(0, 1), rgb=False)
    before = layer._slice.image.raw.copy()
    split_view.column = 10
    layer.refresh()
    after = layer._slice.image.raw
    assert (before[:, :5] >= 0).all()
    assert (before[:, 5:] <= 0).all()
    assert (after >= 0).all()


def test_images_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match='differ'):
        SplitView(LEFT, RIGHT[:2], 2)
