"""Regions, chosen in a real viewer."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_noise2score._widget.layers import METADATA, target_of, unwrapped
from napari_noise2score._widget.views.region_box import PART, boxes_of
from napari_noise2score.errors import InputError
from tests.napari.helpers import noisy_stack

RECTANGLE = np.array([[10, 20], [10, 83.4], [73.7, 83.4], [73.7, 20]])


def shapes_of(viewer, corners=RECTANGLE, **more):
    return unwrapped(viewer.add_shapes([corners], shape_type='rectangle', **more))


@pytest.mark.parametrize('scale', [(1, 1, 1), (2, 0.5, 0.25)])
def test_a_shape_is_the_rectangle_around_it_in_pixels_of_the_layer(open_panel, scale):
    viewer, _ = open_panel()
    layer = unwrapped(viewer.add_image(np.zeros((3, 90, 100)), scale=scale, translate=(0, 7, -3)))
    shapes = shapes_of(viewer, scale=scale[1:], translate=(7, -3))
    assert boxes_of(shapes, target_of(layer, 'TYX'), viewer) == [{'Y': (10, 74), 'X': (20, 84)}]


def test_a_shape_in_other_units_than_the_layer(open_panel):
    viewer, _ = open_panel()
    placed = {'scale': (1, 0.5, 0.25), 'units': ('pixel', 'um', 'um')}
    layer = unwrapped(viewer.add_image(np.zeros((3, 90, 100)), **placed))
    shapes = shapes_of(viewer, scale=(500, 250), units=('nm', 'nm'))
    assert boxes_of(shapes, target_of(layer, 'TYX'), viewer) == [{'Y': (10, 74), 'X': (20, 84)}]


def test_layers_without_a_common_unit_are_drawn_in_one(open_panel):
    viewer, _ = open_panel()
    layer = unwrapped(viewer.add_image(np.zeros((90, 100)), scale=(0.5, 0.25), units=('um', 'um')))
    viewer.add_image(np.zeros((90, 100)), units=('pixel', 'pixel'))
    shapes = shapes_of(viewer, scale=(0.5, 0.25), units=('nm', 'nm'))
    assert viewer.dims.units is None
    assert boxes_of(shapes, target_of(layer, 'YX'), viewer) == [{'Y': (10, 74), 'X': (20, 84)}]


def test_the_menu_of_shapes_follows_the_layers(open_panel):
    viewer, panel = open_panel()
    menu = panel.region.where
    assert menu.choices == (None,)
    assert menu.current_choice == 'Whole layers'
    shapes = shapes_of(viewer, name='left half')
    viewer.add_image(np.zeros((90, 100)))
    menu.value = shapes
    shapes.name = 'right half'
    assert menu.value is shapes
    assert menu.current_choice == 'right half'
    viewer.layers.remove(shapes)
    assert menu.value is None


def test_learn_from_a_shape_and_clean_all(open_panel, qtbot, idle):
    viewer, panel = open_panel()
    stack = noisy_stack(3, 96)
    layer = unwrapped(viewer.add_image(stack, name='cells'))
    shapes = shapes_of(viewer)
    panel.layers.tick([layer])
    panel.region.where.value = shapes
    panel.region.frames.value = '0-1'
    panel.form.seconds.value = 1
    panel.train.native.click()
    idle(panel)
    result = unwrapped(viewer.layers[1])
    assert result.data.shape == stack.shape
    (taught,) = result.metadata[METADATA]['trained_on']
    assert taught['region'] == 'T0:2,Y10:74,X20:84'
    assert taught['shape'] == [2, 64, 64]
    panel.copy.native.click()
    assert '--learn-from T0:2,Y10:74,X20:84' in panel.messages.text()


def test_clean_only_the_region(open_panel, qtbot, idle):
    viewer, panel = open_panel()
    stack = noisy_stack(3, 96)
    layer = unwrapped(viewer.add_image(da.from_array(stack), name='cells', scale=(1, 0.2, 0.2)))
    shapes = shapes_of(viewer, scale=(0.2, 0.2))
    panel.layers.tick([layer])
    panel.region.where.value = shapes
    panel.region.clean.value = PART
    panel.form.seconds.value = 0
    panel.train.native.click()
    idle(panel)
    result = unwrapped(viewer.layers[1])
    assert result.data.shape == (3, 64, 64)
    np.testing.assert_allclose(result.data_to_world((0, 0, 0)), layer.data_to_world((0, 10, 20)))
    part = stack[:, 10:74, 20:84].astype(float)
    assert np.corrcoef(part.ravel(), result.data.ravel())[0, 1] > 0.5
    panel.copy.native.click()
    assert '--region Y10:74,X20:84' in panel.messages.text()
    panel.compare.split.native.click()
    split = unwrapped(viewer.layers[2])
    np.testing.assert_array_equal(np.asarray(split.data)[..., :20], part[..., :20])
    panel.compare.residual.native.click()
    idle(panel)
    removed = next(layer for layer in viewer.layers if 'removed' in layer.name)
    assert removed.data.shape == (3, 64, 64)
    np.testing.assert_allclose(removed.translate, result.translate)


@pytest.mark.parametrize(
    ('frames', 'words'),
    [('3', '0 to 2'), ('2-1', '0 to 2'), ('all of them', '0 to 2'), ('0-99', 'such as 0-2')],
)
def test_frames_that_are_not_there_are_refused(open_panel, frames, words):
    viewer, panel = open_panel()
    viewer.add_image(noisy_stack(3, 96), name='cells')
    panel.region.frames.value = frames
    panel.train.native.click()
    assert words in panel.messages.text()
    assert panel.controller.run.idle
    panel.region.frames.value = ''
    assert panel.region.restricted(panel.layers.targets()[0]).training_parts == ()


def test_no_frames_no_shape_and_shapes_elsewhere_are_refused(open_panel):
    viewer, panel = open_panel()
    layer = unwrapped(viewer.add_image(noisy_stack(1, 96)[0], name='cells'))
    target = target_of(layer, 'YX')
    panel.region.frames.value = '0'
    with pytest.raises(InputError, match='without time'):
        panel.region.restricted(target)
    panel.region.frames.value = ''
    panel.region.clean.value = PART
    with pytest.raises(InputError, match='no region is chosen'):
        panel.region.restricted(target)
    empty = unwrapped(viewer.add_shapes(name='empty'))
    panel.region.where.value = empty
    with pytest.raises(InputError, match="'empty' contains no shape"):
        panel.region.restricted(target)
    panel.region.where.value = shapes_of(viewer, RECTANGLE + 1000)
    with pytest.raises(InputError, match='is inside cells'):
        panel.region.restricted(target)
    viewer.layers.clear()
    assert panel.region.where.value is None


def test_several_shapes_are_learned_from_together(open_panel):
    viewer, panel = open_panel()
    layer = unwrapped(viewer.add_image(np.zeros((90, 100)), name='cells'))
    shapes = shapes_of(viewer, np.array([[0, 0], [0, 20], [30, 20], [30, 0]]))
    shapes.add_rectangles(np.array([[50, 40], [50, 60], [80, 60], [80, 40]]))
    panel.region.where.value = shapes
    target = panel.region.restricted(target_of(layer, 'YX'))
    assert [str(lesson.region) for lesson in target.training_parts] == [
        'Y0:30,X0:20',
        'Y50:80,X40:60',
    ]
    assert target.source.shape == (90, 100)
    panel.region.clean.value = PART
    target = panel.region.restricted(target_of(layer, 'YX'))
    assert str(target.region) == 'Y0:80,X0:60'
    assert len(target.training_parts) == 2


def test_how_the_axes_are_read_is_said_and_a_guess_is_called_so(open_panel):
    viewer, panel = open_panel()
    layer = unwrapped(viewer.add_image(np.zeros((3, 4, 90, 100)), name='cells'))
    guessed = 'cells: time 3, depth 4, rows 90, columns 100. These axes are guessed; choose others'
    assert panel.reading.text().startswith(guessed)
    panel.layers.axes_of(layer).setCurrentText('ZCYX')
    assert panel.reading.text() == 'cells: depth 3, channels 4, rows 90, columns 100.'
    panel.layers.axes_of(layer).setCurrentText('ZZYX')
    assert 'a letter is repeated' in panel.reading.text()
    layer.axis_labels = ('c', 't', 'y', 'x')
    assert panel.reading.text() == 'cells: channels 3, time 4, rows 90, columns 100.'
    viewer.add_image(np.zeros((2, 2, 3, 4, 90, 100)), name='six')
    panel.layers.tick([viewer.layers['six']])
    assert 'six: positions 2, time 2, channels 3, depth 4, rows' in panel.reading.text()
    panel.layers.axes_of(unwrapped(viewer.layers['six'])).setCurrentText('RTZCYX')
    assert 'six: R 2, time 2, depth 3, channels 4, rows' in panel.reading.text()
    viewer.layers.remove('six')
    viewer.add_image(np.zeros((90, 100)), name='plane')
    panel.layers.tick([viewer.layers['plane']])
    assert panel.reading.isHidden()
